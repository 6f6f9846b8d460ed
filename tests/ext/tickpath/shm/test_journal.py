"""The journal: what was written comes back, a torn tail is cut, every other damage is named."""
import errno
import json
import os
import struct
import threading
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.shm.journal import (
    BLOCK_HEADER_BYTES,
    BLOCK_MAX_SLOTS,
    SEGMENT_HEADER_BYTES,
    GroupSync,
    JournalDamage,
    JournalError,
    JournalReader,
    JournalWriter,
    segment_file,
    segment_numbers,
)
from tickpath.types import LAYOUT_HASH, LAYOUT_VERSION, SLOT_COUNTS, SLOT_DTYPE, EventType

CONFIG = json.dumps({"instance": {"name": "demo"}, "epoch": 12}).encode()
MANY_EXAMPLES = settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))


def new_run(tmp_path, name="run"):
    run = tmp_path / name
    run.mkdir(parents=True)
    (run / "config.json").write_bytes(CONFIG)
    return run


def open_writer(run, **options):
    return JournalWriter(run, instance="demo", epoch=12, config_bytes=CONFIG, **options)


def slots_of(first_seq, types, random=None):
    slots = np.zeros(len(types), SLOT_DTYPE)
    if random is not None:
        slots["payload"] = random.integers(0, 2**64, (len(types), 4), np.uint64, endpoint=False)
        slots["ts_recv_ns"] = random.integers(0, 2**62, len(types))
    slots["seq"] = np.arange(first_seq, first_seq + len(types))
    slots["type"] = types
    return slots


def record_types(random, count):
    """About `count` slots of records of one and two slots, all whole."""
    types = []
    while len(types) < count:
        types += [[EventType.EV_TRADE], [EventType.EV_FILL, EventType.EV_CONT]][random.integers(2)]
    return types


def write_run(run, blocks, *, final=True, **options):
    """One append per block; returns everything written."""
    writer = open_writer(run, **options)
    random = np.random.default_rng(5)
    written = [np.empty(0, SLOT_DTYPE)]
    for count in blocks:
        written.append(writer.append(slots_of(writer.written_seq + 1, record_types(random, count), random)))
    writer.close(final=final)
    return np.concatenate(written)


def read_all(path, start_seq=None):
    """(slots, reader) of an iteration to the end."""
    reader = JournalReader(path)
    return np.concatenate([np.empty(0, SLOT_DTYPE), *reader.batches(start_seq)]), reader


def block_offsets(path):
    """Offsets of the blocks of an undamaged segment, and its size last."""
    data = path.read_bytes()
    offsets = [SEGMENT_HEADER_BYTES]
    while offsets[-1] < len(data):
        assert data[offsets[-1]:offsets[-1] + 4] == b"TPBK"
        offsets.append(offsets[-1] + BLOCK_HEADER_BYTES + struct.unpack_from("<I", data, offsets[-1] + 8)[0])
    return offsets


# ---- what was written comes back
def test_what_was_written_comes_back_with_the_runs_description(tmp_path):
    run = new_run(tmp_path)
    written = write_run(run, [3, 100, 1])
    slots, reader = read_all(run)
    assert slots.tobytes() == written.tobytes()
    assert (reader.instance, reader.epoch, reader.config, reader.config_bytes) == ("demo", 12, json.loads(CONFIG), CONFIG)
    assert reader.final and reader.torn_tail is None and reader.missed_slots == 0
    assert reader.slot_count() == len(written) and reader.last_seq == written["seq"][-1]


@MANY_EXAMPLES
@given(st.lists(st.integers(0, 255).filter(lambda t: t != EventType.EV_CONT), max_size=300), st.data())
def test_any_payload_comes_back_bit_for_bit_however_it_was_appended(tmp_path_factory, types, data):
    run = new_run(tmp_path_factory.mktemp("journal"))
    two_slot = [kind for kind, count in SLOT_COUNTS.items() if count == 2]
    types = [t for kind in types for t in ([kind, EventType.EV_CONT] if kind in two_slot else [kind])]
    slots = slots_of(1, types, np.random.default_rng(data.draw(st.integers(0, 2**32))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(slots)), max_size=10)))
    writer = open_writer(run, segment_max_bytes=data.draw(st.integers(4500, 30000)))
    for begin, end in zip([0, *cuts], [*cuts, len(slots)], strict=True):
        writer.append(slots[begin:end])
    assert writer.written_seq == len(slots)
    writer.close()
    assert writer.synced_seq == len(slots)
    found, reader = read_all(run)
    assert found.tobytes() == slots.tobytes() and reader.final
    for batch in JournalReader(run).batches():
        assert batch["type"][0] != EventType.EV_CONT and len(batch) <= BLOCK_MAX_SLOTS


def test_a_record_of_two_slots_waits_for_its_rest(tmp_path):
    run = new_run(tmp_path)
    writer = open_writer(run)
    slots = slots_of(1, [EventType.EV_TRADE, EventType.EV_INTENT, EventType.EV_CONT, EventType.EV_TRADE])
    assert writer.append(slots[:2])["seq"].tolist() == [1]
    assert writer.written_seq == 1
    assert writer.append(slots[2:])["seq"].tolist() == [2, 3, 4]
    writer.close()
    assert [batch["seq"].tolist() for batch in JournalReader(run).batches()] == [[1], [2, 3, 4]]


def test_a_record_whose_rest_never_came_is_not_written(tmp_path):
    run = new_run(tmp_path)
    writer = open_writer(run)
    writer.append(slots_of(1, [EventType.EV_TRADE, EventType.EV_FILL]))
    writer.close(final=False)
    slots, reader = read_all(run)
    assert slots["seq"].tolist() == [1] and not reader.final and reader.torn_tail is None


def test_a_block_holds_at_most_4096_slots_and_never_half_a_record(tmp_path):
    run = new_run(tmp_path)
    writer = open_writer(run)
    writer.append(slots_of(1, [EventType.EV_TRADE] * 4095 + [EventType.EV_FILL, EventType.EV_CONT] * 3000))
    writer.close()
    batches = list(JournalReader(run).batches())
    assert [len(batch) for batch in batches] == [4095, 4096, 1904]
    assert all(batch["type"][0] != EventType.EV_CONT for batch in batches)


def test_batches_are_read_only_views_of_the_file(tmp_path):
    run = new_run(tmp_path)
    write_run(run, [10])
    batch, = JournalReader(run).batches()
    assert not batch.flags.writeable and not batch.flags.owndata
    with pytest.raises(ValueError):
        batch.flags.writeable = True


def test_segments_follow_each_other_when_one_is_full(tmp_path):
    run = new_run(tmp_path)
    written = write_run(run, [50] * 20, segment_max_bytes=10_000)
    numbers = segment_numbers(run)
    assert len(numbers) > 5 and numbers == list(range(1, len(numbers) + 1))
    assert all(segment_file(run, n).stat().st_size <= 10_000 for n in numbers[:-1])
    slots, reader = read_all(run)
    assert slots.tobytes() == written.tobytes() and reader.final
    assert reader.slot_count() == len(written)


@pytest.mark.parametrize("start_seq", [0, 1, 2, 49, 50, 51, 500, 777, 10**9])
def test_reading_can_start_at_any_sequence(tmp_path, start_seq):
    run = new_run(tmp_path)
    written = write_run(run, [50] * 20, segment_max_bytes=10_000)
    slots, reader = read_all(run, start_seq)
    assert slots.tobytes() == written[written["seq"] >= start_seq].tobytes()
    assert reader.final


def test_a_start_sequence_skips_payloads_without_reading_them(tmp_path):
    run = new_run(tmp_path)
    written = write_run(run, [50] * 4)
    path = segment_file(run, 1)
    flip(path, SEGMENT_HEADER_BYTES + BLOCK_HEADER_BYTES + 8)
    assert len(read_all(run, 110)[0]) == np.count_nonzero(written["seq"] >= 110)
    with pytest.raises(JournalDamage):
        read_all(run)


def test_a_lap_leaves_a_marked_gap_and_no_half_records(tmp_path):
    run = new_run(tmp_path)
    writer = open_writer(run, segment_max_bytes=4096 + 64 + 64 * 6)
    trade, fill, rest = EventType.EV_TRADE, EventType.EV_FILL, EventType.EV_CONT
    writer.append(slots_of(1, [trade, trade, fill]))
    writer.append(slots_of(100, [rest, trade, fill, rest]))
    writer.append(slots_of(104, [trade]))
    writer.close()
    slots, reader = read_all(run)
    assert slots["seq"].tolist() == [1, 2, 101, 102, 103, 104]
    assert reader.missed_slots == writer.missed_slots == 98
    assert len(segment_numbers(run)) > 1
    for start_seq in (2, 3, 50, 101, 104):
        assert read_all(run, start_seq)[0]["seq"].tolist() == [s for s in (1, 2, 101, 102, 103, 104) if s >= start_seq]


def test_a_journal_that_was_lapped_before_its_first_slot_says_so(tmp_path):
    run = new_run(tmp_path)
    writer = open_writer(run, first_seq=2**32 - 3)
    writer.append(slots_of(2**32 + 7, [EventType.EV_TRADE] * 2))
    writer.close()
    slots, reader = read_all(run)
    assert slots["seq"].tolist() == [2**32 + 7, 2**32 + 8] and reader.missed_slots == 10


def test_an_empty_run_is_a_journal_too(tmp_path):
    run = new_run(tmp_path)
    open_writer(run).close()
    slots, reader = read_all(run)
    assert len(slots) == 0 and reader.final and reader.slot_count() == 0


def test_a_running_journal_can_be_read_up_to_its_last_block(tmp_path):
    run = new_run(tmp_path)
    writer = open_writer(run)
    reader = JournalReader(run)
    for seq in range(1, 5):
        writer.append(slots_of(seq, [EventType.EV_TRADE]))
        assert [int(b["seq"][0]) for b in reader.batches()] == list(range(1, seq + 1)) and not reader.final
    writer.close()
    assert reader.slot_count() == 4 and reader.final


def test_a_group_sync_tells_what_is_on_the_disk_and_ends_with_everything_synced(tmp_path):
    writer = open_writer(new_run(tmp_path), segment_max_bytes=10_000, fsync_interval_s=0.001)
    told = []
    sync = GroupSync(writer, lambda: told.append(writer.synced_seq))
    sync.start()
    for _ in range(200):
        writer.append(slots_of(writer.written_seq + 1, [EventType.EV_TRADE] * 20))
        sync.wake()
    sync.finish()
    sync.join(30)
    assert not sync.is_alive() and told == sorted(told) and told[-1] == writer.synced_seq == 4000
    writer.close()
    assert len(read_all(writer.run_dir)[0]) == 4000


def test_an_append_waits_for_no_sync_but_the_one_of_a_segment_that_it_ends(tmp_path, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    real = os.fdatasync

    def slow(fd):
        begun.set()
        assert go_on.wait(30)
        real(fd)
    writer = open_writer(new_run(tmp_path), segment_max_bytes=100_000, fsync_interval_s=0)
    monkeypatch.setattr(os, "fdatasync", slow)
    sync = GroupSync(writer, lambda: None)
    sync.start()
    sync.wake()
    assert begun.wait(30)
    for _ in range(30):
        writer.append(slots_of(writer.written_seq + 1, [EventType.EV_TRADE] * 40))
    assert (writer.written_seq, writer.synced_seq) == (1200, 0)
    go_on.set()
    for _ in range(100):
        writer.append(slots_of(writer.written_seq + 1, [EventType.EV_TRADE] * 40))
    assert len(segment_numbers(writer.run_dir)) > 2
    sync.finish()
    sync.join(30)
    assert writer.synced_seq == 5200
    writer.close()


def test_a_segment_is_on_the_disk_before_its_successor_has_a_name(tmp_path, monkeypatch):
    # A power cut once could leave a torn segment with a successor, which no reader takes for a torn tail.
    writer = open_writer(new_run(tmp_path), segment_max_bytes=10_000)
    synced = []
    real = os.fdatasync

    def recording(fd):
        synced.append((os.readlink(f"/proc/self/fd/{fd}"), max(segment_numbers(writer.run_dir))))
        real(fd)
    monkeypatch.setattr(os, "fdatasync", recording)
    for _ in range(10):
        writer.append(slots_of(writer.written_seq + 1, [EventType.EV_TRADE] * 60))
    numbers = segment_numbers(writer.run_dir)
    assert len(numbers) > 3
    assert synced == [(str(segment_file(writer.run_dir, n)), n) for n in numbers[:-1]]
    writer.sync()
    assert writer.synced_seq == 600
    writer.close()


def test_the_space_of_a_segment_is_reserved_when_it_is_made_and_given_back_at_its_end(tmp_path):
    run = new_run(tmp_path)
    writer = open_writer(run, segment_max_bytes=4 << 20)
    path = segment_file(run, 1)
    if os.stat(path).st_blocks * 512 < 4 << 20:
        pytest.skip("the file system of the test's directory reserves no space (fallocate)")
    writer.append(slots_of(1, [EventType.EV_TRADE] * 100))
    assert path.stat().st_size == SEGMENT_HEADER_BYTES + BLOCK_HEADER_BYTES + 6400
    writer.close()
    assert os.stat(path).st_blocks * 512 < 1 << 20
    assert len(read_all(run)[0]) == 100


# ---- which journal a path means
def test_a_path_may_be_a_run_a_runs_directory_an_instance_or_a_segment(tmp_path):
    for epoch in (9, 100, 20):
        write_run(new_run(tmp_path / "demo" / "runs", str(epoch)), [epoch])
    latest = tmp_path / "demo" / "runs" / "100"
    for path in (latest, tmp_path / "demo" / "runs", tmp_path / "demo", segment_file(latest, 1), str(latest)):
        slots, reader = read_all(path)
        assert len(slots) >= 100 and reader.run_dir == latest


def test_one_segment_can_be_read_alone(tmp_path):
    run = new_run(tmp_path)
    written = write_run(run, [50] * 20, segment_max_bytes=10_000)
    parts = [read_all(segment_file(run, n)) for n in segment_numbers(run)]
    assert np.concatenate([slots for slots, _ in parts]).tobytes() == written.tobytes()
    assert [reader.final for _, reader in parts] == [False] * (len(parts) - 1) + [True]


@pytest.mark.parametrize("make, what", [
    (lambda p: p / "nothing", "expected a journal, found no such file or directory"),
    (lambda p: p, "expected a run's directory or one that holds runs, found neither"),
    (lambda p: (p / "runs").mkdir() or p, "expected a run's directory or one that holds runs, found neither"),
    (lambda p: new_run(p), "expected segment files segment-NNNNNN.tpj, found none"),
    (lambda p: (p / "x.tpj").write_bytes(b"x") and p / "x.tpj", "expected a journal segment segment-NNNNNN.tpj"),
])
def test_a_path_without_a_journal_is_an_error_with_a_reason(tmp_path, make, what):
    with pytest.raises(JournalError, match=what) as caught:
        JournalReader(make(tmp_path))
    assert not isinstance(caught.value, JournalDamage) and str(tmp_path) in str(caught.value)


def rewrite_header(path, offset, data):
    """Change a segment header and give it a checksum that fits."""
    raw = bytearray(path.read_bytes())
    raw[offset:offset + len(data)] = data
    raw[4092:4096] = struct.pack("<I", zlib.crc32(raw[:4092]))
    path.write_bytes(raw)


@pytest.mark.parametrize("offset, data, what", [
    (0, b"NOTAJRNL", "magic at offset 0: expected b'TICKPJNL', found b'NOTAJRNL'"),
    (8, struct.pack("<I", 1), "format version at offset 8: expected 2, found 1: written by another version"),
    (8, struct.pack("<I", 9), "format version at offset 8: expected 2, found 9: written by another version"),
    (12, struct.pack("<I", 9), "layout version: expected 3, found 9"),
    (16, struct.pack("<Q", 0xBAD), f"layout hash: expected {LAYOUT_HASH:016x}, found 0000000000000bad"),
    (64, bytes(16), "config.json: offset 0: expected hash 0{32} as in segment-000001.tpj"),
])
def test_a_foreign_segment_is_refused_with_what_was_expected(tmp_path, offset, data, what):
    run = new_run(tmp_path)
    write_run(run, [5])
    rewrite_header(segment_file(run, 1), offset, data)
    with pytest.raises(JournalError, match=what):
        JournalReader(run)


def test_a_changed_or_missing_config_is_refused(tmp_path):
    run = new_run(tmp_path)
    write_run(run, [5])
    (run / "config.json").write_bytes(CONFIG + b" ")
    with pytest.raises(JournalDamage, match="not the configuration this journal was written with"):
        JournalReader(run)
    (run / "config.json").unlink()
    with pytest.raises(JournalError, match="config.json: expected the run's configuration, found No such file"):
        JournalReader(run)


# ---- damage
def flip(path, offset, mask=1):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ mask]))


def test_an_incomplete_last_block_is_cut_and_reported(tmp_path):
    run = new_run(tmp_path)
    written = write_run(run, [20, 30, 40], final=False)
    path = segment_file(run, 1)
    whole = path.read_bytes()
    offsets = block_offsets(path)
    for size in range(offsets[-2] + 1, offsets[-1], 13):
        path.write_bytes(whole[:size])
        slots, reader = read_all(run)
        assert slots.tobytes() == written[:len(slots)].tobytes() and len(slots) >= 50
        assert reader.torn_tail == {"path": str(path), "offset": offsets[-2], "bytes_cut": size - offsets[-2]}
        assert not reader.final
    path.write_bytes(whole[:offsets[-2]])
    assert read_all(run)[1].torn_tail is None


def test_a_final_block_that_is_itself_torn_is_a_torn_tail(tmp_path):
    run = new_run(tmp_path)
    written = write_run(run, [20])
    path = segment_file(run, 1)
    os.truncate(path, path.stat().st_size - 10)
    slots, reader = read_all(run)
    assert slots.tobytes() == written.tobytes()
    assert reader.torn_tail["bytes_cut"] == 54 and not reader.final


@pytest.mark.parametrize("zeros", [1, 63, 64, 4096, 3_000_000])
def test_a_tail_of_zeros_is_cut_unless_the_run_ended_in_order(tmp_path, zeros):
    for final in (False, True):
        run = new_run(tmp_path, f"run-{final}")
        written = write_run(run, [20], final=final)
        path = segment_file(run, 1)
        size = path.stat().st_size
        os.truncate(path, size + zeros)
        if final:
            with pytest.raises(JournalDamage, match="expected nothing behind the run's final block") as caught:
                read_all(run)
            assert (caught.value.path, caught.value.offset) == (path, size)
        else:
            slots, reader = read_all(run)
            assert slots.tobytes() == written.tobytes()
            assert reader.torn_tail == {"path": str(path), "offset": size, "bytes_cut": zeros}


def test_other_bytes_at_the_end_are_damage(tmp_path):
    for final in (False, True):
        run = new_run(tmp_path, f"run-{final}")
        write_run(run, [20], final=final)
        with open(segment_file(run, 1), "ab") as f:
            f.write(b"garbage")
        with pytest.raises(JournalDamage):
            read_all(run)


def test_a_bit_flip_in_the_last_whole_block_is_damage_and_no_torn_tail(tmp_path):
    run = new_run(tmp_path)
    write_run(run, [20, 30], final=False)
    path = segment_file(run, 1)
    offsets = block_offsets(path)
    flip(path, offsets[-1] - 1)
    with pytest.raises(JournalDamage, match=r"block of sequences \d+ to \d+: expected checksum") as caught:
        read_all(run)
    assert caught.value.path == path and caught.value.offset == offsets[-2] + BLOCK_HEADER_BYTES
    assert str(caught.value).startswith(f"{path}: offset {offsets[-2] + BLOCK_HEADER_BYTES}: ")


def test_a_zeroed_page_in_the_middle_is_damage(tmp_path):
    run = new_run(tmp_path)
    write_run(run, [100] * 10)
    path = segment_file(run, 1)
    with open(path, "r+b") as f:
        f.seek(3 * 4096)
        f.write(bytes(4096))
    with pytest.raises(JournalDamage):
        read_all(run)


def test_a_block_whose_middle_was_cut_out_is_damage_when_another_follows(tmp_path):
    run = new_run(tmp_path)
    write_run(run, [200, 2], final=False)
    path = segment_file(run, 1)
    raw, offsets = path.read_bytes(), block_offsets(path)
    path.write_bytes(raw[:offsets[0] + 1000] + raw[offsets[0] + 3000:])
    with pytest.raises(JournalDamage, match="behind an incomplete one"):
        read_all(run)


def test_lost_doubled_and_swapped_blocks_are_damage(tmp_path):
    run = new_run(tmp_path)
    write_run(run, [20] * 6)
    path = segment_file(run, 1)
    raw, offsets = path.read_bytes(), block_offsets(path)
    head, blocks = raw[:offsets[0]], [raw[a:b] for a, b in zip(offsets, offsets[1:], strict=False)]
    for order in ([0, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6], [0, 1, 1, 2, 3, 4, 5, 6], [0, 2, 1, 3, 4, 5, 6],
                  [0, 1, 2, 3, 4, 6], [0, 1, 2, 3, 4, 5, 6, 6], [0, 1, 2, 3, 4, 5, 6, 5]):
        path.write_bytes(head + b"".join(blocks[i] for i in order))
        with pytest.raises(JournalDamage):
            read_all(run)
    path.write_bytes(raw)
    assert read_all(run)[1].final


def test_the_same_block_of_another_run_does_not_fit(tmp_path):
    one, other = new_run(tmp_path, "one"), new_run(tmp_path, "other")
    write_run(one, [20, 20])
    write_run(other, [20, 20])
    raw, stranger = segment_file(one, 1).read_bytes(), segment_file(other, 1).read_bytes()
    segment_file(one, 1).write_bytes(raw[:SEGMENT_HEADER_BYTES] + stranger[SEGMENT_HEADER_BYTES:])
    with pytest.raises(JournalDamage, match="expected it to follow a block"):
        read_all(one)


def test_missing_swapped_and_foreign_segments_are_damage(tmp_path):
    run = new_run(tmp_path)
    write_run(run, [50] * 20, segment_max_bytes=10_000)
    raw = {n: segment_file(run, n).read_bytes() for n in segment_numbers(run)}
    last = max(raw)

    def expect_damage(what, changed):
        for n, data in {**raw, **changed}.items():
            segment_file(run, n).unlink(missing_ok=True)
            if data is not None:
                segment_file(run, n).write_bytes(data)
        with pytest.raises(JournalDamage, match=what):
            read_all(run)
    expect_damage("segment-000003.tpj: offset 0: expected segment 3, found none", {3: None})
    expect_damage("segment-000001.tpj: offset 0: expected segment 1, found none", {1: None})
    expect_damage("segment number: expected 2, found 3", {2: raw[3], 3: raw[2]})
    expect_damage("expected nothing behind the run's final block, found a segment", {last + 1: b""})
    cut = block_offsets(segment_file(run, 2))[-2]
    del raw[last]
    segment_file(run, last).unlink()
    segment_file(run, last + 1).unlink()
    expect_damage("segment-000003.tpj: offset 0: segment header: expected it to follow", {2: raw[2][:cut]})
    expect_damage("segment-000002.tpj: offset", {2: raw[2][:cut + 70]})
    expect_damage("segment-000002.tpj: offset", {2: raw[2] + bytes(64)})


HEADER_OF_SEGMENT_2 = struct.pack("<8sIIQI", b"TICKPJNL", 2, LAYOUT_VERSION, LAYOUT_HASH, 2)


@pytest.mark.parametrize("rest", [
    b"", b"TICK", bytes(100), bytes(4096), bytes(10_000), HEADER_OF_SEGMENT_2, HEADER_OF_SEGMENT_2 + b"\7" * 100 + bytes(900),
], ids=len)
def test_a_last_segment_that_a_crash_left_without_its_header_is_a_torn_tail(tmp_path, rest):
    run = new_run(tmp_path)
    written = write_run(run, [20, 20], final=False)
    path = segment_file(run, 2)
    path.write_bytes(rest)
    slots, reader = read_all(run)
    assert slots.tobytes() == written.tobytes()
    assert reader.torn_tail == {"path": str(path), "offset": 0, "bytes_cut": len(rest)}
    assert len(read_all(segment_file(run, 1))[0]) == len(written)


@pytest.mark.parametrize("rest", [
    b"garbage", b"TICKPJNL" + bytes(500), HEADER_OF_SEGMENT_2[:-4] + b"\3\0\0\0", HEADER_OF_SEGMENT_2 + bytes(2000) + b"x",
    bytes(4096) + b"x",
])
def test_a_last_segment_that_begins_otherwise_than_a_header_does_is_refused(tmp_path, rest):
    # A segment whose front was cut out, the magic alone left, once passed for one whose header had not come yet.
    run = new_run(tmp_path)
    write_run(run, [20, 20], final=False)
    segment_file(run, 2).write_bytes(rest)
    with pytest.raises(JournalError):
        read_all(run)


def test_a_single_segment_with_a_damaged_header_is_damage(tmp_path):
    run = new_run(tmp_path)
    write_run(run, [5])
    path = segment_file(run, 1)
    raw = path.read_bytes()
    for damaged in (raw[:1000], b"", raw[:200] + b"\1" + raw[201:]):
        path.write_bytes(damaged)
        with pytest.raises(JournalDamage):
            JournalReader(run)


class DamageRun:
    """A run of several segments, its slots and the bytes of each segment."""

    def __init__(self, run, final):
        self.run = run
        self.written = write_run(run, [30, 1, 60, 2, 45, 10, 80, 5, 5, 33], final=final, segment_max_bytes=9_000)
        self.segments = {n: segment_file(run, n).read_bytes() for n in segment_numbers(run)}


@pytest.fixture(scope="module")
def damage_runs(tmp_path_factory):
    """One that ended in order and one that did not."""
    return [DamageRun(new_run(tmp_path_factory.mktemp("damage")), final) for final in (False, True)]


def begins_a_block(changed, kept):
    return b"TPBK".startswith(changed[len(kept):len(kept) + 4])


def damaged(raw, kind, at, length, mask):
    if kind == "flip":
        return raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1:]
    if kind == "zero":
        return raw[:at] + bytes(len(raw[at:at + length])) + raw[at + length:]
    if kind == "noise":
        return raw[:at] + np.random.default_rng(mask).bytes(len(raw[at:at + length])) + raw[at + length:]
    if kind == "cut out":
        return raw[:at] + raw[at + length:]
    if kind == "doubled":
        return raw[:at + length] + raw[at:]
    if kind == "inserted":
        return raw[:at] + np.random.default_rng(mask).bytes(length) + raw[at:]
    return raw[:at]                       # truncated


@settings(max_examples=examples(700), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_damage_anywhere_is_ever_skipped_in_silence(damage_runs, data):
    chosen = damage_runs[data.draw(st.integers(0, 1))]
    run, written, segments = chosen.run, chosen.written, chosen.segments
    number = data.draw(st.sampled_from(sorted(segments)))
    raw = segments[number]
    kind = data.draw(st.sampled_from(["flip", "zero", "noise", "cut out", "doubled", "inserted", "truncated"]))
    at = data.draw(st.one_of(st.integers(0, len(raw) - 1), st.integers(4000, min(5000, len(raw) - 1)),
                             st.integers(len(raw) - 200, len(raw) - 1)))
    length = data.draw(st.sampled_from([1, 4, 8, 63, 64, 65, 128, 512, 4096]))
    changed = damaged(raw, kind, at, length, data.draw(st.integers(1, 255)))
    if changed == raw:
        return
    path = segment_file(run, number)
    path.write_bytes(changed)
    try:
        reader = JournalReader(run)
        delivered = []
        try:
            for batch in reader.batches():
                delivered.append(batch.copy())
            caught = None
        except JournalDamage as e:
            caught = e
        got = b"".join(b.tobytes() for b in delivered)
        # Whatever was delivered is what was written, from the beginning and without a hole.
        assert written.tobytes()[:len(got)] == got
        if caught is not None:
            assert caught.path.parent == run and 0 <= caught.offset and caught.what
            return
        # Not refused: then it must be a cut at the end of the last segment, and nobody may take it for an orderly end.
        assert number == max(segments) and not reader.final
        if reader.torn_tail is None:
            assert changed == raw[:len(changed)]
        else:
            kept = changed[:reader.torn_tail["offset"]]
            assert kept == raw[:len(kept)]
            assert reader.torn_tail["bytes_cut"] == len(changed) - len(kept)
            assert raw.startswith(changed) or not changed[len(kept):].strip(b"\0") or begins_a_block(changed, kept)
    except JournalError:
        pass
    finally:
        path.write_bytes(raw)


def test_a_flip_of_a_single_byte_is_detected(damage_runs):
    for chosen in damage_runs:
        run, number = chosen.run, max(chosen.segments)
        raw, path = chosen.segments[number], segment_file(run, number)
        try:
            for at in [*range(0, 256, 5), *range(4080, 4300), *range(4300, len(raw), 7)]:
                path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1:])
                with pytest.raises(JournalError):
                    read_all(run)
        finally:
            path.write_bytes(raw)


# ---- the writer refuses
def test_a_run_directory_that_holds_a_journal_already_is_refused(tmp_path):
    run = new_run(tmp_path)
    write_run(run, [5])
    with pytest.raises(JournalError, match=r"segment-000001.tpj: expected no journal in a new run's directory"):
        open_writer(run)
    with pytest.raises(JournalError, match="expected a directory, found No such file"):
        open_writer(tmp_path / "nothing")


def test_slots_out_of_order_are_refused(tmp_path):
    writer = open_writer(new_run(tmp_path))
    writer.append(slots_of(1, [EventType.EV_TRADE] * 5))
    with pytest.raises(JournalError, match="expected sequence 6 or a later one, found 5"):
        writer.append(slots_of(5, [EventType.EV_TRADE]))
    broken = slots_of(6, [EventType.EV_TRADE] * 4)
    broken["seq"][2] = 99
    with pytest.raises(JournalError, match="expected sequence 8, found 99"):
        writer.append(broken)
    with pytest.raises(ValueError, match="expected an array of SLOT_DTYPE"):
        writer.append(np.zeros(4))


def test_a_full_disk_raises_with_the_reason_and_leaves_no_half_block(tmp_path, monkeypatch):
    run = new_run(tmp_path)
    writer = open_writer(run)
    writer.append(slots_of(1, [EventType.EV_TRADE] * 5))
    monkeypatch.setattr(os, "writev", lambda fd, parts: os.write(fd, b"".join(map(bytes, parts))[:100]))
    real_write = os.write
    calls = []

    def write(fd, data):
        calls.append(len(data))
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_write(fd, data)
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(JournalError, match=r"segment-000001.tpj: write: expected the disk to take it, found No space left on device \(errno 28\)"):
        writer.append(slots_of(6, [EventType.EV_TRADE] * 5))
    monkeypatch.undo()
    assert writer.written_seq == 5
    with pytest.raises(JournalError, match="No space left"):
        writer.append(slots_of(6, [EventType.EV_TRADE]))
    with pytest.raises(JournalError, match="No space left"):
        writer.sync()
    writer.close()
    slots, reader = read_all(run)
    assert len(slots) == 5 and reader.torn_tail is None and not reader.final


def test_a_really_full_file_system_raises_with_the_reason(tmp_path):
    # RLIMIT_FSIZE stands in for a full disk: the kernel writes a part and then answers EFBIG.
    import resource
    import signal
    run = new_run(tmp_path)
    writer = open_writer(run)
    previous, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, previous[1]))
        with pytest.raises(JournalError, match="File too large"):
            writer.append(slots_of(1, [EventType.EV_TRADE] * 5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, previous)
        signal.signal(signal.SIGXFSZ, handler)
    writer.close()
    assert len(read_all(run)[0]) == 0


def test_a_failed_fsync_is_never_tried_again(tmp_path, monkeypatch):
    writer = open_writer(new_run(tmp_path))
    writer.append(slots_of(1, [EventType.EV_TRADE]))

    def fail(fd):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(JournalError, match="segment-000001.tpj: fsync: .*Input/output error"):
        writer.sync()
    monkeypatch.undo()
    # fsync(2): the pages may be marked clean by now, and a second fsync would wrongly succeed.
    with pytest.raises(JournalError, match="Input/output error"):
        writer.sync()
    assert (writer.written_seq, writer.synced_seq) == (1, 0)
    writer.close()


def test_a_closed_journal_takes_nothing_more(tmp_path):
    writer = open_writer(new_run(tmp_path))
    writer.close()
    writer.close()
    with pytest.raises(JournalError, match="expected an open journal, found it closed"):
        writer.append(slots_of(1, [EventType.EV_TRADE]))


def test_a_segment_size_without_room_for_one_record_is_refused(tmp_path):
    with pytest.raises(ValueError, match="segment_max_bytes: expected at least 4352, found 4096"):
        open_writer(new_run(tmp_path), segment_max_bytes=4096)
