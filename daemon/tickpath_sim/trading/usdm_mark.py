"""Mark price, index price and funding of the perpetuals, and the margin calls and liquidations that follow from them.

The venue's index is an average over other venues' spot prices, which a server on its own does not have. Here the index is the
contract's own mid price, smoothed; all that follows is the venue's reckoning (binance.com/en/support/faq/360033525071 and
.../360033525031, seen 2026-11-22):

    price 1 = index x (1 + last funding rate x time to funding / funding interval)
    price 2 = index + average of (mid - index)
    mark    = the middle one of price 1, price 2 and the last trade
    rate    = average premium + clamp(interest - average premium, -0.05 %, 0.05 %), within +-2 %

Where a capture has a mark price stream, its prices and rate are taken instead.
"""
import json
from collections import deque

from tickpath_sim.trading.usdm_contracts import E8, text_of

__all__ = ["FUNDING_INTERVAL_MS", "MarkPrice", "MarkPrices"]

FUNDING_INTERVAL_MS = 8 * 3_600_000
STEP_NS = 250_000_000                       # between two reckonings
INDEX_TIME_NS = 5_000_000_000               # smoothing of the mid price
BASIS_TIME_NS = 30_000_000_000
INTEREST_E8 = 10_000                        # 0.01 % an interval
CLAMP_E8, CAP_E8 = 50_000, 2_000_000
HISTORY = 1000
NS_PER_MS = 1_000_000


class MarkPrice:
    """One contract's prices, in 1e-8 of the quote asset; 0 until there is a market."""

    def __init__(self, contract):
        self.contract = contract
        self.mark_e8 = self.index_e8 = self.basis_e8 = self.rate_e8 = 0
        self.next_funding_ms = 0
        self.pinned_e8 = None               # an operator's price, until it is taken back
        self.premium_sum = self.premiums = 0
        self.updated_ns = 0
        self.history = deque(maxlen=HISTORY)            # (time ms, rate e8, mark e8), oldest first
        self.minutes = deque(maxlen=1500)               # [open ms, open, high, low, close, updates] of the mark, and of the index
        self.index_minutes = deque(maxlen=1500)
        self.seen = None                    # the recorded message read last

    def observe(self, bid_e8, ask_e8, last_e8, now_ns, interval_ms):
        """Reckon anew from the best prices and the last trade (0: none)."""
        mid = (bid_e8 + ask_e8) // 2 if bid_e8 and ask_e8 else last_e8 or bid_e8 or ask_e8
        if not mid and not self.index_e8:
            if self.pinned_e8:
                self._settle(self.pinned_e8, now_ns)
            return
        elapsed = now_ns - self.updated_ns if self.updated_ns else None
        if elapsed is None or not self.index_e8:
            self.index_e8, self.basis_e8 = mid, 0
        elif mid:
            self.index_e8 += (mid - self.index_e8) * min(elapsed, INDEX_TIME_NS) // INDEX_TIME_NS
            self.basis_e8 += (mid - self.index_e8 - self.basis_e8) * min(elapsed, BASIS_TIME_NS) // BASIS_TIME_NS
        index = self.index_e8
        left_ms = max(0, self.next_funding_ms - now_ns // NS_PER_MS)
        first = index + index * self.rate_e8 // E8 * min(left_ms, interval_ms) // interval_ms
        second = index + self.basis_e8
        if bid_e8 and ask_e8:
            self.premium_sum += (max(0, bid_e8 - index) - max(0, index - ask_e8)) * E8 // index
            self.premiums += 1
        self._settle(sorted((first, second, last_e8 or second))[1], now_ns)

    def take(self, mark_e8, index_e8, rate_e8, next_funding_ms, now_ns):
        """A recorded mark price message."""
        self.index_e8, self.rate_e8 = index_e8 or mark_e8, rate_e8
        self.next_funding_ms = next_funding_ms or self.next_funding_ms
        self._settle(mark_e8, now_ns)

    def _settle(self, mark_e8, now_ns):
        self.mark_e8, self.updated_ns = self.pinned_e8 or mark_e8, now_ns
        minute = now_ns // NS_PER_MS // 60_000 * 60_000
        for rows, value in ((self.minutes, self.mark_e8), (self.index_minutes, self.index_e8 or self.mark_e8)):
            if not rows or rows[-1][0] != minute:
                rows.append([minute, value, value, value, value, 0])
            row = rows[-1]
            row[2], row[3], row[4], row[5] = max(row[2], value), min(row[3], value), value, row[5] + 1

    def next_rate(self):
        """The rate that would be charged if the interval ended now."""
        premium = self.premium_sum // self.premiums if self.premiums else 0
        return max(-CAP_E8, min(CAP_E8, premium + max(-CLAMP_E8, min(CLAMP_E8, INTEREST_E8 - premium))))


class MarkPrices:
    """The mark prices of a venue.

    Parameters: venue : UsdmVenue.  interval_ms : between fundings.
    """

    def __init__(self, venue, interval_ms=FUNDING_INTERVAL_MS):
        self.venue, self.interval_ms = venue, interval_ms
        self.prices = {contract.name: MarkPrice(contract) for contract in venue.contracts.values()}
        self.due_ns = 0
        self.second = 0

    def of(self, contract):
        return self.prices[contract.name]

    def pin(self, name, text):
        """Hold a contract's mark price at a decimal text; None lets it go."""
        price = self.prices[name]
        price.pinned_e8 = price.contract.scaled(text) if text is not None else None
        self.due_ns = 0
        self.tick(self.venue.now_ns())

    def tick(self, now_ns):
        """A timer of the venue: reckon the prices, fund, and let the core look for liquidations, when it is due."""
        if now_ns < self.due_ns:
            return
        self.due_ns = now_ns + STEP_NS
        now_ms = now_ns // NS_PER_MS
        for price in self.prices.values():
            self._one(price, now_ns, now_ms)
        if now_ms // 1000 != self.second:
            self.second = now_ms // 1000
            for price in self.prices.values():
                if price.mark_e8:
                    self.venue.publish_mark(price, now_ms)

    def _one(self, price, now_ns, now_ms):
        contract = price.contract
        if not price.next_funding_ms:
            price.next_funding_ms = (now_ms // self.interval_ms + 1) * self.interval_ms
        recorded = self.venue.recorded_mark(contract)
        if recorded is not None:
            if recorded is not price.seen:
                price.seen = recorded
                price.take(*_read(recorded, contract), now_ns)
        else:
            price.observe(*self.venue.best_and_last(contract), now_ns, self.interval_ms)
        if not price.mark_e8:
            return
        self.venue.exchange.set_mark(contract.index, price.mark_e8, now_ns)
        if now_ms >= price.next_funding_ms:
            self.fund(price, now_ns)
        self.venue.settle()

    def fund(self, price, now_ns, rate_e8=None):
        """Charge the funding of one contract now. Parameters: rate_e8 : None for the venue's own reckoning."""
        if rate_e8 is None:
            rate_e8 = price.next_rate() if price.seen is None else price.rate_e8
        price.rate_e8 = rate_e8
        price.premium_sum = price.premiums = 0
        now_ms = now_ns // NS_PER_MS
        price.history.append((price.next_funding_ms if now_ms >= price.next_funding_ms else now_ms, rate_e8, price.mark_e8))
        while price.next_funding_ms <= now_ms:
            price.next_funding_ms += self.interval_ms
        self.venue.exchange.fund(price.contract.index, rate_e8, now_ns)
        self.venue.settle()

    # ---- answers

    def premium_index(self, price, now_ms):
        index = text_of(price.index_e8, 8, 8)
        return {"symbol": price.contract.name, "markPrice": text_of(price.mark_e8, 8, 8), "indexPrice": index,
                "estimatedSettlePrice": index, "lastFundingRate": text_of(price.rate_e8, 8, 8),
                "interestRate": text_of(INTEREST_E8, 8, 8), "nextFundingTime": price.next_funding_ms, "time": now_ms}

    def funding_rows(self, start_ms, end_ms, limit, name=None):
        rows = [{"symbol": price.contract.name, "fundingTime": time_ms, "fundingRate": text_of(rate, 8, 8),
                 "markPrice": text_of(mark, 8, 8)}
                for price in self.prices.values() if name in (None, price.contract.name)
                for time_ms, rate, mark in price.history if start_ms <= time_ms <= end_ms]
        rows.sort(key=lambda row: row["fundingTime"])
        return rows[:limit] if start_ms > 0 else rows[-limit:]

    def klines(self, rows, step_ms, start_ms, end_ms, limit):
        """Candles of the minutes kept, in the form of the venue: no volume, the number of updates as the count."""
        candles = {}
        for open_ms, first, high, low, close, count in rows:
            begin = open_ms - open_ms % step_ms
            if not start_ms <= begin <= end_ms:
                continue
            row = candles.setdefault(begin, [first, high, low, close, 0])
            row[1], row[2], row[3], row[4] = max(row[1], high), min(row[2], low), close, row[4] + count
        return [[begin, *(text_of(v, 8, 8) for v in row[:4]), "0", begin + step_ms - 1, "0", row[4], "0", "0", "0"]
                for begin, row in sorted(candles.items())[-limit:]]


def _read(data, contract):
    """(mark, index, rate, next funding) of a recorded markPriceUpdate."""
    message = json.loads(data)
    return (contract.scaled(message["p"]), contract.scaled(message.get("i") or "0") or 0,
            contract.scaled(message.get("r") or "0") or 0, int(message.get("T") or 0))
