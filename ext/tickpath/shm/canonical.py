"""`output_hash`: BLAKE2b-128 over what the engine decided, in a form that does not depend on when or where it ran.

Each output record (signal, intent, cancel, refusal, order state, fill, position) becomes one 64-byte row CANONICAL; the
hash is over the rows in order. Kept: the ordinal of the input that caused it, instrument, strategy, order ordinal,
side, type, ticks, lots, reason, states, and the exact money sums. Left out: ring sequence, epoch, client order ids,
venue and trade ids, cycle stamps, times.
"""
import hashlib

import numpy as np

from tickpath.shm.journal import CONTINUATION, SLOTS_OF_TYPE, whole_slot_count
from tickpath.shm.ring import records
from tickpath.types import EVENT_NAMES, SLOT_DTYPE, EventType

CANONICAL = np.dtype([
    ("input_ordinal", "<u8"),     # input records up to and including the one that caused it
    ("order_ordinal", "<u8"), ("ticks", "<i8"), ("lots", "<i8"), ("extra1", "<i8"), ("extra2", "<i8"),
    ("instrument", "<u4"), ("type", "u1"), ("strategy", "u1"), ("side", "u1"), ("detail", "u1"),
    ("reason", "<u4"), ("state", "u1"), ("prev_state", "u1"), ("time_in_force", "u1"), ("pad", "u1")])

# The ranges of EventType in types.pxd.
INPUT_LAST, OUTPUT_FIRST, OUTPUT_LAST = 15, 32, 63

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


def canonical_column(kind, source, values):
    if kind == EventType.EV_FILL and source == "flags":
        return values & FILL_MAKER_FLAG
    # A double enters as its bits: equal means equal to the last one.
    return values.view(np.int64) if values.dtype == np.float64 else values


class OutputHasher:
    """Hashes the output records of a stream of slots, however the stream is cut into batches.

    `inputs` and `outputs` count records; `counts_by_type` (EventType -> records) counts those of every type.
    A record that is not whole (its rest lost to a lap) is neither counted nor hashed.
    """

    def __init__(self):
        self._hash = hashlib.blake2b(digest_size=16)
        self._held = np.empty(0, SLOT_DTYPE)       # the first slot of a record whose rest is still to come
        self.inputs = 0
        self.outputs = 0
        self.counts_by_type = {}

    def update(self, slots):
        """Take the next slots (array of SLOT_DTYPE); returns the canonical rows of the outputs among them.

        Errors: ValueError for an output type that has no canonical form.
        """
        if len(self._held):
            slots = np.concatenate([self._held, slots])
        whole = whole_slot_count(slots)
        self._held = slots[whole:].copy()
        slots = slots[:whole]
        kinds = slots["type"]
        torn = np.flatnonzero((SLOTS_OF_TYPE[kinds[:-1]] > 1) & (kinds[1:] != CONTINUATION))
        if len(torn):
            slots = np.delete(slots, torn)
            kinds = slots["type"]
        for kind, count in enumerate(np.bincount(kinds, minlength=256)[:CONTINUATION]):
            if count:
                self.counts_by_type[kind] = self.counts_by_type.get(kind, 0) + int(count)
        input_ordinals = self.inputs + np.cumsum((kinds > 0) & (kinds <= INPUT_LAST))
        if len(kinds):
            self.inputs = int(input_ordinals[-1])
        where = np.flatnonzero((kinds >= OUTPUT_FIRST) & (kinds <= OUTPUT_LAST))
        rows = np.zeros(len(where), CANONICAL)
        rows["input_ordinal"] = input_ordinals[where]
        rows["type"] = kinds[where]
        rows["instrument"] = slots["instrument"][where]
        for kind in np.unique(rows["type"]):
            if int(kind) not in FIELDS:
                raise ValueError(f"output type: expected one of {sorted(int(k) for k in FIELDS)}, found {kind}")
            chosen = rows["type"] == kind
            found = records(slots, kind)
            for name, source in FIELDS[int(kind)].items():
                rows[name][chosen] = canonical_column(kind, source, found[source])
        self.outputs += len(rows)
        self._hash.update(rows.tobytes())
        return rows

    def hexdigest(self):
        return self._hash.hexdigest()

    def names(self):
        """Records seen, by name of their type."""
        return {EVENT_NAMES.get(kind, str(kind)): count for kind, count in sorted(self.counts_by_type.items())}
