"""The venue's public answers about the market: one function for each endpoint, spot and USD-M alike.

Each takes a MarketView, the request's parameters as texts and the venue's time, and returns what is to be written as JSON.
The names are those of the WebSocket API's methods where it has them. Errors: VenueError.

Shapes, limits and weights: developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints and
…/derivatives/usds-margined-futures/market-data/rest-api, seen 2026-11-22.
"""
import re

from tickpath_sim import wire_json
from tickpath_sim.trading.candles import DAY_MS, HOUR_MS, INTERVALS, MINUTE_MS, next_open_ms
from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.tape import fixed

__all__ = ["ANSWERS", "weight_of"]

WHOLE = re.compile(r"[0-9]{1,20}")
ZONE = re.compile(r"([+-]?)([0-9]{1,2})(?::([0-9]{2}))?")
WINDOW = re.compile(r"([1-9][0-9]?)([mhd])")
WINDOW_UNITS = {"m": (MINUTE_MS, 59), "h": (HOUR_MS, 23), "d": (DAY_MS, 7)}
USDM_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
SYMBOLS_MAX = 100


# ---- parameters

def _mandatory(name):
    return VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def _whole(params, name, default=None):
    text = params.get(name)
    if text is None:
        return default
    if not WHOLE.fullmatch(text):
        raise VenueError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)


def _limit(params, default, most):
    limit = _whole(params, "limit", default)
    if not limit:
        raise VenueError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit, most)


def _name(view, params):
    name = params.get("symbol")
    if not name:
        raise _mandatory("symbol")
    if name not in view.symbols:
        raise VenueError(-1121, "Invalid symbol.")
    return name


def names_of(view, params):
    """(names asked for, whether the answer is a list)."""
    if "symbol" in params and "symbols" in params:
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    if "symbol" in params:
        return [_name(view, params)], False
    if "symbols" not in params:
        return list(view.symbols), True
    try:
        names = wire_json.of_client(params["symbols"])
    except ValueError:
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise VenueError(-1100, "Illegal characters found in parameter 'symbols'; legal range is "
                                "'^\\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\\]$'.")
    if len(names) > SYMBOLS_MAX:
        raise VenueError(-1101, "Too many parameters; expected '100' and received "f"'{len(names)}'.")
    if any(name not in view.symbols for name in names):
        raise VenueError(-1121, "Invalid symbol.")
    return names, True


def _each(view, params, one):
    names, is_list = names_of(view, params)
    rows = [one(name) for name in names]
    return rows if is_list else rows[0]


def zone_ms(params):
    """Offset of a `timeZone` parameter, such as 0, -1:00, 05:45."""
    text = params.get("timeZone", "0")
    match = ZONE.fullmatch(text)
    minutes = None if match is None else (int(match[2]) * 60 + int(match[3] or 0)) * (-1 if match[1] == "-" else 1)
    if minutes is None or not -12 * 60 <= minutes <= 14 * 60 or int(match[3] or 0) > 59:
        raise VenueError(-1130, "Data sent for parameter 'timeZone' is not valid.")
    return minutes * MINUTE_MS


# ---- the book and the tape

def depth(view, params, now_ms):
    name = _name(view, params)
    if view.kind == "usdm":
        limit = _whole(params, "limit", 500)
        if limit not in USDM_DEPTHS:
            raise VenueError(-4021, f"{limit} is not valid depth limit.")
    else:
        limit = _limit(params, 100, 5000)
    sequence, bids, asks = view.depth(name, limit)
    times = {} if view.kind == "spot" else {"E": now_ms, "T": now_ms}
    return {"lastUpdateId": sequence, **times, "bids": [list(row[:2]) for row in bids], "asks": [list(row[:2]) for row in asks]}


def _trade_rows(view, name, trades):
    match = {"isBestMatch": True} if view.kind == "spot" else {}
    return [{"id": t.id, "price": view.price_text(name, t.price_e8), "qty": view.qty_text(name, t.qty_e8),
             "quoteQty": view.turnover_text(name, t.price_e8 * t.qty_e8), "time": t.time_ms,
             "isBuyerMaker": t.is_buyer_maker, **match} for t in trades]


def trades(view, params, now_ms):
    name = _name(view, params)
    return _trade_rows(view, name, view.tape(name).recent(_limit(params, 500, 1000)))


def historical_trades(view, params, now_ms):
    name = _name(view, params)
    limit = _limit(params, *((500, 1000) if view.kind == "spot" else (100, 500)))
    return _trade_rows(view, name, view.tape(name).recent(limit, _whole(params, "fromId")))


def agg_trades(view, params, now_ms):
    name = _name(view, params)
    from_id, start_ms, end_ms = (_whole(params, key) for key in ("fromId", "startTime", "endTime"))
    if from_id is not None and (start_ms is not None or end_ms is not None):
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    if start_ms is not None and end_ms is not None and start_ms > end_ms:
        raise VenueError(-1127, "'startTime' must be earlier than 'endTime'.")
    rows = view.tape(name).recent_aggregates(_limit(params, 500, 1000), from_id=from_id, start_ms=start_ms, end_ms=end_ms)
    match = {"M": True} if view.kind == "spot" else {}
    return [{"a": a.id, "p": view.price_text(name, a.price_e8), "q": view.qty_text(name, a.qty_e8), "f": a.first_id,
             "l": a.last_id, "T": a.time_ms, "m": a.is_buyer_maker, **match} for a in rows]


# ---- candles

def klines(view, params, now_ms):
    name, interval = _name(view, params), params.get("interval")
    if not interval:
        raise _mandatory("interval")
    if interval not in INTERVALS or (interval == "1s" and view.kind == "usdm"):
        raise VenueError(-1120, "Invalid interval.")
    limit = _limit(params, 500, 1000 if view.kind == "spot" else 1500)
    start_ms, end_ms = _whole(params, "startTime"), _whole(params, "endTime")
    if start_ms is not None and end_ms is not None and start_ms > end_ms:
        raise VenueError(-1127, "'startTime' must be earlier than 'endTime'.")
    offset_ms = zone_ms(params)
    rows = view.tape(name).candles.rows(interval, now_ms, start_ms=start_ms, end_ms=end_ms, limit=limit, offset_ms=offset_ms)
    price, qty, quote = view.price_text, view.qty_text, view.quote_text
    return [[c.open_ms, price(name, c.open_e8), price(name, c.high_e8), price(name, c.low_e8), price(name, c.close_e8),
             qty(name, c.volume_e8), next_open_ms(interval, c.open_ms, offset_ms) - 1, quote(name, c.quote_e16), c.count,
             qty(name, c.taker_volume_e8), quote(name, c.taker_quote_e16), "0"] for c in rows]


def avg_price(view, params, now_ms):
    name = _name(view, params)
    tape = view.tape(name)
    return {"mins": 5, "price": view.price_text(name, tape.average_e8(now_ms)),
            "closeTime": tape.last.time_ms if tape.last else now_ms}


# ---- tickers

def change_texts(view, name, stats):
    """(change, change in percent) of a window's last price against its first."""
    change_e8 = stats.close_e8 - stats.open_e8
    percent_e3 = round(change_e8 * 100_000 / stats.open_e8) if stats.open_e8 else 0
    return view.price_text(name, change_e8), fixed(percent_e3, 3, 3)


def _window(view, name, stats, now_ms, window_ms, *, mini=False):
    """The fields that all ticker answers share, in the venue's order."""
    price, qty = view.price_text, view.qty_text
    if stats is None:
        # Nothing has ever been traded.
        zero = price(name, 0)
        full = {} if mini else {"priceChange": zero, "priceChangePercent": "0.000",
                                "weightedAvgPrice": zero}
        return {"symbol": name, **full, "openPrice": zero, "highPrice": zero, "lowPrice": zero, "lastPrice": zero,
                "volume": qty(name, 0), "quoteVolume": view.turnover_text(name, 0), "openTime": now_ms - window_ms,
                "closeTime": now_ms, "firstId": -1, "lastId": -1, "count": 0}
    full = {}
    if not mini:
        change, percent = change_texts(view, name, stats)
        full = {"priceChange": change, "priceChangePercent": percent, "weightedAvgPrice": price(name, stats.average_e8)}
    return {"symbol": name, **full, "openPrice": price(name, stats.open_e8), "highPrice": price(name, stats.high_e8),
            "lowPrice": price(name, stats.low_e8), "lastPrice": price(name, stats.close_e8), "volume": qty(name, stats.volume_e8),
            "quoteVolume": view.turnover_text(name, stats.quote_e16), "openTime": stats.open_ms, "closeTime": stats.close_ms,
            "firstId": stats.first_id, "lastId": stats.last_id, "count": stats.count}


def _is_mini(params):
    kind = params.get("type", "FULL")
    if kind not in ("FULL", "MINI"):
        raise VenueError(-1130, "Data sent for parameter 'type' is not valid.")
    return kind == "MINI"


def ticker_24hr(view, params, now_ms):
    mini = view.kind == "spot" and _is_mini(params)

    def one(name):
        tape = view.tape(name)
        stats = tape.candles.stats(now_ms)
        row = _window(view, name, stats, now_ms, DAY_MS, mini=mini)
        if view.kind == "spot":
            # The futures' window begins on a minute there, too.
            row["openTime"], row["closeTime"] = now_ms - DAY_MS, now_ms
        if mini:
            return row
        last_qty = view.qty_text(name, tape.last.qty_e8 if tape.last else 0)
        zero = view.price_text(name, 0), view.qty_text(name, 0)
        first = {key: row[key] for key in ("symbol", "priceChange", "priceChangePercent", "weightedAvgPrice")}
        rest = {key: row[key] for key in ("openPrice", "highPrice", "lowPrice", "volume", "quoteVolume", "openTime", "closeTime",
                                          "firstId", "lastId", "count")}
        if view.kind == "usdm":
            return {**first, "lastPrice": row["lastPrice"], "lastQty": last_qty, **rest}
        bid, ask = (side or zero for side in view.best(name))
        before_e8 = (stats.before_e8 or stats.open_e8) if stats else 0
        return {**first, "prevClosePrice": view.price_text(name, before_e8), "lastPrice": row["lastPrice"], "lastQty": last_qty,
                "bidPrice": bid[0], "bidQty": bid[1], "askPrice": ask[0], "askQty": ask[1], **rest}
    return _each(view, params, one)


def ticker_trading_day(view, params, now_ms):
    if "symbol" not in params and "symbols" not in params:
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    mini, offset_ms = _is_mini(params), zone_ms(params)

    def one(name):
        stats = view.tape(name).candles.day_stats(now_ms, offset_ms)
        row = _window(view, name, stats, now_ms, DAY_MS, mini=mini)
        if stats is not None:
            row["closeTime"] = stats.open_ms + DAY_MS - 1
        return row
    return _each(view, params, one)


def ticker_window(view, params, now_ms):
    """Statistics of a window of any length that the venue allows."""
    if "symbol" not in params and "symbols" not in params:
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    match = WINDOW.fullmatch(params.get("windowSize", "1d"))
    if match is None or int(match[1]) > WINDOW_UNITS[match[2]][1]:
        raise VenueError(-1130, "Data sent for parameter 'windowSize' is not valid.")
    window_ms, mini = int(match[1]) * WINDOW_UNITS[match[2]][0], _is_mini(params)
    return _each(view, params, lambda name: _window(view, name, view.tape(name).candles.stats(now_ms, window_ms), now_ms,
                                                    window_ms, mini=mini))


def ticker_price(view, params, now_ms):
    def one(name):
        tape = view.tape(name)
        row = {"symbol": name, "price": view.price_text(name, tape.candles.last_e8)}
        return row if view.kind == "spot" else {**row, "time": tape.last.time_ms if tape.last else now_ms}
    return _each(view, params, one)


def ticker_book(view, params, now_ms):
    def one(name):
        zero = view.price_text(name, 0), view.qty_text(name, 0)
        bid, ask = (side or zero for side in view.best(name))
        row = {"symbol": name, "bidPrice": bid[0], "bidQty": bid[1], "askPrice": ask[0], "askQty": ask[1]}
        return row if view.kind == "spot" else {**row, "time": now_ms, "lastUpdateId": view.depth(name, 1)[0]}
    return _each(view, params, one)


# ---- weights

def weight_of(answer, params, kind):
    """What a request costs, of the function that answers it. Malformed parameters count as none."""
    limit = int(params["limit"]) if WHOLE.fullmatch(params.get("limit", "")) else None
    alone = "symbol" in params
    if kind == "spot":
        if answer is depth:
            limit = limit or 100
            return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250
        if answer in (trades, historical_trades):
            return 25
        if answer is agg_trades:
            return 4
        if answer is ticker_24hr:
            count = _count(params)
            return 2 if alone else 80 if count is None or count > 100 else 40 if count > 20 else 2
        if answer in (ticker_trading_day, ticker_window):
            return min(200, 4 * (1 if alone else _count(params) or 1))
        if answer in (ticker_price, ticker_book):
            return 2 if alone else 4
        return 2
    if answer is depth:
        limit = limit or 500
        return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20
    if answer is klines:
        limit = limit or 500
        return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10
    if answer is ticker_24hr:
        return 1 if alone else 40
    if answer is ticker_price:
        return 1 if alone else 2
    if answer is ticker_book:
        return 2 if alone else 5
    return {trades: 5, historical_trades: 20, agg_trades: 20}.get(answer, 1)


def _count(params):
    try:
        names = wire_json.of_client(params.get("symbols", ""))
    except ValueError:
        return None
    return len(names) if isinstance(names, list) else None


# Path behind the prefix -> function. Those with a second name in the WebSocket API are listed under both.
ANSWERS = {"depth": depth, "trades": trades, "trades.recent": trades, "historicalTrades": historical_trades,
           "trades.historical": historical_trades, "aggTrades": agg_trades, "trades.aggregate": agg_trades, "klines": klines,
           "uiKlines": klines, "avgPrice": avg_price, "ticker/24hr": ticker_24hr, "ticker.24hr": ticker_24hr,
           "ticker/tradingDay": ticker_trading_day, "ticker.tradingDay": ticker_trading_day, "ticker/price": ticker_price,
           "ticker.price": ticker_price, "ticker/bookTicker": ticker_book, "ticker.book": ticker_book, "ticker": ticker_window}
