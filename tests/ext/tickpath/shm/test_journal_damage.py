"""Over a thousand random places: a torn tail is cut and told, everything else is named by file and offset, nothing is
skipped. The reader may give a prefix of what was written and nothing else."""
import json
import shutil
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.shm.journal import (
    BLOCK_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    JournalDamage,
    JournalError,
    JournalReader,
    JournalWriter,
    segment_file,
    segment_numbers,
)
from tickpath.shm.journal_fast import crc32
from tickpath.shm.journal_format import pack_block_header, unpack_block_header
from tickpath.types import SLOT_DTYPE, EventType

CONFIG = json.dumps({"epoch": 12}).encode()
TRADE, FILL, REST = EventType.EV_TRADE, EventType.EV_FILL, EventType.EV_CONT


class Written:
    """A journal of several segments, synced at every step, with what it holds and where its blocks begin."""

    def __init__(self, run, *, final):
        random = np.random.default_rng(11)
        self.run, self.final = run, final
        run.mkdir(parents=True)
        (run / "config.json").write_bytes(CONFIG)
        writer = JournalWriter(run, instance="demo", epoch=12, config_bytes=CONFIG, segment_max_bytes=24_000)
        parts = []
        for count in [30, 1, 60, 2, 150, 10, 80, 5, 100, 33, 120, 7, 90, 64, 40]:
            types = [t for _ in range(count) for t in ([TRADE], [FILL, REST])[random.integers(2)]]
            slots = np.zeros(len(types), SLOT_DTYPE)
            slots["payload"] = random.integers(0, 2**63, (len(types), 4))
            slots["type"], slots["ts_recv_ns"] = types, writer.written_seq + 1
            slots["seq"] = writer.written_seq + 1 + np.arange(len(types))
            parts.append(writer.append(slots).copy())
            writer.sync()
        writer.close(final=final)
        self.slots = np.concatenate(parts)
        self.segments = {n: segment_file(run, n).read_bytes() for n in segment_numbers(run)}
        self.blocks = {n: block_offsets(raw) for n, raw in self.segments.items()}
        self.last = max(self.segments)

    def put(self, segments):
        for n, raw in segments.items():
            segment_file(self.run, n).write_bytes(raw)


def block_offsets(raw):
    """Offsets of the blocks, and the size last."""
    offsets = [SEGMENT_HEADER_BYTES]
    while offsets[-1] < len(raw):
        offsets.append(offsets[-1] + BLOCK_HEADER_BYTES + struct.unpack_from("<I", raw, offsets[-1] + 8)[0])
    return offsets


@pytest.fixture(scope="module")
def journals(tmp_path_factory):
    base = tmp_path_factory.mktemp("damage")
    return [Written(base / str(final), final=final) for final in (False, True)]


def read(run):
    """(slots read before the end, reader or None, error or None)."""
    got, reader = [np.empty(0, SLOT_DTYPE)], None
    try:
        reader = JournalReader(run)
        for batch in reader.batches():
            got.append(batch.copy())
    except JournalError as e:
        return np.concatenate(got), reader, e
    return np.concatenate(got), reader, None


def check_detected(journal, segments):
    """With these segments in their places: a prefix, then an error that names one of the files and an offset."""
    journal.put(segments)
    try:
        got, _, error = read(journal.run)
    finally:
        journal.put(journal.segments)
    assert error is not None, "the damage was not seen"
    assert got.tobytes() == journal.slots[:len(got)].tobytes()
    assert str(journal.run / "segment-") in str(error) and "offset" in str(error)
    if isinstance(error, JournalDamage):
        assert error.path.parent == journal.run and error.offset >= 0 and error.what


def one_of(draw, journals):
    return journals[draw(st.integers(0, 1))]


MANY = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=examples(250), **MANY)
@given(st.data())
def test_a_tail_torn_at_any_byte_of_the_last_block_is_cut_and_told(journals, data):
    journal = one_of(data.draw, journals)
    raw, offsets = journal.segments[journal.last], journal.blocks[journal.last]
    size = data.draw(st.integers(offsets[-2], len(raw) - 1))
    segment_file(journal.run, journal.last).write_bytes(raw[:size])
    try:
        got, reader, error = read(journal.run)
    finally:
        journal.put(journal.segments)
    assert error is None and not reader.final
    whole = len(journal.slots) - (0 if journal.final else struct.unpack_from("<I", raw, offsets[-2] + 12)[0])
    assert got.tobytes() == journal.slots[:whole].tobytes()
    cut = size - offsets[-2]
    assert reader.torn_tail == ({"path": str(segment_file(journal.run, journal.last)), "offset": offsets[-2],
                                 "bytes_cut": cut} if cut else None)


@settings(max_examples=examples(400), **MANY)
@given(st.data())
def test_a_changed_bit_page_or_slot_is_detected(journals, data):
    journal = one_of(data.draw, journals)
    number = data.draw(st.sampled_from(sorted(journal.segments)))
    raw = journal.segments[number]
    kind = data.draw(st.sampled_from(["bit", "page", "slot"]))
    if kind == "bit":
        at = data.draw(st.one_of(st.integers(0, len(raw) - 1), st.integers(0, 200), st.integers(4090, 4200)))
        changed = raw[:at] + bytes([raw[at] ^ 1 << data.draw(st.integers(0, 7))]) + raw[at + 1:]
    else:
        size = 4096 if kind == "page" else 64
        at = size * data.draw(st.integers(0, (len(raw) - 1) // size))
        changed = raw[:at] + bytes(len(raw[at:at + size])) + raw[at + size:]
    if changed == raw:
        return
    tail = journal.blocks[journal.last][-2]
    if number == journal.last and not raw[tail:] == changed[tail:] and not changed[tail:].strip(b"\0"):
        return                             # the last block, whole, as zeros: what a crash leaves where a file grew ahead
    check_detected(journal, {number: changed})


def rearranged(draw, items):
    """A list in which one item was lost, doubled or swapped with another; never the last alone lost."""
    k = draw(st.integers(0, len(items) - 2))
    other = draw(st.integers(0, len(items) - 1).filter(lambda j: j != k))
    kind = draw(st.sampled_from(["lost", "doubled", "swapped"]))
    if kind == "lost":
        return items[:k] + items[k + 1:]
    if kind == "doubled":
        return items[:k] + [items[k]] + items[k:]
    items = list(items)
    items[k], items[other] = items[other], items[k]
    return items


@settings(max_examples=examples(150), **MANY)
@given(st.data())
def test_lost_doubled_and_swapped_blocks_are_detected(journals, data):
    journal = one_of(data.draw, journals)
    number = data.draw(st.sampled_from([n for n, offsets in journal.blocks.items() if len(offsets) > 2]))
    raw, offsets = journal.segments[number], journal.blocks[number]
    blocks = [raw[a:b] for a, b in zip(offsets, offsets[1:], strict=False)]
    check_detected(journal, {number: raw[:SEGMENT_HEADER_BYTES] + b"".join(rearranged(data.draw, blocks))})


@settings(max_examples=examples(200), **MANY)
@given(st.data(), st.booleans())
def test_lost_doubled_and_swapped_slots_in_a_block_are_detected(journals, data, checksums_fit):
    journal = one_of(data.draw, journals)
    number = data.draw(st.sampled_from(sorted(journal.segments)))
    raw, offsets = journal.segments[number], journal.blocks[number]
    k = data.draw(st.integers(0, len(offsets) - 2))
    begin, end = offsets[k] + BLOCK_HEADER_BYTES, offsets[k + 1]
    slots = [raw[i:i + 64] for i in range(begin, end, 64)]
    if len(slots) < 2:
        return
    payload = b"".join(rearranged(data.draw, slots))
    head = raw[offsets[k]:begin]
    if end == len(raw) and number == journal.last and len(payload) < end - begin and not checksums_fit:
        return                             # the file ends inside its last block: a torn tail, as of a crash
    if checksums_fit:
        # Not what a disk does: somebody made the block anew. The sequences in the slots still tell, or the chain.
        block, _ = unpack_block_header(head, 0)
        head, _ = pack_block_header(flags=block.flags, slot_count=len(payload) // 64, first_seq=block.first_seq,
                                    payload_crc=crc32(payload), previous_crc=block.previous_crc,
                                    first_ts_ns=block.first_ts_ns)
    check_detected(journal, {number: raw[:offsets[k]] + head + payload + raw[end:]})


@settings(max_examples=examples(60), **MANY)
@given(st.data())
def test_swapped_and_truncated_segments_are_detected(journals, data):
    journal = one_of(data.draw, journals)
    numbers = sorted(journal.segments)
    a, b = data.draw(st.permutations(numbers))[:2]
    check_detected(journal, {a: journal.segments[b], b: journal.segments[a]})
    middle = data.draw(st.sampled_from(numbers[:-1]))
    raw = journal.segments[middle]
    size = data.draw(st.one_of(st.integers(0, len(raw) - 1), st.sampled_from(journal.blocks[middle][:-1])))
    check_detected(journal, {middle: raw[:size]})


def test_an_old_copy_put_back_is_refused_by_what_the_summary_tells(journals, tmp_path):
    journal = journals[1]
    run = shutil.copytree(journal.run, tmp_path / "run")
    last_seq = int(journal.slots["seq"][-1])
    (run / "summary.json").write_text(json.dumps({"last_seq": last_seq, "orderly": True}))
    assert read(run)[2] is None
    path = segment_file(run, journal.last)
    for offset in journal.blocks[journal.last][:-1]:
        path.write_bytes(journal.segments[journal.last][:offset])
        got, _, error = read(run)
        assert isinstance(error, JournalDamage) and "as in summary.json" in str(error) and str(path) in str(error)
        assert got.tobytes() == journal.slots[:len(got)].tobytes()
    path.unlink()
    assert "as in summary.json" in str(read(run)[2])
    path.write_bytes(journal.segments[journal.last])
    # An older copy of one segment in the middle: shorter, and all of it once true.
    segment_file(run, 2).write_bytes(journal.segments[2][:journal.blocks[2][-2]])
    assert isinstance(read(run)[2], JournalDamage)
