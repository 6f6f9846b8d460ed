"""Futures from Python: `MarginFace` is mixed into the exchange (exchange.py). Cold, exact integers throughout."""
from collections import namedtuple
from enum import IntEnum
from fractions import Fraction

from libc.stdint cimport int64_t, uint64_t

from tickpath.sim.core cimport SIM_KIND_PERPETUAL
from tickpath.sim.exchange_base cimport ExchangeBase
from tickpath.sim.margin cimport (
    MARGIN_BRACKETS_MAX, MARGIN_LEG_LONG, MARGIN_LEG_SHORT, MARGIN_OK, POSITION_SIDE_SHORT, MarginAccount, MarginLeg,
    MarginMarket, MarginSlot, MarginWallet, ceil_div, margin_cap, margin_free, margin_market, margin_max_withdraw,
    margin_peek, margin_state, wallet_peek,
)
from tickpath.sim.margin_liquidation cimport margin_fund, margin_offload, margin_set_mark
from tickpath.sim.margin_settings cimport (
    margin_add_instrument, margin_attach, margin_isolated_excess, margin_move_isolated, margin_set_brackets,
    margin_set_leverage, margin_set_mode, margin_set_type, margin_transfer,
)
from tickpath.types cimport int128

from tickpath.sim.liquidation_price import liquidation_price_e8
from tickpath.sim.margin import MarginReason as CompiledReason

E8 = 10**8
cdef int64_t MARK_TICKS_MAX = <int64_t>1 << 47

# As in margin.pxd, where the venue's code stands beside each, without the prefix.
MarginReason = IntEnum("MarginReason", {r.name.removeprefix("MARGIN_"): int(r) for r in CompiledReason}, module=__name__)

MarginPosition = namedtuple("MarginPosition", (
    "instrument position_side qty_lots cost_units entry_price_e8 break_even_e8 realised_units isolated isolated_wallet_units "
    "leverage mark_e8 notional_units unrealised_units position_margin_units order_margin_units maintenance_units "
    "bid_notional_units ask_notional_units max_notional_units liquidation_e8 updated_ns"))
MarginPosition.__doc__ = """One leg of an account in a perpetual. Money in units of the margin asset, prices in 1e-8 of quote.

position_side 0 both, 1 long, 2 short; qty_lots and cost_units signed; notional_units signed, at the mark; liquidation_e8 0: none.
In one-way mode bid and ask are the notional of open orders that may open a position; in hedge mode those of the leg's side.
"""

MarginFunds = namedtuple("MarginFunds", (
    "asset wallet_units cross_wallet_units cross_unrealised_units unrealised_units position_margin_units order_margin_units "
    "maintenance_units margin_balance_units available_units max_withdraw_units hedge_mode"))
MarginFunds.__doc__ = """An account's margin wallet in an asset: wallet = cross + isolated, balance = wallet + unrealised."""

MarginBracketView = namedtuple("MarginBracketView", "floor_units cap_units max_leverage rate_e8 cum_units")


cdef object whole(int128 v):
    cdef bint negative = v < 0
    cdef int128 m = -v if negative else v
    cdef uint64_t high = <uint64_t>(m >> 64)
    cdef uint64_t low = <uint64_t>m
    if high == 0 and low >> 63 == 0:
        return -<int64_t>low if negative else <int64_t>low
    result = (int(high) << 64) | int(low)
    return -result if negative else result


cdef inline object nearest(object numerator, object denominator):
    """Half up; numerator and denominator of one sign."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    return (2 * numerator + denominator) // (2 * denominator)


cdef list bracket_rows(MarginMarket* m):
    cdef int i
    return [(whole(m.brackets[i].floor_units), whole(m.brackets[i].cap_units), int(m.brackets[i].rate_e8),
             whole(m.brackets[i].cum_e8)) for i in range(m.bracket_count)]


cdef MarginMarket* market_of(ExchangeBase b, int instrument) except NULL:
    if instrument < 0 or instrument >= b.x.instrument_count or b.x.instruments[instrument].kind != SIM_KIND_PERPETUAL:
        raise ValueError(f"expected the number of a perpetual, found {instrument}")
    if b.x.instruments[instrument].margin == NULL:
        raise ValueError(f"instrument {instrument} has no margin state: expected _attach_margin() after it was added")
    return margin_market(b.x, instrument)


cdef object leg_view(MarginSlot* s, int leg, bint hedge):
    cdef MarginMarket* m = s.market
    cdef MarginLeg g = s.legs[leg]
    cdef MarginWallet w = s.wallet[0]
    cdef int128 notional = g.value_units if g.lots >= 0 else -g.value_units
    cdef int128 margin = ceil_div(g.value_units, s.leverage)
    cdef int128 orders = s.margin_units - s.position_margin_units
    cdef int128 bid = s.bid_units
    cdef int128 ask = s.ask_units
    cdef int side = 0
    cdef int instrument = s.instrument, leverage = s.leverage
    cdef bint isolated = s.isolated
    cdef int64_t mark_e8 = m.mark_e8, lots = g.lots, updated_ns = g.updated_ns
    cdef int64_t multiplier = m.value_multiplier, divisor = m.value_divisor
    entry = even = liquidation = 0
    if hedge:
        side = 2 if leg == MARGIN_LEG_SHORT else 1
        if leg == MARGIN_LEG_LONG:
            ask = 0
            orders = ceil_div(g.value_units + bid, s.leverage) - margin
        else:
            bid = 0
            orders = ceil_div(g.value_units + ask, s.leverage) - margin
    if lots != 0:
        cost = whole(g.cost_units)
        entry = nearest(cost * divisor, lots * int(multiplier))
        even = nearest((cost + whole(g.carried_units)) * divisor, lots * int(multiplier))
        if isolated:
            legs = [(lots, cost)]
            balance = whole(g.isolated_units)
        else:
            # Long and short of a cross hedge share the balance, and so the price.
            legs = [(int(s.legs[k].lots), whole(s.legs[k].cost_units)) for k in range(2)]
            balance = (whole(w.cross_units) + whole(w.cross_pnl_units) - whole(w.cross_need_units)
                       - whole(s.legs[0].pnl_units) - whole(s.legs[1].pnl_units)
                       + whole(s.legs[0].need_units) + whole(s.legs[1].need_units))
        liquidation = liquidation_price_e8(legs, balance, bracket_rows(m), int(multiplier), int(divisor))
    return MarginPosition(instrument, side, lots, whole(g.cost_units), entry, even, whole(g.realised_units), isolated,
                          whole(g.isolated_units), leverage, mark_e8, whole(notional), whole(g.pnl_units), whole(margin),
                          whole(orders), whole(g.need_units), whole(bid), whole(ask), whole(margin_cap(m, leverage)), liquidation,
                          updated_ns)


class MarginFace:
    """The futures methods of an exchange. Answers of the setters are MarginReason, OK (0) = done."""

    def _attach_margin(self):
        """Give every perpetual that has none its margin state. Called after one has been added."""
        cdef ExchangeBase b = self
        cdef int i
        if not margin_attach(b.x):
            raise MemoryError("no memory for the margin state")
        for i in range(b.x.instrument_count):
            if b.x.instruments[i].kind != SIM_KIND_PERPETUAL or b.x.instruments[i].margin != NULL:
                continue
            tick_e8 = b.instruments[i].tick_size * E8
            if tick_e8 != int(tick_e8) or tick_e8 < 1:
                raise ValueError(f"instrument {b.instruments[i].name}: expected a tick_size that is a multiple of 1e-8, "
                                 f"found {b.instruments[i].tick_size}")
            if margin_add_instrument(b.x, i, int(tick_e8)) != MARGIN_OK:
                raise MemoryError("no memory for the margin state")

    def set_brackets(self, int instrument, brackets):
        """
        Parameters
        ----------
        brackets : [(cap_units, max_leverage, maintenance rate_e8)], caps and rates rising, leverages falling, at most 32. A
            notional above one cap and up to the next has that bracket's rate; the maintenance amount follows from the rates.

        Errors
        ------
        ValueError : brackets that do not rise so.
        """
        cdef ExchangeBase b = self
        cdef int64_t caps[32]
        cdef int64_t leverages[32]
        cdef int64_t rates[32]
        cdef int n = 0
        market_of(b, instrument)
        for cap, leverage, rate in brackets:
            if n >= MARGIN_BRACKETS_MAX:
                raise ValueError(f"expected at most {MARGIN_BRACKETS_MAX} brackets, found more")
            caps[n] = cap
            leverages[n] = leverage
            rates[n] = rate
            n += 1
        if margin_set_brackets(b.x, instrument, caps, leverages, rates, n) != MARGIN_OK:
            raise ValueError(f"expected 1 to 32 brackets with rising caps, rates above 0 that do not fall and leverages of 1 to "
                             f"1000 that do not rise, found {list(brackets)!r}")

    def brackets(self, int instrument):
        """[MarginBracketView]; cum_units is a Fraction (whole but for odd rates)."""
        cdef ExchangeBase b = self
        cdef MarginMarket* m = market_of(b, instrument)
        cdef int i
        out = []
        for i in range(m.bracket_count):
            out.append(MarginBracketView(whole(m.brackets[i].floor_units), whole(m.brackets[i].cap_units),
                                         int(m.brackets[i].max_leverage), int(m.brackets[i].rate_e8),
                                         Fraction(whole(m.brackets[i].cum_e8), E8)))
        return out

    def set_liquidation_fee(self, int instrument, int64_t rate_e8):
        """The fee on what liquidation orders fill, a fraction x 1e8; it goes to the insurance fund. 0 at the start."""
        cdef ExchangeBase b = self
        if rate_e8 < 0 or rate_e8 > E8:
            raise ValueError(f"expected a liquidation fee of 0 to 1e8, found {rate_e8}")
        market_of(b, instrument).liquidation_rate_e8 = rate_e8

    def set_margin_call_rate(self, int64_t rate_e8):
        """Maintenance margin over margin balance at which a MARGIN_CALL is sent, x 1e8; 80 % at the start."""
        cdef ExchangeBase b = self
        if rate_e8 < 1 or rate_e8 > E8:
            raise ValueError(f"expected a margin call rate of 1 to 1e8, found {rate_e8}")
        if not margin_attach(b.x):
            raise MemoryError("no memory for the margin state")
        margin_state(b.x).call_rate_e8 = rate_e8

    def set_leverage(self, unsigned int account, int instrument, int leverage):
        cdef ExchangeBase b = self
        return MarginReason(margin_set_leverage(b.x, account, instrument, leverage))

    def set_margin_type(self, unsigned int account, int instrument, bint isolated):
        cdef ExchangeBase b = self
        return MarginReason(margin_set_type(b.x, account, instrument, isolated))

    def set_position_mode(self, unsigned int account, bint hedge):
        cdef ExchangeBase b = self
        return MarginReason(margin_set_mode(b.x, account, hedge))

    def add_margin(self, unsigned int account, int instrument, int position_side, int64_t units):
        """Move units from the cross wallet to an isolated position (> 0) or back (< 0)."""
        cdef ExchangeBase b = self
        return MarginReason(margin_move_isolated(b.x, account, instrument, position_side, units))

    def removable_margin(self, unsigned int account, int instrument, int position_side):
        """Units that add_margin(-units) would give back."""
        cdef ExchangeBase b = self
        market_of(b, instrument)
        self._check_account(account)
        return whole(margin_isolated_excess(b.x, account, instrument,
                                            MARGIN_LEG_SHORT if position_side == POSITION_SIDE_SHORT else MARGIN_LEG_LONG))

    def margin_transfer(self, unsigned int account, int asset, int64_t units):
        """Move units from the spot balance to the margin wallet (> 0) or back (< 0, at most max_withdraw_units)."""
        cdef ExchangeBase b = self
        if asset < 0 or asset >= b.x.asset_count:
            raise ValueError(f"expected the number of an asset, found {asset}")
        return MarginReason(margin_transfer(b.x, account, asset, units))

    def set_mark(self, int instrument, int64_t mark_e8, int64_t now_ns):
        """A new mark price, in 1e-8 of the quote asset: values positions, liquidates, triggers orders that wait for the mark."""
        cdef ExchangeBase b = self
        cdef MarginMarket* m = market_of(b, instrument)
        if mark_e8 < m.tick_e8 or mark_e8 // m.tick_e8 > MARK_TICKS_MAX:
            raise ValueError(f"expected a mark price of one tick ({m.tick_e8}e-8) to 2^47 ticks, found {mark_e8}e-8")
        with nogil:
            margin_set_mark(b.x, instrument, mark_e8, now_ns)

    def mark(self, int instrument):
        """The mark price in 1e-8 of the quote asset; 0 = none yet."""
        return market_of(self, instrument).mark_e8

    def fund(self, int instrument, int64_t rate_e8, int64_t now_ns):
        """Pay one funding: value at mark x rate; longs pay shorts where the rate is above zero."""
        cdef ExchangeBase b = self
        market_of(b, instrument)
        if rate_e8 < -E8 or rate_e8 > E8:
            raise ValueError(f"expected a funding rate of -1e8 to 1e8, found {rate_e8}")
        with nogil:
            margin_fund(b.x, instrument, rate_e8, now_ns)

    def offload_insurance(self, int instrument, int64_t now_ns, int64_t price_ticks=0):
        """Send the insurance fund's position to the book, at price_ticks or better (0: any price). Returns the lots traded."""
        cdef ExchangeBase b = self
        market_of(b, instrument)
        return margin_offload(b.x, instrument, price_ticks, now_ns)

    def _check_account(self, unsigned int account):
        cdef ExchangeBase b = self
        if account >= <unsigned int>b.x.account_count:
            raise ValueError(f"expected the number of an account, found {account}")

    def positions(self, unsigned int account, instrument=None):
        """[MarginPosition] of the perpetuals that the account has touched, by instrument and position side, flat ones too."""
        cdef ExchangeBase b = self
        cdef MarginAccount* a
        cdef MarginSlot* s
        cdef int i
        cdef bint hedge
        self._check_account(account)
        a = <MarginAccount*>b.x.accounts[account].margin
        out = []
        if a == NULL:
            return out
        hedge = a.hedge
        for i in range(b.x.instrument_count):
            if instrument is not None and i != instrument:
                continue
            s = margin_peek(b.x, account, i)
            if s == NULL:
                continue
            out.append(leg_view(s, MARGIN_LEG_LONG, hedge))
            if hedge:
                out.append(leg_view(s, MARGIN_LEG_SHORT, hedge))
        return out

    def margin_account(self, unsigned int account, int asset):
        """MarginFunds of an account in an asset; zeros where it has none."""
        cdef ExchangeBase b = self
        cdef MarginAccount* a
        cdef MarginSlot* s
        cdef MarginWallet* w
        cdef int i, leg
        cdef int128 isolated = 0, pnl = 0, position = 0, orders = 0, need = 0
        cdef int128 cross, cross_pnl, free, most
        self._check_account(account)
        w = wallet_peek(b.x, account, asset)
        if w == NULL:
            return MarginFunds(asset, *(0,) * 10, False)
        a = <MarginAccount*>b.x.accounts[account].margin
        for i in range(a.slot_capacity):
            s = a.slots[i]
            if s == NULL or s.wallet != w:
                continue
            position += s.position_margin_units
            orders += s.margin_units - s.position_margin_units
            for leg in range(2):
                pnl += s.legs[leg].pnl_units
                need += s.legs[leg].need_units
                isolated += s.legs[leg].isolated_units
        cross = w.cross_units
        cross_pnl = w.cross_pnl_units
        free = margin_free(w)
        most = margin_max_withdraw(w)
        if free < 0:
            free = 0
        return MarginFunds(asset, whole(cross + isolated), whole(cross), whole(cross_pnl), whole(pnl), whole(position),
                           whole(orders), whole(need), whole(cross + isolated + pnl), whole(free), whole(most), bool(a.hedge))

    def position_settings(self, unsigned int account, int instrument):
        """(leverage, isolated) of an account in a perpetual, as they are or would be at its first order."""
        cdef ExchangeBase b = self
        cdef MarginMarket* m = market_of(b, instrument)
        cdef MarginSlot* s
        self._check_account(account)
        s = margin_peek(b.x, account, instrument)
        if s == NULL:
            return min(20, int(m.brackets[0].max_leverage)), False
        return int(s.leverage), bool(s.isolated)
