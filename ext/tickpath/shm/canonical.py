"""`output_hash`: BLAKE2b-128 over what the engine decided, in a form that does not depend on when or where it ran.

Each output record (signal, intent, cancel, refusal, order state, fill, position) becomes one 64-byte row CANONICAL; the
hash is over the rows in order. Kept: the ordinal of the input that caused it, instrument, strategy, order ordinal,
side, type, ticks, lots, reason, states, and the exact money sums. Left out: ring sequence, epoch, client order ids,
venue and trade ids, cycle stamps, times.
"""
import hashlib

import numpy as np

from tickpath.shm.journal_fast import RecordScanner
from tickpath.shm.journal_format import SLOTS_OF_TYPE
from tickpath.types import DTYPES, EVENT_NAMES, SLOT_DTYPE, EventType

CANONICAL = np.dtype([
    ("input_ordinal", "<u8"),     # input records up to and including the one that caused it
    ("order_ordinal", "<u8"), ("ticks", "<i8"), ("lots", "<i8"), ("extra1", "<i8"), ("extra2", "<i8"),
    ("instrument", "<u4"), ("type", "u1"), ("strategy", "u1"), ("side", "u1"), ("detail", "u1"),
    ("reason", "<u4"), ("state", "u1"), ("prev_state", "u1"), ("time_in_force", "u1"), ("pad", "u1")])

# EventType -> {canonical field: record field}.
FIELDS = {
    EventType.EV_SIGNAL: {"detail": "kind", "extra1": "value", "extra2": "value2"},
    EventType.EV_INTENT: {"order_ordinal": "order_ordinal", "ticks": "price_ticks", "lots": "qty_lots", "side": "side",
                          "detail": "order_type", "time_in_force": "time_in_force", "strategy": "strategy"},
    EventType.EV_CANCEL: {"order_ordinal": "order_ordinal", "strategy": "strategy", "reason": "reason"},
    EventType.EV_REFUSAL: {"order_ordinal": "order_ordinal", "ticks": "price_ticks", "lots": "qty_lots", "side": "side",
                           "detail": "order_type", "strategy": "strategy", "reason": "reason"},
    EventType.EV_ORDER_STATE: {"order_ordinal": "order_ordinal", "lots": "leaves_qty_lots", "extra1": "cum_qty_lots",
                               "state": "state", "prev_state": "prev_state", "side": "side", "strategy": "strategy",
                               "reason": "reason"},
    EventType.EV_FILL: {"order_ordinal": "order_ordinal", "ticks": "price_ticks", "lots": "qty_lots",
                        "extra1": "fee_e8", "extra2": "position_lots", "side": "side", "strategy": "strategy",
                        "state": "flags"},
    EventType.EV_POSITION: {"ticks": "open_cost_ticklots", "lots": "position_lots", "extra1": "realised_ticklots",
                            "extra2": "fees_e8"},
}
FILL_MAKER_FLAG = 1               # LIQUIDITY_MAKER; a fill's other flags are not covered
CANONICAL_OFFSETS = tuple(CANONICAL.fields[name][1] for name in ("input_ordinal", "instrument", "type"))


def field_copies(kind):
    """What makes a record's row: (source byte, target byte, bytes, mask of the first byte) of each field. A double enters
    as its bits (equal means equal to the last one); a wider source keeps its low bytes."""
    copies = []
    for target, source in FIELDS[kind].items():
        source_type, source_offset = DTYPES[kind].fields[source][:2]
        target_type, target_offset = CANONICAL.fields[target][:2]
        if source_type.itemsize < target_type.itemsize:
            raise TypeError(f"{EVENT_NAMES[kind]}.{source}: expected at least {target_type.itemsize} bytes for {target}, "
                            f"found {source_type.itemsize}")
        mask = FILL_MAKER_FLAG if (kind, source) == (EventType.EV_FILL, "flags") else 0xFF
        copies.append((source_offset, target_offset, target_type.itemsize, mask))
    return copies


FIELD_COPIES = {int(kind): field_copies(kind) for kind in FIELDS}


class OutputHasher:
    """Hashes the output records of a stream of slots, however the stream is cut into batches.

    `inputs` and `outputs` count records; `counts_by_type` (EventType -> records) counts those of every type.
    A record that is not whole (its rest lost to a lap) is neither counted nor hashed.
    """

    def __init__(self):
        self._hash = hashlib.blake2b(digest_size=16)
        self._scanner = RecordScanner(SLOTS_OF_TYPE, FIELD_COPIES, CANONICAL_OFFSETS)
        self._held = np.empty(0, SLOT_DTYPE)       # the first slots of a record whose rest is still to come
        self._rows = np.empty(0, CANONICAL)

    @property
    def inputs(self):
        return self._scanner.inputs

    @property
    def outputs(self):
        return self._scanner.outputs

    @property
    def counts_by_type(self):
        counts = {kind: self.count(kind) for kind in range(256)}
        return {kind: count for kind, count in counts.items() if count}

    def count(self, kind):
        """Records of one type so far."""
        return self._scanner.count(kind)

    def update(self, slots):
        """Take the next slots (array of SLOT_DTYPE); returns the canonical rows of the outputs among them.

        Errors: ValueError for an output type that has no canonical form.
        """
        if len(self._held):
            slots = np.concatenate([self._held, slots])
        if len(self._rows) < len(slots):
            self._rows = np.empty(len(slots), CANONICAL)
        taken, row_count, unknown = self._scanner.scan(slots, self._rows.view(np.uint8))
        if unknown:
            raise ValueError(f"output type: expected one of {sorted(FIELD_COPIES)}, found {unknown}")
        self._held = slots[taken:].copy()
        rows = self._rows[:row_count].copy()
        self._hash.update(rows)
        return rows

    def hexdigest(self):
        return self._hash.hexdigest()

    def names(self):
        """Records seen, by name of their type."""
        return {EVENT_NAMES.get(kind, str(kind)): count for kind, count in sorted(self.counts_by_type.items())}
