"""A trading venue for a protocol: instruments from the capture's own list, from what the capture shows, or the default ones."""
from tickpath_sim.protocols.binance_rest import split_symbol
from tickpath_sim.trading.spot import SpotVenue, spot_rates
from tickpath_sim.trading.symbols import COMMON, default_symbols
from tickpath_sim.trading.usdm import UsdmVenue, usdm_rates, usdm_specs

__all__ = ["KINDS", "specs_of", "trading_venue"]

KINDS = {"binance_spot": "spot", "binance_usdm": "usdm"}
USDM_ORDERS_PER_MIN = 1200
# Field of a filter in exchangeInfo -> keyword of Exchange.add_instrument.
FILTERS = {
    "PRICE_FILTER": (("minPrice", "min_price"), ("maxPrice", "max_price")),
    "LOT_SIZE": (("minQty", "min_qty"), ("maxQty", "max_qty")),
    "MARKET_LOT_SIZE": (("maxQty", "market_max_qty"),),
    "NOTIONAL": (("minNotional", "min_notional"), ("maxNotional", "max_notional"), ("applyMinToMarket", "min_notional_market"),
                 ("applyMaxToMarket", "max_notional_market")),
    "MIN_NOTIONAL": (("minNotional", "min_notional"), ("applyToMarket", "min_notional_market")),
    "PERCENT_PRICE_BY_SIDE": (("bidMultiplierUp", "bid_up"), ("bidMultiplierDown", "bid_down"),
                              ("askMultiplierUp", "ask_up"), ("askMultiplierDown", "ask_down")),
    "MAX_NUM_ORDERS": (("maxNumOrders", "max_orders"),), "MAX_NUM_ALGO_ORDERS": (("maxNumAlgoOrders", "max_algo_orders"),),
    "ICEBERG_PARTS": (("limit", "max_iceberg_parts"),), "MAX_POSITION": (("maxPosition", "max_position"),)}


def specs_of(protocol):
    """{symbol: (base, quote, tick_size, lot_size, filters)} of the instruments that a capture plays."""
    listed = {entry["symbol"]: entry for entry in (protocol.exchange_info or {}).get("symbols", ())}
    known, specs = default_symbols(), {}
    for item in protocol.instruments.values():
        tick, lot = item.grid()
        entry = listed.get(item.symbol)
        if entry is not None:
            filters = {}
            for row in entry.get("filters", ()):
                for field, name in FILTERS.get(row.get("filterType"), ()):
                    if field in row:
                        filters[name] = row[field]
            # Zero means none there, and so it does here.
            filters = {name: value for name, value in filters.items() if not isinstance(value, str) or float(value)}
            specs[item.symbol] = (entry["baseAsset"], entry["quoteAsset"], tick, lot, filters)
        else:
            base, quote = split_symbol(item.symbol)
            filters = known[item.symbol][4] if item.symbol in known else {**COMMON, "max_price": "1000000", "max_qty": "9000000"}
            specs[item.symbol] = (base, quote, tick, lot, filters)
    return specs


def _usdm_specs(protocol):
    """As `specs_of`, for contracts."""
    names = [item.symbol for item in protocol.instruments.values()]
    listed = {entry["symbol"] for entry in (protocol.exchange_info or {}).get("symbols", ())}
    known, specs = usdm_specs(names, protocol.exchange_info), {}
    for item in protocol.instruments.values():
        spec = known.get(item.symbol) or (*split_symbol(item.symbol), None, None, {})
        # Without a recorded list the grid is what the capture shows.
        specs[item.symbol] = spec if item.symbol in listed and spec[2] else (*spec[:2], *item.grid(), spec[4])
    return specs


def trading_venue(protocol, played, rows, timings, seed=0):
    """The TradingVenue of a protocol.

    Parameters: played : its market is a capture's; otherwise the protocol gets the venue's instruments.  rows : of accounts.
                timings : Timings with the protocol's own values filled in; None of a limit: there is none.
    """
    limits = {name: int(getattr(timings, name) or 0) for name in ("rest_weight_per_min", "orders_per_10s", "orders_per_day")}
    if KINDS[protocol.venue] == "usdm":
        rates = usdm_rates(limits["rest_weight_per_min"], limits["orders_per_10s"],
                           limits["orders_per_10s"] and USDM_ORDERS_PER_MIN)
        venue = UsdmVenue(_usdm_specs(protocol) if played else usdm_specs(), rows, rates,
                          enforced=bool(limits["rest_weight_per_min"]), publish=not played, seed=seed)
    else:
        rates = spot_rates(limits["rest_weight_per_min"], limits["orders_per_10s"], limits["orders_per_day"])
        venue = SpotVenue(specs_of(protocol) if played else default_symbols(), rows, rates,
                          enforced=bool(limits["rest_weight_per_min"]), publish=not played, seed=seed)
    if not played:
        for symbol in venue.by_instrument:
            protocol.add_symbol(symbol)
    return venue
