"""Grids that change in session: asks a venue for its instruments again and again and says which grid the engine should follow.

The request runs in a thread, so that snapshots never wait for a long list; everything else is on the gateway's own thread. The
engine judges what it is told (engine_grid.pxd) and is asked for nothing: what it runs on now stands in the state page.

    every instruments_refresh_s ─┐
    a number off the grid came ──┤─► GET instruments ► compare with the state page ► grid to the feed lane ► EV_GRID
    the gate is shut for it ─────┘
"""
import math
import queue
import random
import threading
import time
from decimal import Decimal
from typing import NamedTuple

from tickpath.market.gate import GateCause
from tickpathd.engine_spec import TICKLOTS_MAX
from tickpathd.instruments.facts import InstrumentError, engine_lot_size, plain
from tickpathd.instruments.loader import load_instruments
from tickpathd.instruments.symbols import kinds_named
from tickpathd.instruments.venues import offered_kinds

__all__ = ["GridWanted", "GridWatch", "wanted_grid"]

# An urgent request, and its pause while the venue's list does not say yet what its stream shows. Its stream may show a number of
# an older, finer grid now and then for good (docs/design.md, section 5): then the pauses grow to the usual interval.
URGENT_PAUSE_S = 0.5
URGENT_ATTEMPTS = 6
MAX_NOTIONAL = Decimal(100_000_000)       # quote asset: what sums must hold, as in engine_lot_size


class GridWanted(NamedTuple):
    """An instrument's grid as an EV_GRID has it; counts are of the new tick and lot."""
    tick: tuple[int, int]                  # (mantissa, scale)
    lot: tuple[int, int]
    qty_step_lots: int
    min_notional_ticklots: int
    price_decimals: int
    qty_decimals: int


def _grid(value):
    """(mantissa, scale) of a Decimal increment, lowest terms."""
    value = value.normalize()
    scale = max(0, -value.as_tuple().exponent)
    return int(value.scaleb(scale)), scale


def _value(grid):
    return Decimal(grid[0]).scaleb(-grid[1])


def _common(*sizes):
    """The greatest size of which all are whole multiples."""
    scale = max(0, *(-size.normalize().as_tuple().exponent for size in sizes))
    return Decimal(math.gcd(*(int(size.scaleb(scale)) for size in sizes))).scaleb(-scale)


def wanted_grid(facts, lot_now, min_notional="0"):
    """The grid for what the venue says, from the lot in use.

    The lot stays as fine as it is, or becomes finer, so that positions and open orders stay whole numbers of it; what orders may
    have is their step. Only where sums would leave the engine's integers, or the venue's checksum is over its own digits
    (Kraken), it is the venue's.

    Parameters: facts : InstrumentFacts.  lot_now : Decimal, in force.  min_notional : where the venue names none.
    Errors:     InstrumentError when no lot is right.
    """
    tick, step = Decimal(facts.tick_size), Decimal(facts.order_qty_step)
    lot = _common(lot_now, Decimal(facts.lot_size), step)
    fits = _grid(lot)[1] <= 18 and tick * lot * Decimal(facts.contract_size) * TICKLOTS_MAX >= MAX_NOTIONAL
    if facts.venue_kind == "kraken" or not fits:
        lot = Decimal(engine_lot_size(facts))
    notional = Decimal(facts.min_notional or min_notional) / (tick * lot)
    return GridWanted(_grid(tick), _grid(lot), int(step / lot), min(math.ceil(notional), TICKLOTS_MAX), facts.price_decimals,
                      facts.qty_decimals)


class GridWatch:
    """One live venue's grids.

    Parameters: name, slot : of the venue.  settings : config.Venue.  instruments : [(number, config.Instrument)].
                cache_dir : of the kept tables.  say : called with lines for the operator.
                spend : () -> bool, whether the venue's budget allows a request now.
    """

    def __init__(self, name, slot, settings, instruments, cache_dir, say, spend=lambda: True):
        self.name, self.slot, self.settings, self.instruments = name, slot, settings, instruments
        self.cache_dir, self.say, self.spend = cache_dir, say, spend
        self.refresh_s = settings.instruments_refresh_s
        self.answers = queue.SimpleQueue()
        self.busy = False
        # Not all daemons ask in the same second; the start has asked already, or its table is younger than a day.
        self.due_s = time.monotonic() + (self.refresh_s * random.uniform(0.1, 1.0) if self.refresh_s else math.inf)
        self.urgent_left, self.pause_s, self.asked_s = 0, URGENT_PAUSE_S, -math.inf
        self.off_grid_seen = None
        self.decimals = {n: (item.price_decimals, item.qty_decimals) for n, item in instruments}
        self.kinds = kinds_named([item.symbol for _, item in instruments], offered_kinds(settings.kind)) or None
        self.failing, self.unfollowed = False, set()
        self.counters = {"asked": 0, "failures": 0, "sent": 0}

    def look(self, now_s, rows, off_grid):
        """What happens now. rows : of StatePage.instruments().  off_grid : frames of this venue refused for a number that is
        none of its instrument's grid, so far. Returns [(instrument number, GridWanted)] to send."""
        if not self.refresh_s:
            return []
        self._hurry(now_s, rows, off_grid)
        if not self.busy and now_s >= self.due_s and self.spend():
            self._ask(now_s)
        try:
            loaded = self.answers.get_nowait()
        except queue.Empty:
            return []
        self.busy = False
        found = self._compare(loaded, rows) if loaded is not None else []
        if found:
            self.urgent_left, self.pause_s = 0, URGENT_PAUSE_S
        elif self.urgent_left > 0:
            # The list may lag behind the stream: once more, soon.
            self.urgent_left -= 1
            self.due_s = now_s + self.pause_s
            self.pause_s = min(self.pause_s * 2, max(self.refresh_s, URGENT_PAUSE_S))
        return found

    def _hurry(self, now_s, rows, off_grid):
        if self.off_grid_seen is None or off_grid < self.off_grid_seen:
            self.off_grid_seen = off_grid
        shut = any(rows[n]["gate_causes"] & GateCause.GATE_GRID for n, _ in self.instruments)
        if off_grid == self.off_grid_seen and not shut:
            return
        self.off_grid_seen = off_grid
        if self.urgent_left == 0 and not self.busy:
            self.urgent_left = URGENT_ATTEMPTS
            self.due_s = min(self.due_s, max(now_s, self.asked_s + self.pause_s))

    def _ask(self, now_s):
        self.busy, self.asked_s = True, now_s
        self.due_s = now_s + self.refresh_s * random.uniform(0.9, 1.1)
        self.counters["asked"] += 1
        threading.Thread(target=self._load, name=f"instruments-{self.name}", daemon=True).start()

    def _load(self):
        settings, loaded = self.settings, None
        try:
            loaded = load_instruments(settings.kind, settings.rest_url, None, self.cache_dir, max_age_s=0, kinds=self.kinds,
                                      ca_file=settings.ca_file, attempts=2, timeout_s=5.0, deadline_s=20.0)
            problem = next((w for w in loaded.warnings if "using the instruments kept" in w), "")
        except InstrumentError as e:
            problem = str(e)
        if problem:
            self.counters["failures"] += 1
            if not self.failing:
                self.say(f"{self.name}: {problem}; trying on")
        elif self.failing:
            self.say(f"{self.name}: instruments come again")
        self.failing = bool(problem)
        self.answers.put(None if problem else loaded)

    def _compare(self, loaded, rows):
        found = []
        for n, item in self.instruments:
            row = rows[n]
            try:
                facts = loaded.symbols.find(item.symbol)
                wanted = wanted_grid(facts, _value((row["lot_mantissa"], row["lot_scale"])), item.min_notional)
            except InstrumentError as e:
                if n not in self.unfollowed:
                    self.unfollowed.add(n)
                    self.say(f"{self.name}: {item.symbol}: its grid is not followed: {e}")
                continue
            now = GridWanted((row["tick_mantissa"], row["tick_scale"]), (row["lot_mantissa"], row["lot_scale"]),
                             row["qty_step_lots"], row["min_notional_ticklots"], *self._decimals_of(n, row))
            if wanted == now:
                continue
            self.decimals[n] = wanted[4:]
            self.counters["sent"] += 1
            self.say(f"{self.name}: {item.symbol}: tick {plain(_value(now.tick))} -> {plain(_value(wanted.tick))}, lot "
                     f"{plain(_value(now.lot))} -> {plain(_value(wanted.lot))}, order step "
                     f"{plain(now.qty_step_lots * _value(now.lot))} -> {plain(wanted.qty_step_lots * _value(wanted.lot))}")
            found.append((n, wanted))
        return found

    def _decimals_of(self, n, row):
        price, qty = self.decimals[n]
        return (price if price >= 0 else row["tick_scale"]), (qty if qty >= 0 else row["lot_scale"])
