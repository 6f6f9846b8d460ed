"""What is copied for the recorder: every frame once, in order, counted where the lane has no room."""
import struct

from tickpath.shm.feed_lane import FeedLaneReader, FeedLaneWriter, feed_lane_bytes
from tickpath.venues.frame_tap import FrameDrain, FrameTap, RestTap

LANE_BYTES = 1 << 16


def frames_of(block):
    """[(ts_recv_ns, data, instrument, connection, flags)] of a block's bytes."""
    data, at, found = block.bytes(), 0, []
    while at < len(data):
        ts, size, instrument, connection, flags, zero = struct.unpack_from("<qIIHHI", data, at)
        assert zero == 0
        found.append((ts, data[at + 24:at + 24 + size], instrument, connection, flags))
        at += 24 + size
    return found


def test_frames_reach_the_block_of_their_venue_in_order():
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    tap, drain = FrameTap(writer), FrameDrain(reader, 4096)
    tap.put(b"a", 5, venue_slot=3, connection=2)
    tap.put(b"snapshot", 4, 1, venue_slot=3, rest=True)
    tap.put(b"", 6, venue_slot=0)
    assert drain.drain() is None
    assert frames_of(drain.blocks[3]) == [(5, b"a", 0xFFFFFFFF, 2, 0), (4, b"snapshot", 1, 0, 1)]
    assert frames_of(drain.blocks[0]) == [(6, b"", 0xFFFFFFFF, 0, 0)]
    assert (drain.blocks[3].frame_count, drain.blocks[3].first_ts_ns, drain.blocks[3].last_ts_ns) == (2, 4, 5)
    assert tap.counts(3) == (2, 0, 9) and tap.counts(0) == (1, 0, 0)


def test_full_block_stops_the_drain_until_it_is_cleared():
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    tap, drain = FrameTap(writer), FrameDrain(reader, 100)
    for n in range(5):
        tap.put(bytes([n]) * 20, n)
    tap.put(b"x" * 300, 5)                        # alone larger than a block
    seen = []
    while (slot := drain.drain()) is not None:
        assert slot == 0 and drain.drain() == 0
        seen += frames_of(drain.blocks[0])
        drain.blocks[0].clear()
    seen += frames_of(drain.blocks[0])
    assert [data for _, data, *_ in seen] == [bytes([n]) * 20 for n in range(5)] + [b"x" * 300]


def test_frame_without_room_is_counted_and_the_next_one_is_taken():
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    tap, drain = FrameTap(writer), FrameDrain(reader, 1 << 20)
    for n in range(10):
        tap.put(bytes([n]) * 10_000, n)
    frames, dropped, frames_bytes = tap.counts(0)
    assert (frames, frames_bytes) == (10, 100_000) and dropped == 4
    drain.drain()
    tap.put(b"again", 99)
    drain.drain()
    assert [ts for ts, *_ in frames_of(drain.blocks[0])] == [0, 1, 2, 3, 4, 5, 99]
    tap.put(bytes(LANE_BYTES), 100)               # never fits
    assert tap.counts(0)[1] == 5


def test_what_the_gateway_writes_is_copied_once_and_left_for_the_session():
    memory = bytearray(feed_lane_bytes(LANE_BYTES))
    gateway, session = FeedLaneWriter(memory), FeedLaneReader(memory)
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    tap, drain = FrameTap(writer), FrameDrain(reader, 1 << 20)
    rest = RestTap(session, tap)
    taken = []
    for n in range(200):                          # several times round both lanes
        assert gateway.try_write(b"%d" % n * 900, n, 7, venue_slot=1, connection=3)
        if n % 3 != 1:
            rest.look()
        else:
            taken.append(session.try_read()[2])   # between two looks: still copied by the next one
        while (entry := session.try_read()) is not None:
            taken.append(entry[2])
        rest.look()
        drain.drain()
    sent = [b"%d" % n * 900 for n in range(200)]
    assert taken == sent
    assert frames_of(drain.blocks[1]) == [(n, data, 7, 3, 1) for n, data in enumerate(sent)]
    assert tap.counts(1)[:2] == (200, 0)


def test_gateway_that_laps_the_tap_is_counted():
    memory = bytearray(feed_lane_bytes(LANE_BYTES))
    gateway, session = FeedLaneWriter(memory), FeedLaneReader(memory)
    writer, reader = FeedLaneWriter.local(LANE_BYTES)
    tap, drain = FrameTap(writer), FrameDrain(reader, 1 << 20)
    rest = RestTap(session, tap)
    for n in range(20):
        assert gateway.try_write(bytes(10_000), n)
        session.try_read()
    rest.look()
    assert tap.counts(0)[1] == 1
    gateway.try_write(b"next", 99)
    rest.look()
    drain.drain()
    assert [(ts, data) for ts, data, *_ in frames_of(drain.blocks[0])] == [(99, b"next")]
