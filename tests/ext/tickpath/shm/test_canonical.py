"""`output_hash`: covers what was decided, whatever the cuts, the sequence numbers and the clock."""
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.shm.canonical import CANONICAL, FIELDS, OutputHasher
from tickpath.types import DTYPES, EVENT_NAMES, SLOT_COUNTS, SLOT_DTYPE, EventType

OUTPUT_FIRST, OUTPUT_LAST = 32, 63              # the range of EventType in types.pxd
RECORD_TYPES = sorted(kind for kind in DTYPES if kind not in (EventType.EV_NONE, EventType.EV_CONT))


def record(kind, /, **fields):
    """One record as slots."""
    made = np.zeros(1, DTYPES[kind])
    made["type"] = kind
    if "type2" in made.dtype.names:
        made["type2"] = EventType.EV_CONT
    for name, value in fields.items():
        made[name] = value
    return made.view(np.uint8).view(SLOT_DTYPE)


def stream(random, count):
    """Records of every type with random fields, as slots with consecutive sequences."""
    parts = []
    for _ in range(count):
        kind = RECORD_TYPES[random.integers(len(RECORD_TYPES))]
        made = np.frombuffer(random.bytes(DTYPES[kind].itemsize), DTYPES[kind]).copy()
        made["type"] = kind
        if "type2" in made.dtype.names:
            made["type2"] = EventType.EV_CONT
        parts.append(made.view(np.uint8).view(SLOT_DTYPE))
    slots = np.concatenate([np.empty(0, SLOT_DTYPE), *parts])
    slots["seq"] = np.arange(1, len(slots) + 1)
    return slots


def row(**fields):
    made = np.zeros(1, CANONICAL)
    for name, value in fields.items():
        made[name] = value
    return made


def hash_of(slots):
    hasher = OutputHasher()
    hasher.update(slots)
    return hasher.hexdigest()


def test_a_row_is_sixty_four_little_endian_bytes_without_holes():
    assert CANONICAL.itemsize == 64
    assert [(name, CANONICAL.fields[name][0].str, CANONICAL.fields[name][1]) for name in CANONICAL.names] == [
        ("input_ordinal", "<u8", 0), ("order_ordinal", "<u8", 8), ("ticks", "<i8", 16), ("lots", "<i8", 24),
        ("extra1", "<i8", 32), ("extra2", "<i8", 40), ("instrument", "<u4", 48), ("type", "|u1", 52),
        ("strategy", "|u1", 53), ("side", "|u1", 54), ("detail", "|u1", 55), ("reason", "<u4", 56), ("state", "|u1", 60),
        ("prev_state", "|u1", 61), ("time_in_force", "|u1", 62), ("pad", "|u1", 63)]


def test_every_output_type_has_a_canonical_form():
    assert {int(kind) for kind in FIELDS} == {kind for kind in EVENT_NAMES if OUTPUT_FIRST <= kind <= OUTPUT_LAST}


@pytest.mark.parametrize("made, expected", [
    (record(EventType.EV_SIGNAL, instrument=3, kind=2, value=1.5, value2=-0.0),
     row(instrument=3, detail=2, extra1=struct.unpack("<q", struct.pack("<d", 1.5))[0],
         extra2=struct.unpack("<q", struct.pack("<d", -0.0))[0])),
    (record(EventType.EV_INTENT, instrument=1, order_ordinal=9, price_ticks=-(2**63), qty_lots=4, order_type=1,
            time_in_force=3, side=2, strategy=7, client_order_id=[b"x"] * 18, seen_seq=5),
     row(instrument=1, order_ordinal=9, ticks=-(2**63), lots=4, detail=1, time_in_force=3, side=2, strategy=7)),
    (record(EventType.EV_CANCEL, instrument=1, order_ordinal=9, reason=0x10203, strategy=7, seen_seq=5),
     row(instrument=1, order_ordinal=9, reason=0x10203, strategy=7)),
    (record(EventType.EV_REFUSAL, instrument=1, order_ordinal=9, price_ticks=10, qty_lots=4, reason=12, flags=12, side=1,
            order_type=2, strategy=7, action=3),
     row(instrument=1, order_ordinal=9, ticks=10, lots=4, reason=12, side=1, detail=2, strategy=7)),
    (record(EventType.EV_ORDER_STATE, instrument=1, order_ordinal=9, leaves_qty_lots=3, cum_qty_lots=1, state=3,
            prev_state=2, reason=1, side=1, strategy=7),
     row(instrument=1, order_ordinal=9, lots=3, extra1=1, state=3, prev_state=2, reason=1, side=1, strategy=7)),
    (record(EventType.EV_FILL, instrument=1, order_ordinal=9, price_ticks=10, qty_lots=4, fee_e8=-77, position_lots=-4,
            side=2, strategy=7, flags=0xFFFF, trade_id=5, cum_qty_lots=4),
     row(instrument=1, order_ordinal=9, ticks=10, lots=4, extra1=-77, extra2=-4, side=2, strategy=7, state=1)),
    (record(EventType.EV_POSITION, instrument=1, position_lots=-4, open_cost_ticklots=-40, realised_ticklots=6, fees_e8=8),
     row(instrument=1, lots=-4, ticks=-40, extra1=6, extra2=8)),
], ids=lambda value: EVENT_NAMES.get(int(value["type"][0]), "row") if value.dtype == SLOT_DTYPE else "")
def test_each_output_type_becomes_its_row(made, expected):
    hasher = OutputHasher()
    rows = hasher.update(np.concatenate([record(EventType.EV_FRAME), record(EventType.EV_TRADE), made]))
    expected["type"], expected["input_ordinal"] = made["type"][0], 2
    assert rows.dtype == CANONICAL and rows.tobytes() == expected.tobytes()
    assert hasher.hexdigest() == hashlib.blake2b(expected.tobytes(), digest_size=16).hexdigest()
    assert (hasher.inputs, hasher.outputs) == (2, 1)


def test_the_input_ordinal_counts_records_and_not_slots():
    slots = np.concatenate([
        record(EventType.EV_FRAME), record(EventType.EV_EXEC_REPORT), record(EventType.EV_CANCEL),
        record(EventType.EV_LATENCY), record(EventType.EV_BAR), record(EventType.EV_HEALTH), record(EventType.EV_CLOCK),
        record(EventType.EV_FILL), record(EventType.EV_POSITION)])
    hasher = OutputHasher()
    assert hasher.update(slots)["input_ordinal"].tolist() == [2, 3, 3]
    assert hasher.counts_by_type == {1: 1, 5: 1, 7: 1, 16: 1, 18: 1, 20: 1, 34: 1, 37: 1, 38: 1}
    assert hasher.names()["exec_report"] == 1 and sum(hasher.counts_by_type.values()) == 9


@settings(max_examples=examples(150), deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 120), st.data())
def test_the_hash_does_not_depend_on_how_the_stream_is_cut(seed, count, data):
    slots = stream(np.random.default_rng(seed), count)
    whole, parts = OutputHasher(), OutputHasher()
    rows = whole.update(slots)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(slots)), max_size=20)))
    cut_rows = [parts.update(slots[a:b]) for a, b in zip([0, *cuts], [*cuts, len(slots)], strict=True)]
    assert np.concatenate(cut_rows).tobytes() == rows.tobytes()
    assert parts.hexdigest() == whole.hexdigest()
    assert (parts.inputs, parts.outputs, parts.counts_by_type) == (whole.inputs, whole.outputs, whole.counts_by_type)
    assert sum(whole.counts_by_type.values()) == count
    assert whole.hexdigest() == hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest()


@settings(max_examples=examples(50), deadline=None)
@given(st.integers(0, 2**32))
def test_sequences_times_and_derived_records_are_left_out(seed):
    random = np.random.default_rng(seed)
    slots = stream(random, 60)
    later = slots.copy()
    later["seq"] += np.uint64(1000)
    later["ts_recv_ns"] = random.integers(0, 2**62, len(slots))
    later["ts_venue_ns"][slots["type"] != EventType.EV_CONT] = 5
    later["venue"] = 1
    assert hash_of(later) == hash_of(slots)
    derived = [k for k in RECORD_TYPES if 16 <= k <= 31 and SLOT_COUNTS[k] == 1]
    assert hash_of(slots[~np.isin(slots["type"], derived)]) == hash_of(slots)


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(0, 2**32), st.data())
def test_a_change_of_any_covered_field_changes_the_hash(seed, data):
    kind = data.draw(st.sampled_from(sorted(FIELDS)))
    source = data.draw(st.sampled_from(["instrument", *FIELDS[kind].values()]))
    made = np.frombuffer(np.random.default_rng(seed).bytes(DTYPES[kind].itemsize), DTYPES[kind]).copy()
    made["type"] = kind
    if "type2" in made.dtype.names:
        made["type2"] = EventType.EV_CONT
    changed = made.copy()
    changed.view(np.uint8)[made.dtype.fields[source][1]] ^= 1
    assert hash_of(made.view(np.uint8).view(SLOT_DTYPE)) != hash_of(changed.view(np.uint8).view(SLOT_DTYPE))


def test_the_order_of_outputs_and_of_inputs_between_them_matters():
    a, b, trade = record(EventType.EV_CANCEL), record(EventType.EV_POSITION), record(EventType.EV_TRADE)
    hashes = {hash_of(np.concatenate(parts)) for parts in ([a, b], [b, a], [trade, a, b], [a, trade, b], [a, b, b])}
    assert len(hashes) == 5
    assert hash_of(np.concatenate([a, b, trade])) == hash_of(np.concatenate([a, b]))


def test_halves_of_a_record_that_a_lap_tore_are_neither_counted_nor_hashed():
    fill, trade = record(EventType.EV_FILL), record(EventType.EV_TRADE)
    hasher = OutputHasher()
    rows = hasher.update(np.concatenate([fill[1:], trade, fill[:1], trade, record(EventType.EV_POSITION), fill[:1]]))
    assert rows["type"].tolist() == [EventType.EV_POSITION]
    assert hasher.counts_by_type == {EventType.EV_TRADE: 2, EventType.EV_POSITION: 1}


def test_nothing_at_all_has_the_hash_of_no_bytes():
    hasher = OutputHasher()
    assert len(hasher.update(np.empty(0, SLOT_DTYPE))) == 0
    assert hasher.hexdigest() == hashlib.blake2b(b"", digest_size=16).hexdigest()
    assert (hasher.inputs, hasher.outputs, hasher.counts_by_type) == (0, 0, {})


def test_an_output_type_without_a_canonical_form_is_refused():
    slot = np.zeros(1, SLOT_DTYPE)
    slot["type"] = 50
    with pytest.raises(ValueError, match=r"output type: expected one of \[32, 33, 34, 35, 36, 37, 38\], found 50"):
        OutputHasher().update(slot)
