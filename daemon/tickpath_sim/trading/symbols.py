"""Instruments and assets as the venue names and writes them: text to ticks and lots and back, filters, the exchangeInfo entry.

All amounts are counted in 10^-8; a price text with more digits than that is refused, as the venue does.
"""
import re
from decimal import Decimal

from tickpath_sim.trading import errors

__all__ = ["AMENDS_MAX", "Asset", "Symbol", "default_symbols", "units_of"]

PLACES = 8
UNIT = 10**PLACES
DECIMAL_RANGE = "^([0-9]{1,20})(\\.[0-9]{1,20})?$"
DECIMAL = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,20}))?")
CACHED_MAX = 1 << 16
AMENDS_MAX = 10                             # of one order, as the venue's exchangeInfo says
INT64_MAX = (1 << 63) - 1


def units_of(name, text):
    """A parameter's decimal text as a count of 10^-8. Errors: VenueError -1100, -1108, -1111."""
    match = DECIMAL.fullmatch(text)
    if match is None:
        raise errors.illegal_chars(name, DECIMAL_RANGE)
    whole, fraction = match.groups("")
    if len(fraction) > PLACES:
        if fraction[PLACES:].strip("0"):
            raise errors.too_precise(name)
        fraction = fraction[:PLACES]
    units = int(whole + fraction.ljust(PLACES, "0"))
    if units > INT64_MAX:
        raise errors.overflowed(name)
    return units


def text_of(units, places=PLACES):
    """"1.50000000" of 150000000, cut to `places` decimals where they are fewer."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, fraction = divmod(units, UNIT)
    if places == PLACES:
        return f"{sign}{whole}.{fraction:08d}"
    return f"{sign}{whole}.{fraction:08d}"[:places - PLACES] if places else f"{sign}{whole}"


class _Texts(dict):
    """Counts of a step and their texts, written when first asked for. Parameters: step_units : of 10^-8.  places : decimals."""

    def __init__(self, step_units, places):
        super().__init__()
        self.step_units, self.places = step_units, places

    def __missing__(self, count):
        if len(self) >= CACHED_MAX:
            self.clear()
        text = self[count] = text_of(count * self.step_units, self.places)
        return text


class Asset:
    """Parameters: name : "USDT".  index : the exchange's number of it."""
    __slots__ = ("name", "index", "decimals", "prefix")

    def __init__(self, name, index, decimals=PLACES):
        self.name, self.index, self.decimals = name, index, decimals

    def text(self, units):
        return text_of(units)

    def units_of(self, text):
        return int(Decimal(text) * UNIT)

    def __repr__(self):
        return f"Asset({self.name})"


class Symbol:
    """One instrument.

    Parameters: name : "BTCUSDT".  index : the exchange's number of it.  base, quote : Asset.  tick_size, lot_size : decimal
                texts.  filters : the keyword arguments of Exchange.add_instrument.  price_places, qty_places : decimals that
                the venue writes.
    """

    def __init__(self, name, index, base, quote, tick_size, lot_size, filters=None, price_places=PLACES, qty_places=PLACES):
        self.name, self.index, self.base, self.quote = name, index, base, quote
        self.tick_size, self.lot_size = tick_size, lot_size
        self.tick_units, self.lot_units = int(Decimal(tick_size) * UNIT), int(Decimal(lot_size) * UNIT)
        self.filters = dict(filters or {})
        self.price_places, self.qty_places = price_places, qty_places
        self.status = "TRADING"
        self.json_name = f'"{name}"'
        self.prices, self.qtys = _Texts(self.tick_units, price_places), _Texts(self.lot_units, qty_places)
        self._ticks, self._lots = {}, {}

    def __repr__(self):
        return f"Symbol({self.name})"

    def price_text(self, ticks):
        return self.prices[ticks]

    def qty_text(self, lots):
        return self.qtys[lots]

    def ticks_of(self, text, name="price", failure="PRICE_FILTER"):
        """Price text -> ticks. Errors: VenueError, also when it is not on the grid."""
        ticks = self._ticks.get(text)
        if ticks is None:
            ticks, rest = divmod(units_of(name, text), self.tick_units)
            if rest:
                raise errors.filter_failure(failure)
            if len(self._ticks) >= CACHED_MAX:
                self._ticks.clear()
            self._ticks[text] = ticks
        return ticks

    def lots_of(self, text, name="quantity", failure="LOT_SIZE"):
        """Quantity text -> lots. Errors: VenueError, also when it is not on the grid."""
        lots = self._lots.get(text)
        if lots is None:
            lots, rest = divmod(units_of(name, text), self.lot_units)
            if rest:
                raise errors.filter_failure(failure)
            if len(self._lots) >= CACHED_MAX:
                self._lots.clear()
            self._lots[text] = lots
        return lots

    def quote_units(self, ticks, lots):
        """The notional in units of the quote asset, rounded down."""
        return ticks * self.tick_units * lots * self.lot_units // UNIT

    # ---- exchangeInfo

    def text_of_filter(self, name, default):
        return text_of(int(Decimal(str(self.filters.get(name, default))) * UNIT))

    def filter_list(self):
        """The filters in the form and order of exchangeInfo."""
        f = self.text_of_filter
        tick, lot = text_of(self.tick_units), text_of(self.lot_units)
        multiplier = {name: format(Decimal(str(self.filters.get(name, default))).normalize(), "f")
                      for name, default in (("bid_up", "5"), ("bid_down", "0.2"), ("ask_up", "5"), ("ask_down", "0.2"))}
        return [
            {"filterType": "PRICE_FILTER", "minPrice": f("min_price", self.tick_size), "maxPrice": f("max_price", "1000000"),
             "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": f("min_qty", self.lot_size), "maxQty": f("max_qty", "9000"), "stepSize": lot},
            {"filterType": "ICEBERG_PARTS", "limit": int(self.filters.get("max_iceberg_parts", 100))},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": f("market_max_qty", "9000"),
             "stepSize": "0.00000000"},
            {"filterType": "TRAILING_DELTA", "minTrailingAboveDelta": 10, "maxTrailingAboveDelta": 2000,
             "minTrailingBelowDelta": 10, "maxTrailingBelowDelta": 2000},
            {"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": multiplier["bid_up"],
             "bidMultiplierDown": multiplier["bid_down"], "askMultiplierUp": multiplier["ask_up"],
             "askMultiplierDown": multiplier["ask_down"], "avgPriceMins": 5},
            {"filterType": "NOTIONAL", "minNotional": f("min_notional", "5"),
             "applyMinToMarket": bool(self.filters.get("min_notional_market", True)),
             "maxNotional": f("max_notional", "9000000"),
             "applyMaxToMarket": bool(self.filters.get("max_notional_market", False)), "avgPriceMins": 5},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": int(self.filters.get("max_orders", 200))},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": int(self.filters.get("max_algo_orders", 5))},
            {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": AMENDS_MAX}]

    def info_entry(self):
        return {
            "symbol": self.name, "status": self.status, "baseAsset": self.base.name, "baseAssetPrecision": PLACES,
            "quoteAsset": self.quote.name, "quotePrecision": PLACES, "quoteAssetPrecision": PLACES,
            "baseCommissionPrecision": PLACES, "quoteCommissionPrecision": PLACES,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"],
            "icebergAllowed": True, "ocoAllowed": True, "otoAllowed": False, "opoAllowed": False,
            "quoteOrderQtyMarketAllowed": True, "allowTrailingStop": True, "cancelReplaceAllowed": True, "amendAllowed": True,
            "pegInstructionsAllowed": False, "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
            "filters": self.filter_list(), "permissions": [], "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]}


# Filters of the venue's own lists, rounded; name -> (base, quote, tick, lot, filters). A first price for generated flow.
COMMON = {"bid_up": "5", "bid_down": "0.2", "ask_up": "5", "ask_down": "0.2", "min_notional": "5", "max_notional": "9000000",
          "max_orders": 200, "max_algo_orders": 5, "max_iceberg_parts": 100}
DEFAULTS = {
    "BTCUSDT": ("BTC", "USDT", "0.01", "0.00001", {"max_qty": "9000", "market_max_qty": "100", "max_price": "1000000"}),
    "ETHUSDT": ("ETH", "USDT", "0.01", "0.0001", {"max_qty": "9000", "market_max_qty": "1000", "max_price": "1000000"}),
    "BNBUSDT": ("BNB", "USDT", "0.01", "0.001", {"max_qty": "900000", "market_max_qty": "1000", "max_price": "100000"}),
    "SOLUSDT": ("SOL", "USDT", "0.01", "0.001", {"max_qty": "90000", "market_max_qty": "10000", "max_price": "10000"}),
    "XRPUSDT": ("XRP", "USDT", "0.0001", "0.1", {"max_qty": "9222449", "market_max_qty": "500000", "max_price": "10000"}),
    "ETHBTC": ("ETH", "BTC", "0.00001", "0.0001", {"max_qty": "100000", "market_max_qty": "1000", "max_price": "1000",
                                                   "min_notional": "0.0001"}),
    "BNBBTC": ("BNB", "BTC", "0.000001", "0.001", {"max_qty": "100000", "market_max_qty": "1000", "max_price": "1000",
                                                   "min_notional": "0.0001"}),
}


def default_symbols():
    """{name: (base, quote, tick_size, lot_size, filters)} of a venue that no capture and no file describes."""
    return {name: (base, quote, tick, lot, {**COMMON, **filters})
            for name, (base, quote, tick, lot, filters) in DEFAULTS.items()}
