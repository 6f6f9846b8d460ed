"""Reading from a sequence or a time on equals reading all and cutting, whatever has become of the index."""
import bisect
import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.shm import journal_reader
from tickpath.shm.journal import JournalReader, JournalWriter, index_file, segment_file, segment_numbers
from tickpath.shm.journal_format import INDEX_ENTRY, SEGMENT_HEADER_BYTES
from tickpath.shm.journal_reader import read_index
from tickpath.types import SLOT_DTYPE, EventType

CONFIG = json.dumps({"epoch": 12}).encode()
TRADE, FILL, REST = EventType.EV_TRADE, EventType.EV_FILL, EventType.EV_CONT


def written_run(run, seed, *, block_count=40, segment_max_bytes=9_000, gaps=True):
    """A run of records of one and two slots, times that stand still or grow, and laps; returns its slots."""
    random = np.random.default_rng(seed)
    run.mkdir(parents=True)
    (run / "config.json").write_bytes(CONFIG)
    writer = JournalWriter(run, instance="demo", epoch=12, config_bytes=CONFIG, segment_max_bytes=segment_max_bytes)
    parts, ts_ns = [], 1_000
    for _ in range(block_count):
        types = [t for _ in range(random.integers(1, 25)) for t in ([TRADE], [FILL, REST])[random.integers(2)]]
        slots = np.zeros(len(types), SLOT_DTYPE)
        slots["type"] = types
        lost = int(random.integers(1, 50)) if gaps and random.integers(10) == 0 else 0
        slots["seq"] = writer.written_seq + 1 + lost + np.arange(len(types))
        slots["ts_recv_ns"] = ts_ns + np.cumsum(random.integers(0, 2, len(types)) * random.integers(0, 30))
        ts_ns = int(slots["ts_recv_ns"][-1])
        slots["payload"] = random.integers(0, 2**63, (len(types), 4))
        parts.append(writer.append(slots).copy())
    writer.close()
    return np.concatenate(parts)


def read(run, **start):
    reader = JournalReader(run)
    slots = np.concatenate([np.empty(0, SLOT_DTYPE), *reader.batches(**start)])
    assert reader.final
    return slots


def cut_at_seq(slots, start_seq):
    return slots[slots["seq"] >= start_seq]


def cut_at_time(slots, start_ts_ns):
    begins = np.flatnonzero((slots["ts_recv_ns"] >= start_ts_ns) & (slots["type"] != REST))
    return slots[begins[0]:] if len(begins) else slots[:0]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    base = tmp_path_factory.mktemp("seek")
    return [(base / str(seed), written_run(base / str(seed), seed)) for seed in range(6)]


@settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_seeking_equals_reading_all_and_cutting(runs, data):
    run, slots = runs[data.draw(st.integers(0, len(runs) - 1))]
    start_seq = data.draw(st.one_of(st.integers(0, int(slots["seq"][-1]) + 5), st.sampled_from(slots["seq"].tolist())))
    assert read(run, start_seq=start_seq).tobytes() == cut_at_seq(slots, start_seq).tobytes()
    start_ts_ns = data.draw(st.one_of(st.integers(-5, int(slots["ts_recv_ns"][-1]) + 5),
                                      st.sampled_from(slots["ts_recv_ns"].tolist()), st.sampled_from([-2**70, 2**70])))
    assert read(run, start_ts_ns=start_ts_ns).tobytes() == cut_at_time(slots, start_ts_ns).tobytes()


def damage_index(path, data):
    raw = path.read_bytes() if path.exists() else b""
    kind = data.draw(st.sampled_from(["missing", "cut", "flip", "zero", "noise", "swapped", "doubled", "of another segment"]))
    at = data.draw(st.integers(0, max(len(raw) - 1, 0)))
    entries = [raw[i:i + 32] for i in range(0, len(raw), 32)]
    if kind == "missing":
        path.unlink(missing_ok=True)
        return
    if kind == "cut":
        raw = raw[:at]
    elif kind == "flip" and raw:
        raw = raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1:]
    elif kind == "zero":
        raw = raw[:at] + bytes(len(raw) - at)
    elif kind == "noise":
        raw = np.random.default_rng(at).bytes(len(raw) + 5)
    elif kind == "swapped" and len(entries) > 1:
        k = data.draw(st.integers(0, len(entries) - 2))
        entries[k], entries[k + 1] = entries[k + 1], entries[k]
        raw = b"".join(entries)
    elif kind == "doubled":
        raw = b"".join(entries[:at // 32 + 1] + entries[at // 32:])
    elif kind == "of another segment":
        raw = sorted(path.parent.glob("*.tpi"))[0].read_bytes()
    path.write_bytes(raw)


@settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_damaged_index_changes_nothing(runs, data):
    run, slots = runs[data.draw(st.integers(0, len(runs) - 1))]
    path = index_file(segment_file(run, data.draw(st.sampled_from(segment_numbers(run)))))
    whole = path.read_bytes()
    try:
        damage_index(path, data)
        for start_seq in data.draw(st.lists(st.sampled_from(slots["seq"].tolist()), min_size=3, max_size=3)):
            assert read(run, start_seq=start_seq).tobytes() == cut_at_seq(slots, start_seq).tobytes()
        start_ts_ns = data.draw(st.sampled_from(slots["ts_recv_ns"].tolist()))
        assert read(run, start_ts_ns=start_ts_ns).tobytes() == cut_at_time(slots, start_ts_ns).tobytes()
        assert read(run).tobytes() == slots.tobytes()
    finally:
        path.write_bytes(whole)


def test_an_index_whose_entries_all_lie_alike_is_not_believed(runs):
    # All offsets fit, the sequences are wrong: only the block's own header can tell.
    run, slots = runs[0]
    path = index_file(segment_file(run, 2))
    whole = path.read_bytes()
    entries = np.frombuffer(whole, INDEX_ENTRY).copy()
    wanted = int(entries["first_seq"][1])
    entries["first_seq"][:-1] -= 10
    path.write_bytes(entries.tobytes())
    try:
        for start_seq in (wanted - 5, wanted, wanted + 1):
            assert read(run, start_seq=start_seq).tobytes() == cut_at_seq(slots, start_seq).tobytes()
    finally:
        path.write_bytes(whole)


def test_the_index_holds_every_block_and_a_seek_looks_at_no_block_before_its_own(tmp_path, monkeypatch):
    run = tmp_path / "run"
    slots = written_run(run, 3, block_count=60, segment_max_bytes=1 << 20, gaps=False)
    path = segment_file(run, 1)
    entries = np.frombuffer(index_file(path).read_bytes(), INDEX_ENTRY)
    assert INDEX_ENTRY.itemsize == 32 and len(entries) == 60
    assert entries.tobytes() == read_index(path, from_file=False).tobytes()
    assert entries["offset"][0] == SEGMENT_HEADER_BYTES and entries["slot_count"].sum() == len(slots)
    looked_at = []
    real = journal_reader.unpack_block_header
    monkeypatch.setattr(journal_reader, "unpack_block_header", lambda d, o: looked_at.append(o) or real(d, o))
    start_seq = int(entries["first_seq"][40]) + 1
    assert read(run, start_seq=start_seq).tobytes() == cut_at_seq(slots, start_seq).tobytes()
    # Besides: the last one, once, because it tells whether the index is this segment's.
    assert [o for o in looked_at if o < entries["offset"][40]] == []


def test_a_killed_writers_index_that_lags_behind_is_completed(tmp_path):
    run = tmp_path / "run"
    slots = written_run(run, 4, block_count=50, segment_max_bytes=1 << 20, gaps=False)
    path = index_file(segment_file(run, 1))
    os.truncate(path, 10 * 32 + 7)
    for start_seq in (5, int(slots["seq"][len(slots) // 2]), int(slots["seq"][-1])):
        assert read(run, start_seq=start_seq).tobytes() == cut_at_seq(slots, start_seq).tobytes()


def test_times_that_go_back_begin_with_the_first_record_that_is_late_enough(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_bytes(CONFIG)
    writer = JournalWriter(run, instance="demo", epoch=12, config_bytes=CONFIG, segment_max_bytes=6_000)
    times = [100, 500, 50, 200, 700, 600, 10]
    for ts_ns in times:
        slots = np.zeros(20, SLOT_DTYPE)
        slots["type"], slots["ts_recv_ns"] = TRADE, ts_ns
        slots["seq"] = writer.written_seq + 1 + np.arange(20)
        writer.append(slots)
    writer.close()
    assert len(segment_numbers(run)) > 2
    for start_ts_ns, block in ((60, 0), (101, 1), (400, 1), (501, 4), (701, 7)):
        assert read(run, start_ts_ns=start_ts_ns)["seq"].tolist() == list(range(20 * block + 1, 141)), start_ts_ns


def test_a_start_is_one_of_sequence_and_time(runs):
    with pytest.raises(ValueError, match="expected start_seq or start_ts_ns, found both"):
        list(JournalReader(runs[0][0]).batches(1, start_ts_ns=1))


def test_the_segment_that_holds_a_time_is_found_by_its_header(runs):
    run, slots = runs[1]
    headers = JournalReader(run)._headers
    assert headers[0].first_ts_ns == 0 and len(headers) > 4
    begins = [int(slots["ts_recv_ns"][np.searchsorted(slots["seq"], h.first_seq)]) for h in headers[1:]]
    assert [h.first_ts_ns for h in headers[1:]] == begins and bisect.bisect_left(begins, begins[2]) <= 2
