# Spot money of the simulated venue: what an order locks, what a trade moves, what it costs. Hot; called by core.pyx alone.
#
# An order with a limit price locks quote (buy: its limit price x open quantity, rounded down) or base (sell) when it is
# accepted; a fill frees what that part had locked and pays the trade's price. A market order locks nothing: it is settled at
# once, out of what is free. A stop-market sell locks its base while it waits, a stop-market buy nothing: its price is not
# known. Fees are taken from what is received, rounded down to the unit; or, where the account has chosen an asset for them and
# the whole fee is free in it, in that asset with a discount.
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t

from tickpath.sim.core cimport (SIM_ACCOUNT_FEES, SIM_ACCOUNT_HOUSE, SIM_ASSETS_MAX, SIM_DAYS, SIM_REASON_INSUFFICIENT_BALANCE,
                                SIM_REASON_OK, SimAccount, SimBalance, SimExchange, SimInstrument, SimTrade)
from tickpath.sim.order_queues cimport SIM_FLAG_LIQUIDATION, SIM_FLAG_WAITING, SIM_NONE, SimOrder
from tickpath.types cimport SIDE_BUY, int128, likely, unlikely

cdef extern from *:
    """
    static inline int tp_mul_overflows(int64_t a, int64_t b, int64_t *out) { return __builtin_mul_overflow(a, b, out); }
    """
    bint mul_overflows "tp_mul_overflows"(int64_t a, int64_t b, int64_t* out) noexcept nogil

cdef enum: E8 = 100000000
cdef enum: DAY_NS = 86400000000000
# Order types with a limit price: LIMIT, LIMIT_MAKER, STOP_LIMIT, TAKE_PROFIT_LIMIT; one bit a type.
cdef enum: PRICED_TYPES = 172
cdef enum: STOP_TYPES = 240

cdef inline bint is_priced(int order_type) noexcept nogil:
    return (PRICED_TYPES >> order_type) & 1

cdef inline bint is_stop(int order_type) noexcept nogil:
    return (STOP_TYPES >> order_type) & 1

cdef inline SimBalance* balance_of(const SimExchange* x, uint32_t account, int asset) noexcept nogil:
    return &x.balances[<int64_t>account * x.asset_stride + asset]

# Price x quantity in units of the quote asset, rounded down. Checked against overflow where the order was accepted.
cdef inline int64_t notional_of(const SimInstrument* i, int64_t price_ticks, int64_t lots) noexcept nogil:
    if likely(i.quote_divisor == 1):
        return price_ticks * lots * i.quote_multiplier
    return <int64_t>(<int128>price_ticks * lots * i.quote_multiplier // i.quote_divisor)

# Does it fit? The bound leaves room for the sum of any two.
cdef inline bint notional_fits(const SimInstrument* i, int64_t price_ticks, int64_t lots) noexcept nogil:
    cdef int64_t n
    if mul_overflows(price_ticks, lots, &n) or mul_overflows(n, i.quote_multiplier, &n):
        return i.quote_divisor != 1 and <int128>price_ticks * lots * i.quote_multiplier // i.quote_divisor < <int64_t>1 << 61
    return n < <int64_t>1 << 61

cdef inline int64_t fee_of(int64_t units, int64_t rate_e8) noexcept nogil:
    cdef int64_t n
    if likely(not mul_overflows(units, rate_e8, &n)):
        return n // E8
    return <int64_t>(<int128>units * rate_e8 // E8)

# What an order with so many open lots has locked, and of which asset.
cdef inline int64_t lock_of(const SimInstrument* i, const SimOrder* o, int64_t lots) noexcept nogil:
    return notional_of(i, o.price_ticks, lots) if o.side == SIDE_BUY else lots * i.lot_units

cdef inline bint has_lock(const SimOrder* o) noexcept nogil:
    return is_priced(o.order_type) or ((o.flags & SIM_FLAG_WAITING) != 0 and o.side != SIDE_BUY)

cdef inline SimBalance* funds_of(const SimExchange* x, const SimInstrument* i, const SimOrder* o) noexcept nogil:
    return balance_of(x, o.account, i.quote_asset if o.side == SIDE_BUY else i.base_asset)

# Lock what an order of this kind locks. Market orders have been looked at by the caller, who knows the book.
cdef inline int spot_reserve(SimExchange* x, const SimInstrument* i, const SimOrder* o) noexcept nogil:
    cdef SimBalance* b
    cdef int64_t units
    if not has_lock(o):
        return SIM_REASON_OK
    b = funds_of(x, i, o)
    units = lock_of(i, o, o.leaves_lots)
    if unlikely(b.free < units) and x.accounts[o.account].checked:
        return SIM_REASON_INSUFFICIENT_BALANCE
    b.free -= units
    b.locked += units
    return SIM_REASON_OK

# `lots` of what is open will not trade.
cdef inline void spot_release(SimExchange* x, const SimInstrument* i, const SimOrder* o, int64_t lots) noexcept nogil:
    cdef SimBalance* b
    cdef int64_t units
    if not has_lock(o):
        return
    b = funds_of(x, i, o)
    units = lock_of(i, o, o.leaves_lots) - lock_of(i, o, o.leaves_lots - lots)
    b.free += units
    b.locked -= units

# Fee in the account's chosen asset; True when it has been taken there.
cdef inline bint spot_fee_elsewhere(SimExchange* x, const SimInstrument* i, const SimAccount* a, uint32_t account,
                                    bint received_base, int64_t received, int64_t notional, int64_t rate_e8, int64_t* fee,
                                    uint16_t* asset) noexcept nogil:
    cdef int64_t price_e8
    cdef SimBalance* b
    cdef int128 n
    if rate_e8 <= 0:
        return False
    if a.fee_asset == (i.base_asset if received_base else i.quote_asset):
        n = <int128>received * rate_e8 * (E8 - a.discount_e8) // E8 // E8
    elif a.fee_asset == i.quote_asset:
        n = <int128>notional * rate_e8 * (E8 - a.discount_e8) // E8 // E8
    else:
        if x.fee_prices_e8 == NULL:
            return False
        price_e8 = x.fee_prices_e8[<int64_t>a.fee_asset * SIM_ASSETS_MAX + i.quote_asset]
        if price_e8 <= 0:
            return False
        n = <int128>notional * rate_e8 * (E8 - a.discount_e8) // E8 // price_e8
    b = balance_of(x, account, a.fee_asset)
    if n > <int64_t>1 << 61 or (a.checked and b.free < <int64_t>n):
        return False
    fee[0] = <int64_t>n
    asset[0] = <uint16_t>a.fee_asset
    b.free -= fee[0]
    balance_of(x, SIM_ACCOUNT_FEES, a.fee_asset).free += fee[0]
    return True

# A party's volume of today; the sum of the last 30 whole days sets its tier.
cdef inline void spot_count_volume(SimExchange* x, const SimInstrument* i, SimAccount* a, int64_t notional) noexcept nogil:
    cdef int64_t day = x.now_ns // DAY_NS, d, price_e8
    cdef int32_t k
    if a.volumes == NULL:
        return
    if day > a.volume_day:
        d = a.volume_day + 1
        if day - d >= SIM_DAYS:
            d = day - SIM_DAYS
            for k in range(SIM_DAYS):
                a.volumes[k] = 0
        while d <= day:
            a.volumes[d % SIM_DAYS] = 0
            d += 1
        a.volume_day = day
        a.volume_sum = 0
        for k in range(SIM_DAYS):
            a.volume_sum += a.volumes[k]
        a.maker_rate_e8 = a.base_maker_rate_e8
        a.taker_rate_e8 = a.base_taker_rate_e8
        for k in range(x.tier_count):
            if a.volume_sum >= x.tiers[k].volume_units:
                a.maker_rate_e8 = x.tiers[k].maker_rate_e8
                a.taker_rate_e8 = x.tiers[k].taker_rate_e8
    if i.quote_asset != x.volume_asset:
        price_e8 = 0 if x.fee_prices_e8 == NULL else x.fee_prices_e8[<int64_t>i.quote_asset * SIM_ASSETS_MAX + x.volume_asset]
        notional = <int64_t>(<int128>notional * price_e8 // E8)
    if a.volumes[day % SIM_DAYS] < <int64_t>1 << 57:
        a.volumes[day % SIM_DAYS] += notional

# One party's side of a trade; o = NULL is the house. Leaves are those before the trade.
cdef inline void spot_party(SimExchange* x, const SimInstrument* i, const SimOrder* o, bint buys, int64_t lots, int64_t base,
                            int64_t notional, bint is_maker, int64_t* fee, uint16_t* fee_asset) noexcept nogil:
    cdef SimAccount* a
    cdef SimBalance* b
    cdef SimBalance* q
    cdef int64_t freed, rate_e8
    if o == NULL:
        b = balance_of(x, SIM_ACCOUNT_HOUSE, i.base_asset)
        q = balance_of(x, SIM_ACCOUNT_HOUSE, i.quote_asset)
        b.free += base if buys else -base
        q.free += -notional if buys else notional
        fee[0] = 0
        fee_asset[0] = i.quote_asset
        return
    a = &x.accounts[o.account]
    b = balance_of(x, o.account, i.base_asset)
    q = balance_of(x, o.account, i.quote_asset)
    if unlikely(x.tier_count > 0):
        spot_count_volume(x, i, a, notional)
    rate_e8 = a.maker_rate_e8 if is_maker else a.taker_rate_e8
    if buys:
        if is_priced(o.order_type):
            freed = lock_of(i, o, o.leaves_lots) - lock_of(i, o, o.leaves_lots - lots)
            q.locked -= freed
            q.free += freed - notional
        else:
            q.free -= notional
        if unlikely(a.fee_asset != SIM_NONE) and spot_fee_elsewhere(x, i, a, o.account, True, base, notional, rate_e8, fee,
                                                                    fee_asset):
            b.free += base
            return
        fee[0] = fee_of(base, rate_e8)
        fee_asset[0] = i.base_asset
        b.free += base - fee[0]
        balance_of(x, SIM_ACCOUNT_FEES, i.base_asset).free += fee[0]
    else:
        if is_priced(o.order_type):
            b.locked -= base
        else:
            b.free -= base
        if unlikely(a.fee_asset != SIM_NONE) and spot_fee_elsewhere(x, i, a, o.account, False, notional, notional, rate_e8, fee,
                                                                    fee_asset):
            q.free += notional
            return
        fee[0] = fee_of(notional, rate_e8)
        fee_asset[0] = i.quote_asset
        q.free += notional - fee[0]
        balance_of(x, SIM_ACCOUNT_FEES, i.quote_asset).free += fee[0]

cdef inline void spot_trade(SimExchange* x, const SimInstrument* i, const SimOrder* taker, const SimOrder* maker, bint taker_buys,
                            int64_t price_ticks, int64_t lots, SimTrade* t) noexcept nogil:
    cdef int64_t base = lots * i.lot_units
    t.notional_units = notional_of(i, price_ticks, lots)
    t.taker_pnl_units = t.maker_pnl_units = 0
    spot_party(x, i, taker, taker_buys, lots, base, t.notional_units, False, &t.taker_fee_units, &t.taker_fee_asset)
    spot_party(x, i, maker, not taker_buys, lots, base, t.notional_units, True, &t.maker_fee_units, &t.maker_fee_asset)
