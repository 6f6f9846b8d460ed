"""Accounts and money of the simulated venue's exchange, from Python."""
from libc.stdint cimport int64_t, uint16_t
from libc.stdlib cimport calloc
from libc.string cimport memset

from tickpath.sim.core cimport (
    SIM_ACCOUNT_FIRST, SIM_ASSETS_MAX, SIM_DAYS, SIM_EVENT_BALANCE, SIM_REASON_INSUFFICIENT_BALANCE, SIM_REASON_OK,
    SIM_REASON_OVERFLOW, SIM_TIERS_MAX, SimAccount, SimBalance, SimEvent, exchange_add_account, exchange_event,
)
from tickpath.sim.exchange_base cimport ExchangeBase
from tickpath.sim.spot_funds cimport balance_of

from decimal import Decimal

from tickpath.sim.exchange_types import scaled

SUPPLY_MAX = 1 << 60


cdef int make_volumes(SimAccount* a) except -1:
    if a.volumes == NULL:
        a.volumes = <int64_t*>calloc(SIM_DAYS, sizeof(int64_t))
        if a.volumes == NULL:
            raise MemoryError("no memory for the volumes of an account")
    return 0


class MoneyFace:
    """Accounts, fees, deposits, balances."""

    def add_account(self, maker_bps="10", taker_bps="10", fee_asset=None, fee_discount="0.25", checked=True):
        """Its number, 3 or more. checked=False: its balances may go negative (an agent of a generated market)."""
        cdef ExchangeBase b = self
        cdef int number = exchange_add_account(b.x)
        if number < 0:
            raise MemoryError("no memory for another account")
        b.x.accounts[number].checked = bool(checked)
        self.set_fees(number, maker_bps, taker_bps, fee_asset, fee_discount)
        return number

    def set_fees(self, account, maker_bps="10", taker_bps="10", fee_asset=None, fee_discount="0.25"):
        cdef ExchangeBase b = self
        cdef SimAccount* a = b._account(account)
        cdef int64_t maker = scaled(maker_bps, 4, "maker_bps"), taker = scaled(taker_bps, 4, "taker_bps")
        cdef int64_t discount = scaled(fee_discount, 8, "fee_discount")
        if not -10**7 <= maker <= 10**7 or not -10**7 <= taker <= 10**7 or not 0 <= discount <= 10**8:
            raise ValueError(f"account {account}: expected fees of -1000 to 1000 bps and a discount of 0 to 1")
        a.base_maker_rate_e8 = a.maker_rate_e8 = maker
        a.base_taker_rate_e8 = a.taker_rate_e8 = taker
        a.discount_e8 = discount
        a.fee_asset = -1 if fee_asset is None else self.asset(fee_asset)

    def fees(self, account):
        """(maker, taker) as fractions of one, as they are charged now."""
        cdef ExchangeBase b = self
        cdef SimAccount* a = b._account(account)
        return Decimal(a.maker_rate_e8).scaleb(-8), Decimal(a.taker_rate_e8).scaleb(-8)

    def set_fee_tiers(self, quote_asset, tiers):
        """Fees by volume of the last 30 days: [(volume in quote_asset, maker_bps, taker_bps)], lowest volume first.

        An account's tier is looked at with its first trade of a UTC day; below the first tier its own fees hold. Volume in other
        quote assets counts by set_fee_asset_price, or not at all.
        """
        cdef ExchangeBase b = self
        cdef int number = self.asset(quote_asset), k
        if len(tiers) > SIM_TIERS_MAX:
            raise ValueError(f"fee tiers: at most {SIM_TIERS_MAX}, found {len(tiers)}")
        places = b.asset_decimals[number]
        rows = [(scaled(volume, places, "volume"), scaled(maker, 4, "maker_bps"), scaled(taker, 4, "taker_bps"))
                for volume, maker, taker in tiers]
        if rows != sorted(rows, key=lambda row: row[0]):
            raise ValueError("fee tiers: expected the lowest volume first")
        for k, (volume, maker, taker) in enumerate(rows):
            b.x.tiers[k].volume_units = volume
            b.x.tiers[k].maker_rate_e8 = maker
            b.x.tiers[k].taker_rate_e8 = taker
        b.x.volume_asset = number
        b.x.tier_count = len(rows)
        for k in range(SIM_ACCOUNT_FIRST, b.x.account_count):
            make_volumes(&b.x.accounts[k])

    def add_volume(self, account, units, now_ns):
        """Volume that an account has had before (units of the tiers' asset): counted today."""
        cdef ExchangeBase b = self
        cdef SimAccount* a = b._account(account)
        cdef int64_t day = <int64_t>now_ns // 86_400_000_000_000
        make_volumes(a)
        if day > a.volume_day:
            memset(a.volumes, 0, SIM_DAYS * sizeof(int64_t))
            a.volume_day = day
        a.volumes[day % SIM_DAYS] += <int64_t>units

    def set_fee_asset_price(self, asset, quote_asset, price):
        """What one whole `asset` costs in `quote_asset`: the conversion of fees paid in a third asset, and of volumes."""
        cdef ExchangeBase b = self
        cdef int number = self.asset(asset), quote = self.asset(quote_asset)
        cdef int64_t price_e8
        value = scaled(price, 8 + b.asset_decimals[quote] - b.asset_decimals[number], "price")
        if not 0 <= value < 1 << 62:
            raise ValueError(f"price of {asset} in {quote_asset}: {price} does not fit")
        price_e8 = value
        if b.x.fee_prices_e8 == NULL:
            b.x.fee_prices_e8 = <int64_t*>calloc(SIM_ASSETS_MAX * SIM_ASSETS_MAX, sizeof(int64_t))
            if b.x.fee_prices_e8 == NULL:
                raise MemoryError("no memory for the fee assets' prices")
        b.x.fee_prices_e8[<int64_t>number * SIM_ASSETS_MAX + quote] = price_e8

    def deposit(self, account, asset, units, now_ns=None):
        """SimReason. The supply of an asset is bounded, so that no sum overflows."""
        cdef ExchangeBase b = self
        cdef int number = self.asset(asset)
        cdef SimEvent* e
        b._account(account)
        if units < 0:
            raise ValueError(f"deposit: expected units of 0 or more, found {units}")
        if b.x.supply[number] + units > SUPPLY_MAX:
            return SIM_REASON_OVERFLOW
        if now_ns is not None:
            b.x.now_ns = now_ns
        b.x.supply[number] += <int64_t>units
        balance_of(b.x, account, number).free += <int64_t>units
        e = exchange_event(b.x, SIM_EVENT_BALANCE)
        e.account = account
        e.fee_asset = <uint16_t>number
        e.value = units
        return SIM_REASON_OK

    def withdraw(self, account, asset, units, now_ns=None):
        cdef ExchangeBase b = self
        cdef int number = self.asset(asset)
        cdef SimEvent* e
        b._account(account)
        if units < 0:
            raise ValueError(f"withdraw: expected units of 0 or more, found {units}")
        if balance_of(b.x, account, number).free < units:
            return SIM_REASON_INSUFFICIENT_BALANCE
        if now_ns is not None:
            b.x.now_ns = now_ns
        b.x.supply[number] -= <int64_t>units
        balance_of(b.x, account, number).free -= <int64_t>units
        e = exchange_event(b.x, SIM_EVENT_BALANCE)
        e.account = account
        e.fee_asset = <uint16_t>number
        e.value = -units
        return SIM_REASON_OK

    def balance(self, account, asset):
        """(free, locked) units."""
        cdef ExchangeBase b = self
        cdef int number = self.asset(asset)
        b._account(account)
        cdef SimBalance* found = balance_of(b.x, account, number)
        return found.free, found.locked

    def supply(self, asset):
        """Deposits less withdrawals of an asset: what all balances together are, at any time."""
        cdef ExchangeBase b = self
        return b.x.supply[<int>self.asset(asset)]

    @property
    def account_count(self):
        cdef ExchangeBase b = self
        return b.x.account_count
