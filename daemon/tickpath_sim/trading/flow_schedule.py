"""What the generated traders of one instrument do and when: a schedule that depends on the seed alone.

Times, sides, sizes, distances and lifetimes are drawn ahead, block by block; prices come about when an order is placed, because
they stand relative to the book of that moment. An order's lifetime is drawn with it: that is the same as cancelling each order
that stands at a constant rate (Cont, Stoikov and Talreja 2010), and needs no look at the book.
"""
import numpy as np

from tickpath_sim.trading.flow_times import HawkesTimes, poisson_times

__all__ = ["EVENT_DTYPE", "LIMIT", "MARKET", "QUOTE", "Schedule"]

BLOCK_S = 10.0
# The fair price moves in such steps.
FAIR_STEP_S = 0.1
LIFETIME_MAX_S = 600.0
# A quantity is at most so many medians: the tail of a log-normal is long.
QTY_MAX_MEDIANS = 50
BUY, SELL = 1, -1

LIMIT, MARKET, QUOTE = 0, 1, 2
EVENT_DTYPE = np.dtype([("t_ns", "<i8"), ("lifetime_ns", "<i8"), ("distance_ticks", "<i8"), ("qty_lots", "<i8"),
                        ("fair_ticks", "<i8"), ("who", "<i4"), ("instrument", "<i4"), ("side", "i1"), ("kind", "u1")])


class Schedule:
    """Parameters: flow : InstrumentFlow.  seed : numpy SeedSequence.  instrument : number that its events bear.
    start_ticks, median_lots : start price and median quantity on the instrument's grid.

    Each kind of trader has random numbers of its own, so that a change of one leaves the others' as they are.
    """

    def __init__(self, flow, seed, instrument, start_ticks, median_lots):
        self.flow, self.instrument = flow, instrument
        self.start_ticks, self.median_lots = start_ticks, max(1, median_lots)
        self.unit_ticks = max(1, round(start_ticks * flow.distance_bps / 1e4))
        limits, markets, sizes, makers, fair = (np.random.Generator(np.random.PCG64(child)) for child in seed.spawn(5))
        self._limits, self._markets, self._sizes, self._makers, self._fair = limits, markets, sizes, makers, fair
        self._hawkes = HawkesTimes(markets, flow.market_hz, flow.self_excitation, flow.cross_excitation,
                                   flow.decay_hz) if flow.hawkes else None
        distances = np.arange(1, flow.distance_max + 1, dtype=float)
        weights = distances ** -flow.distance_power
        self._distance_share = np.cumsum(weights / weights.sum())
        self._cancel_hz = flow.cancel_hz * distances ** -flow.cancel_power
        self._fair_bps = 0.0                # log price against the start, in basis points
        self.start_s = 0.0

    @property
    def resting_orders(self):
        """How many limit orders stand in the long run, at most: those that nobody takes."""
        share = np.diff(self._distance_share, prepend=0)
        return float(2 * self.flow.limit_hz * (share / self._cancel_hz).sum())

    def block(self):
        """The events of the next BLOCK_S seconds, in order of time, as EVENT_DTYPE."""
        start_s, end_s = self.start_s, self.start_s + BLOCK_S
        self.start_s = end_s
        markets = self._market_orders(start_s, end_s)
        limits = [self._limit_orders(side, start_s, end_s) for side in (BUY, SELL)]
        quotes = [self._quotes(maker, start_s, end_s) for maker in range(self.flow.makers)]
        fair_ticks = self._fair_prices(markets, start_s)
        events = np.concatenate([markets, *limits, *quotes])
        # Same time: in the order in which they were drawn, which is the same every time.
        events = events[np.argsort(events["t_ns"], kind="stable")]
        step = ((events["t_ns"] / 1e9 - start_s) / FAIR_STEP_S).astype(np.int64)
        events["fair_ticks"] = fair_ticks[np.clip(step, 0, len(fair_ticks) - 1)]
        return events

    def _rows(self, times_s, kind, side=0):
        rows = np.zeros(len(times_s), EVENT_DTYPE)
        rows["t_ns"], rows["kind"], rows["side"], rows["instrument"] = np.rint(times_s * 1e9), kind, side, self.instrument
        return rows

    def _qty_lots(self, count):
        lots = self.median_lots * np.exp(self.flow.qty_sigma * self._sizes.standard_normal(count))
        return np.clip(np.rint(lots), 1, self.median_lots * QTY_MAX_MEDIANS).astype(np.int64)

    def _limit_orders(self, side, start_s, end_s):
        rng = self._limits
        rows = self._rows(poisson_times(rng, self.flow.limit_hz, start_s, end_s), LIMIT, side)
        count = len(rows)
        d = np.minimum(np.searchsorted(self._distance_share, rng.uniform(size=count)), self.flow.distance_max - 1)
        rows["distance_ticks"] = 1 + d * self.unit_ticks + rng.integers(0, self.unit_ticks, count)
        rows["lifetime_ns"] = np.minimum(rng.exponential(1 / self._cancel_hz[d]), LIFETIME_MAX_S) * 1e9
        rows["qty_lots"] = self._qty_lots(count)
        return rows

    def _market_orders(self, start_s, end_s):
        if self._hawkes is not None:
            times, kinds = self._hawkes.block(start_s, end_s)
            rows = self._rows(times, MARKET)
            rows["side"] = np.where(kinds == 0, BUY, SELL)
        else:
            rows = np.concatenate([self._rows(poisson_times(self._markets, self.flow.market_hz, start_s, end_s), MARKET, side)
                                   for side in (BUY, SELL)])
        rows["qty_lots"] = self._qty_lots(len(rows))
        return rows

    def _quotes(self, maker, start_s, end_s):
        times = poisson_times(self._makers, self.flow.requote_hz, start_s, end_s)
        if not start_s:
            # All of them quote before anything else happens.
            times = np.concatenate([[0.0], times])
        rows = self._rows(times, QUOTE)
        rows["who"] = maker
        return rows

    def _fair_prices(self, markets, start_s):
        """Fair price in ticks for each step of the block: a random walk that leans back to the start and that trades move."""
        flow, steps = self.flow, round(BLOCK_S / FAIR_STEP_S)
        moves = flow.volatility_bps * FAIR_STEP_S ** 0.5 * self._fair.standard_normal(steps)
        step = np.clip(((markets["t_ns"] / 1e9 - start_s) / FAIR_STEP_S).astype(np.int64), 0, steps - 1)
        # The impact of an order grows with the square root of its size.
        impacts = flow.impact_bps * markets["side"] * np.sqrt(markets["qty_lots"] / self.median_lots)
        moves += np.bincount(step, weights=impacts, minlength=steps)
        keep, fair_bps, path = 1 - min(1.0, flow.reversion_hz * FAIR_STEP_S), self._fair_bps, []
        for move in moves.tolist():
            path.append(fair_bps)
            fair_bps = fair_bps * keep + move
        self._fair_bps = fair_bps
        return np.maximum(1, np.rint(self.start_ticks * np.exp(np.array(path) / 1e4))).astype(np.int64)
