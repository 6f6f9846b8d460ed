"""The state page from Python: `StatePage.attach("demo").totals()`, `.instruments()`, `.orders()`, `.latency()`."""
import time

import numpy as np

from libc.stdint cimport uint8_t

from tickpath.shm.histogram import summarise
from tickpath.shm.segment import SegmentError, attach_segment

STATE_OFFSET = 4096
STEP_NAMES = tuple(Step(i).name[5:].lower() for i in range(STEP_COUNT))


def state_page_bytes():
    return STATE_OFFSET + sizeof(StatePageLayout)


cdef object _record(object view):
    # A one-element memoryview of a struct, as a dict of Python values (arrays become lists).
    row = np.asarray(view)[0]
    return {name: row[name].tolist() for name in row.dtype.names}


cdef long _checked_count(uint64_t found, long room, str what) except -1:
    if found > <uint64_t>room:
        raise SegmentError(f"state page: {what}: expected at most {room}, found {found}")
    return <long>found


cdef object _text(const char* field, long size_bytes):
    # A field that its text fills has no zero behind it.
    return field[:size_bytes].split(b"\0", 1)[0].decode()


cdef class StatePage:
    """A view of the page. Parameters: buffer : memory of `state_page_bytes()` bytes, read-only for readers."""
    def __cinit__(self, buffer, segment=None):
        cdef const uint8_t[::1] memory = buffer
        # The page's structs are not part of the event layout hash: another version shows by its size.
        if memory.shape[0] != <Py_ssize_t>(4096 + sizeof(StatePageLayout)):
            raise SegmentError(f"state page: expected {state_page_bytes()} bytes, found {memory.shape[0]}: "
                               "written by another version")
        self._buffer = memory
        self._segment = segment
        self.page = <StatePageLayout*>&memory[4096]

    @staticmethod
    def attach(instance):
        """The page of a running instance. Raises SegmentError when there is none or its layout is another."""
        segment = attach_segment(instance, "state")
        return StatePage(segment.buffer, segment)

    @property
    def segment(self):
        return self._segment

    cdef bint _read(self, const uint64_t* seq, const void* block, void* out, long size_bytes) except -1:
        deadline = None
        while True:
            if seqlock_try_read(seq, block, out, size_bytes):
                return True
            # A writer that died between L1 and L4 leaves the block odd for ever: do not wait for it.
            if deadline is None:
                deadline = time.monotonic() + 0.25
            elif time.monotonic() > deadline:
                raise SegmentError("state page: expected a whole block, found one whose writer died while writing it")

    def info(self):
        """Names, constants and the grids in force: dict. `view` gives them with the instruments that they belong to."""
        cdef StateInfo info = self.page.info
        cdef long instruments = _checked_count(info.instrument_count, 64, "instruments")
        symbols = [_text(info.symbols[i], 24) for i in range(instruments)]
        strategies = [_text(info.strategies[i], 32)
                      for i in range(_checked_count(info.strategy_count, 16, "strategies"))]
        venues = [_text(info.venues[i], 32) for i in range(_checked_count(info.venue_count, 16, "venues"))]
        return {"cycles_per_ns": info.cycles_per_ns, "symbols": symbols, "strategies": strategies,
                "started_ns": info.started_ns, "mode": info.mode, "venues": venues,
                "instrument_venues": [info.instrument_venues[i] for i in range(instruments)],
                "start_tick": [(info.tick_mantissa[i], info.tick_scale[i]) for i in range(instruments)],
                "start_lot": [(info.lot_mantissa[i], info.lot_scale[i]) for i in range(instruments)],
                **self._grids(instruments)}

    def _grids(self, long instruments):
        cdef StateInstrument now
        ticks, lots, epochs = [], [], []
        for i in range(instruments):
            self._read(&self.page.instruments_seq[i], &self.page.instruments[i], &now, sizeof(StateInstrument))
            ticks.append((now.tick_mantissa, now.tick_scale))
            lots.append((now.lot_mantissa, now.lot_scale))
            epochs.append(now.grid_epoch)
        return {"tick": ticks, "lot": lots, "grid_epochs": epochs}

    def totals(self):
        """Counters of the run: dict of int."""
        cdef StateTotals out
        self._read(&self.page.totals_seq, &self.page.totals, &out, sizeof(StateTotals))
        return _record(<StateTotals[:1]>&out)

    def instruments(self):
        """One dict per instrument: 10 levels a side, top, bar, position, signals; units in the field names."""
        cdef StateInstrument out
        result = []
        for i in range(_checked_count(self.page.info.instrument_count, 64, "instruments")):
            self._read(&self.page.instruments_seq[i], &self.page.instruments[i], &out, sizeof(StateInstrument))
            result.append(_record(<StateInstrument[:1]>&out))
        return result

    def bars(self):
        """The bars being built: for every instrument {specification: dict}; units in the field names."""
        cdef StateBars out
        specs = [_text(self.page.bar_specs[k], 32) for k in range(_checked_count(self.page.bar_spec_count, 16, "bars"))]
        result = []
        for i in range(_checked_count(self.page.info.instrument_count, 64, "instruments")):
            self._read(&self.page.bars_seq[i], &self.page.bars[i], &out, sizeof(StateBars))
            result.append({text: _record(<StateBar[:1]>&out.items[k]) for k, text in enumerate(specs)})
        return result

    def view(self):
        """(info, instruments) of the same grids: no tick of the one is another price in the other."""
        while True:
            info, rows = self.info(), self.instruments()
            if info["grid_epochs"] == [row["grid_epoch"] for row in rows]:
                return info, rows

    def strategies(self):
        """One dict per strategy: counts, position, P&L."""
        cdef StateStrategy[16] out
        self._read(&self.page.strategies_seq, &self.page.strategies, &out, sizeof(StateStrategy) * 16)
        return [_record(<StateStrategy[:1]>&out[i])
                for i in range(_checked_count(self.page.info.strategy_count, 16, "strategies"))]

    def orders(self):
        """Open orders, up to 64, oldest first: list of dict."""
        cdef StateOrders out
        self._read(&self.page.orders_seq, &self.page.orders, &out, sizeof(StateOrders))
        return [_record(<StateOrder[:1]>&out.items[i]) for i in range(_checked_count(out.count, STATE_ORDERS, "orders"))]

    def latency(self):
        """{step: {n, p50_ns, p90_ns, p99_ns, p999_ns, max_ns}} since the start; steps without a value have n = 0."""
        result = {}
        scale = 1.0 / self.page.info.cycles_per_ns if self.page.info.cycles_per_ns else 1.0
        for i, name in enumerate(STEP_NAMES):
            counts = np.asarray(<uint64_t[:2048]>self.page.steps[i].counts).copy()
            result[name] = summarise(counts, self.page.steps[i].max_value, scale if i < STEP_ACK else 1.0)
        return result
