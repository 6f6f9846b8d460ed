"""The writing thread against real files: what comes out is what went in, also over rotations and a disk that fills up."""
import contextlib
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from recorder_harness import METADATA, Recorded, frames_of

from process_harness import until
from tickpath.capture import read_capture
from tickpath.raw_capture import raw_summary


def test_frames_of_several_venues_go_to_files_of_their_own(tmp_path):
    recorded = Recorded(tmp_path, {0: "a", 5: "b"})
    for n in range(500):
        recorded.tap.put(b"%d" % n, 1000 + n, venue_slot=5 * (n % 2), connection=n % 4)
    counts = recorded.end()
    assert {name: (c["frames"], c["stored"], c["dropped"]) for name, c in counts.items()} == {"a": (250, 250, 0), "b": (250, 250, 0)}
    for slot, name in ((0, "a"), (1, "b")):
        assert frames_of(counts[name]) == [(1000 + n, b"%d" % n, n % 4) for n in range(slot, 500, 2)]
        assert counts[name]["bytes_raw"] == sum(len(b"%d" % n) for n in range(slot, 500, 2))
    assert counts["a"]["files"] == [str(p) for p in sorted((tmp_path / "a").iterdir())]


def test_block_is_on_the_disk_within_a_second(tmp_path):
    recorded = Recorded(tmp_path)
    recorded.tap.put(b"one", 1)
    started_s = time.monotonic()
    until(lambda: recorded.writer.counts()["v"]["stored"], "the frame to be stored", 5)
    assert time.monotonic() - started_s < 2.0
    (path,) = recorded.writer.counts()["v"]["files"]
    assert [f.data for f in read_capture(path)] == [b"one"]         # while it is still being written
    assert not raw_summary(path).final
    recorded.end()
    assert raw_summary(path).final


def test_files_end_at_their_size_and_go_on_in_the_next(tmp_path):
    recorded = Recorded(tmp_path, segment_bytes=20_000, block_bytes=4000)
    noise = [bytes((n * k * 7919 >> 3) & 255 for k in range(200)) for n in range(600)]
    for n, data in enumerate(noise):
        recorded.tap.put(data, n)
    counts = recorded.end()["v"]
    summaries = [raw_summary(path) for path in counts["files"]]
    assert len(summaries) > 3 and all(s.final for s in summaries)
    assert [s.header.segment_no for s in summaries] == list(range(1, len(summaries) + 1))
    assert all(size <= 20_000 + 4096 for size in (s.stored_bytes for s in summaries))
    assert frames_of(counts) == [(n, data, 0) for n, data in enumerate(noise)]
    assert sorted(counts["files"]) == counts["files"]


def test_files_end_at_their_age(tmp_path):
    recorded = Recorded(tmp_path, segment_s=0.1)
    for n in range(3):
        recorded.tap.put(b"x", n)
        until(lambda n=n: recorded.writer.counts()["v"]["stored"] == n + 1, "the frame to be stored", 5)
        time.sleep(0.12)
    assert len(recorded.end()["v"]["files"]) == 3


def test_file_that_is_there_is_never_written_over(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda *_: "20260101-000000")
    first = Recorded(tmp_path)
    first.tap.put(b"first", 1)
    second = Recorded(tmp_path)
    files = [first.end()["v"]["files"]]
    second.tap.put(b"second", 2)
    files.append(second.end()["v"]["files"])
    assert [[f.data for p in paths for f in read_capture(p)] for paths in files] == [[b"first"], [b"second"]]


def test_full_disk_pauses_and_what_memory_cannot_hold_is_counted(small_disk):
    disk = small_disk(512 << 10)
    recorded = Recorded(disk, lane_bytes=1 << 17, block_bytes=8000)
    recorded.tap.put(b"before", 0)
    until(lambda: recorded.writer.counts()["v"]["stored"] == 1, "the first frame to be stored", 5)
    filler = disk / "filler"
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    sent = [bytes((n * k * 7919 >> 5) & 255 for k in range(1000)) for n in range(400)]
    for n, data in enumerate(sent):
        recorded.tap.put(data, 1 + n)
        if n == 20:
            until(lambda: recorded.writer.paused, "the pause", 5)
    until(lambda: recorded.writer.paused, "the pause", 5)
    dropped = recorded.writer.counts()["v"]["dropped"]
    assert dropped > 100 and len(recorded.said) == 1 and "No space left on device: paused" in recorded.said[0]
    filler.unlink()
    until(lambda: recorded.writer.paused is None, "the writer to go on", 5)
    recorded.tap.put(b"after", 999)
    counts = recorded.end()["v"]
    assert len(recorded.said) == 2 and f"{dropped} frames were dropped so far" in recorded.said[1]
    assert counts["frames"] == 402 and counts["stored"] + counts["dropped"] == 402 and counts["dropped"] == dropped
    frames = frames_of(counts)
    assert frames[0] == (0, b"before", 0) and frames[-1] == (999, b"after", 0)
    # What was kept is what came first, whole and in order.
    assert [f for f in frames[1:-1]] == [(1 + n, sent[n], 0) for n in [ts - 1 for ts, *_ in frames[1:-1]]]
    assert raw_summary(counts["files"][-1]).dropped == dropped


def test_recording_that_ends_on_a_full_disk_counts_what_it_could_not_store(small_disk):
    disk = small_disk(256 << 10)
    recorded = Recorded(disk, lane_bytes=1 << 20, block_bytes=8000)
    for n in range(700):
        recorded.tap.put(bytes((n * k * 7919 >> 5) & 255 for k in range(1000)), n)
    until(lambda: recorded.writer.paused, "the pause", 5)
    counts = recorded.end()["v"]
    assert counts["stored"] + counts["dropped"] == counts["frames"] == 700 and counts["stored"] > 100 < counts["dropped"]
    assert len(frames_of(counts)) == counts["stored"]


def test_directory_that_cannot_be_written_pauses_too(tmp_path):
    (tmp_path / "v").write_text("a file stands where the directory should be")
    recorded = Recorded(tmp_path)
    recorded.tap.put(b"x", 1)
    until(lambda: recorded.said, "a line", 5)
    assert "File exists: paused" in recorded.said[0]
    (tmp_path / "v").unlink()
    until(lambda: recorded.writer.counts()["v"]["stored"] == 1, "the frame to be stored", 5)
    assert recorded.end()["v"]["dropped"] == 0


def test_failure_that_is_not_the_disks_is_kept_for_the_sockets_thread(tmp_path, monkeypatch):
    recorded = Recorded(tmp_path)
    recorded.writer.compressor = None
    recorded.tap.put(b"x", 1)
    recorded.writer.join(5)
    assert isinstance(recorded.writer.failure, AttributeError)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=400), st.integers(0, 2), st.booleans()), max_size=60), st.integers(64, 2000))
def test_any_frames_come_back_in_order(tmp_path_factory, frames, block_bytes):
    directory = tmp_path_factory.mktemp("raw")
    recorded = Recorded(directory, {0: "v0", 1: "v1", 2: "v2"}, block_bytes=block_bytes, segment_bytes=3000)
    for n, (data, slot, rest) in enumerate(frames):
        recorded.tap.put(data, n, 1 if rest else 0xFFFFFFFF, venue_slot=slot, rest=rest)
    counts = recorded.end()
    for slot in range(3):
        found = [(f.ts_recv_ns, f.data, f.source == "rest", f.symbol_hint) for path in counts[f"v{slot}"]["files"]
                 for f in read_capture(path)]
        assert found == [(n, data, rest, METADATA["instruments"][0]["venue_symbol"] if rest else None)
                         for n, (data, at, rest) in enumerate(frames) if at == slot]


def test_memory_stays_flat_however_much_is_recorded(tmp_path):
    def rss_bytes():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    recorded = Recorded(tmp_path, lane_bytes=1 << 20)
    large, small = bytes(200_000), [b"%d" % n * 60 for n in range(50)]

    def push(rounds):
        for n in range(rounds):
            recorded.tap.put(large, n)
            for data in small:
                recorded.tap.put(data, n)
            until(lambda: recorded.writer.counts()["v"]["frames"] - recorded.writer.counts()["v"]["stored"] < 200, "the writer", 5)
    push(50)
    before = rss_bytes()
    push(400)
    assert rss_bytes() - before < 8 << 20
    counts = recorded.end()["v"]
    assert counts["stored"] == counts["frames"] and counts["bytes_raw"] > 80 << 20
