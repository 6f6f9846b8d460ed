"""Terms of the perpetual contracts: filters, margin brackets, and the venue's entry in the list of instruments.

    {"symbol": "BTCUSDT", "contractType": "PERPETUAL", "pricePrecision": 2, "filters": [{"filterType": "PRICE_FILTER", …}], …}

Figures that no capture gives are those of the venue's own list, GET /fapi/v1/exchangeInfo and /fapi/v1/leverageBracket,
as recorded 2025-08.
"""
from decimal import Decimal

__all__ = ["BRACKETS", "DEFAULTS", "E8", "Contract", "Terms", "text_of"]

E8 = 100_000_000
ORDER_TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
TIMES_IN_FORCE = ["GTC", "IOC", "FOK", "GTX", "GTD"]
MAX_ORDERS, MAX_ALGO_ORDERS = 200, 100

# (notional cap in the quote asset, highest leverage, maintenance rate); one bracket's floor is the cap of that before.
BRACKETS = ((300_000, 125, "0.004"), (800_000, 100, "0.005"), (3_000_000, 75, "0.0065"), (12_000_000, 50, "0.01"),
            (70_000_000, 25, "0.02"), (100_000_000, 20, "0.025"), (230_000_000, 10, "0.05"), (480_000_000, 5, "0.1"),
            (600_000_000, 4, "0.125"), (800_000_000, 3, "0.15"), (1_200_000_000, 2, "0.25"), (1_800_000_000, 1, "0.5"))


class Terms:
    """What is listed of a contract, as decimal text. A contract without terms of its own takes the class's."""
    __slots__ = ("base", "quote", "tick_size", "lot_size", "min_price", "max_price", "min_qty", "max_qty", "market_max_qty",
                 "min_notional", "multiplier_up", "multiplier_down", "liquidation_fee", "leverage")

    def __init__(self, base, quote, tick_size, lot_size, min_price=None, max_price=None, min_qty=None, max_qty="10000000",
                 market_max_qty="1000000", min_notional="5", multiplier_up="1.0500", multiplier_down="0.9500",
                 liquidation_fee="0.012500", leverage=20):
        self.base, self.quote, self.tick_size, self.lot_size = base, quote, tick_size, lot_size
        self.min_price, self.max_price = min_price or tick_size, max_price or "4529764"
        self.min_qty, self.max_qty, self.market_max_qty = min_qty or lot_size, max_qty, market_max_qty
        self.min_notional = min_notional
        self.multiplier_up, self.multiplier_down = multiplier_up, multiplier_down
        self.liquidation_fee, self.leverage = liquidation_fee, leverage


DEFAULTS = {
    "BTCUSDT": Terms("BTC", "USDT", "0.10", "0.001", "556.80", "4529764", max_qty="1000", market_max_qty="120",
                     min_notional="100"),
    "ETHUSDT": Terms("ETH", "USDT", "0.01", "0.001", "39.86", "306177", max_qty="10000", market_max_qty="2000",
                     min_notional="20"),
    "SOLUSDT": Terms("SOL", "USDT", "0.0100", "0.01", "0.4200", "6857", max_qty="1000000", market_max_qty="50000"),
}


def text_of(value, scale, places):
    """The integer `value` / 10^`scale` as text with so many places, cut off: text_of(-123456, 4, 2) == "-12.34"."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    if places < scale:
        value //= 10 ** (scale - places)
    elif places > scale:
        value *= 10 ** (places - scale)
    if not places:
        return f"{sign}{value}" if value else "0"
    whole, part = divmod(value, 10 ** places)
    return f"{sign if value else ''}{whole}.{part:0{places}}"


class Contract:
    """A perpetual of this server: B's symbol, its limits in ticks and lots, its brackets.

    Parameters: symbol : Symbol (name, index, tick and lot as text or Decimal, places).  terms : Terms.
    """

    def __init__(self, symbol, terms, brackets=BRACKETS):
        self.symbol, self.terms, self.name, self.index = symbol, terms, symbol.name, symbol.index
        tick, lot = Decimal(terms.tick_size), Decimal(terms.lot_size)
        self.tick_e8, self.lot_e8 = int(tick * E8), int(lot * E8)
        self.price_places, self.qty_places = _places(terms.tick_size), _places(terms.lot_size)
        self.min_ticks, self.max_ticks = -(-Decimal(terms.min_price) // tick), Decimal(terms.max_price) // tick
        self.min_lots, self.max_lots = int(Decimal(terms.min_qty) / lot), int(Decimal(terms.max_qty) / lot)
        self.market_max_lots = int(Decimal(terms.market_max_qty) / lot)
        self.min_notional_e16 = int(Decimal(terms.min_notional) * E8 * E8)
        self.up_e4, self.down_e4 = int(Decimal(terms.multiplier_up) * 10_000), int(Decimal(terms.multiplier_down) * 10_000)
        self.brackets = brackets
        self.price_text, self.qty_text = symbol.price_text, symbol.qty_text
        self.price_zero, self.qty_zero = symbol.price_text(0), symbol.qty_text(0)
        self.quote_zero = text_of(0, 8, min(8, self.price_places + self.qty_places))
        # Texts that have passed their checks -> ticks, and lots; emptied when they are full.
        self.ticks_of, self.lots_of = {}, {}

    # ---- texts

    def average_text(self, quote_units, lots):
        """The average price of `lots` that cost `quote_units` (1e-8 of the quote asset)."""
        if not lots:
            return self.price_zero
        return text_of(quote_units * E8 // (lots * self.lot_e8), 8, self.price_places + 3)

    def quote_text(self, units):
        """A sum of money with as many places as price times quantity needs."""
        if not units:
            return self.quote_zero
        return text_of(units, 8, min(8, self.price_places + self.qty_places))

    def notional_e16(self, ticks, lots):
        return ticks * self.tick_e8 * lots * self.lot_e8

    # ---- numbers

    def scaled(self, text):
        """A decimal text in 1e-8, None for what is no number, False for one with more places than that."""
        return _scaled(text)

    def entry(self, status="TRADING"):
        """The contract as GET /fapi/v1/exchangeInfo lists it."""
        t = self.terms
        filters = [
            {"filterType": "PRICE_FILTER", "maxPrice": t.max_price, "minPrice": t.min_price, "tickSize": t.tick_size},
            {"filterType": "LOT_SIZE", "maxQty": t.max_qty, "minQty": t.min_qty, "stepSize": t.lot_size},
            {"filterType": "MARKET_LOT_SIZE", "maxQty": t.market_max_qty, "minQty": t.min_qty, "stepSize": t.lot_size},
            {"filterType": "MAX_NUM_ORDERS", "limit": MAX_ORDERS},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": MAX_ALGO_ORDERS},
            {"filterType": "MIN_NOTIONAL", "notional": t.min_notional},
            {"filterType": "PERCENT_PRICE", "multiplierDecimal": "4", "multiplierDown": t.multiplier_down,
             "multiplierUp": t.multiplier_up},
            {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"}]
        return {"symbol": self.name, "pair": self.name, "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
                "onboardDate": 1569398400000, "status": status, "maintMarginPercent": "2.5000",
                "requiredMarginPercent": "5.0000", "baseAsset": t.base, "quoteAsset": t.quote, "marginAsset": t.quote,
                "pricePrecision": self.price_places, "quantityPrecision": self.qty_places, "baseAssetPrecision": 8,
                "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": ["PoW"], "triggerProtect": "0.0500",
                "liquidationFee": t.liquidation_fee, "marketTakeBound": "0.05", "maxMoveOrderLimit": 10000, "filters": filters,
                "orderTypes": ORDER_TYPES, "timeInForce": TIMES_IN_FORCE, "permissionSets": ["GRID", "COPY"]}


def _places(text):
    return len(text.partition(".")[2])


def _scaled(text):
    """As `Contract.scaled`: plain decimals only, as the venue takes them."""
    sign = text[:1] == "-"
    whole, _, part = text[sign:].partition(".")
    if not (whole or part) or not f"{whole}{part}".isdecimal() or not text.isascii() or len(text) > 40:
        return None
    if len(part) > 8:
        if part[8:].strip("0"):
            return False
        part = part[:8]
    value = int(whole or "0") * E8 + int(part.ljust(8, "0"))
    return -value if sign else value
