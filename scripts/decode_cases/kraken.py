"""Kraken's messages for the decoder's benchmark: CASES, and what hand-written C (floors/decode_kraken.c) must read in them.

Workload: generated messages of four instruments in turn by chance, in the text of the recorded captures; numbers are drawn
anew for each message, so that no branch can be learnt from the text. v2 books are subscribed ten levels deep, v1's a thousand.
The times of a case's messages are a millisecond apart, as a busy feed's are.
"""
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from decode_cases import Case, generated, sum_of_answers

KIND = "kraken"
FLOOR = "decode_kraken"
# symbol: middle price, decimals of its tick, decimals of its text in v1.
SYMBOLS = {"BTC/USD": (64525.3, 1, 5), "ETH/USD": (3321.41, 2, 5), "SOL/EUR": (153.07, 2, 6), "XRP/USD": (0.61173, 5, 5)}
INSTRUMENTS = [(name, f"{10 ** -decimals:.{decimals}f}", "0.00000001") for name, (_, decimals, _) in SYMBOLS.items()]
CHANNEL_IDS = {name: 464 + 528 * i for i, name in enumerate(SYMBOLS)}
START = datetime(2026, 7, 19, 17, 54, 39, 768901, UTC)
FLOOR_KINDS = {"book": 0, "trade": 1, "ticker": 2, "snapshot": 3, "v1_book": 4, "v1_trade": 5, "v1_ticker": 6, "v1_spread": 7,
               "v1_snapshot": 8}


def _qty(r):
    return f"{min(r.lognormvariate(-2, 2) + 0.00005, 99999):.8f}"


class _Numbers:
    """Prices and quantities of one message's instrument, as v1 or v2 writes them."""

    def __init__(self, r, v1):
        self.r = r
        self.symbol = r.choice(list(SYMBOLS))
        self.middle, self.decimals, text_decimals = SYMBOLS[self.symbol]
        self.zeros = "0" * (text_decimals - self.decimals) if v1 else ""

    def price(self, offset_ticks):
        return f"{self.middle + offset_ticks * 10 ** -self.decimals:.{self.decimals}f}{self.zeros}"

    def level(self, sign):
        qty = "0.00000000" if self.r.random() < 0.4 else _qty(self.r)
        return self.price(sign * self.r.randrange(1, 200)), qty


def _iso(i):
    return (START + timedelta(milliseconds=i)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _seconds(i, r):
    return f"{1618678133 + i // 1000}.{i % 1000:03d}{r.randrange(1000):03d}"


def _book(r, i):
    n = _Numbers(r, v1=False)
    # Of the recorded updates three in four touch one side, most with one or two levels.
    counts = r.choice(((1, 0), (0, 1), (2, 0), (0, 2), (1, 0), (0, 1), (1, 1), (3, 2)))
    sides = [",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in (n.level(sign) for _ in range(count)))
             for sign, count in zip((-1, 1), counts, strict=True)]
    return (f'{{"channel":"book","type":"update","data":[{{"symbol":"{n.symbol}","bids":[{sides[0]}],"asks":[{sides[1]}],'
            f'"checksum":{r.randrange(1 << 32)},"timestamp":"{_iso(i)}"}}]}}')


def _snapshot(r, i):
    n = _Numbers(r, v1=False)
    sides = [",".join(f'{{"price":{n.price(sign * (k + 1))},"qty":{_qty(r)}}}' for k in range(10)) for sign in (-1, 1)]
    return (f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"{n.symbol}","bids":[{sides[0]}],"asks":[{sides[1]}],'
            f'"checksum":{r.randrange(1 << 32)},"timestamp":"{_iso(i)}"}}]}}')


def _trade(r, i):
    n = _Numbers(r, v1=False)
    return (f'{{"channel":"trade","type":"update","data":[{{"symbol":"{n.symbol}","side":"{r.choice(("buy", "sell"))}",'
            f'"price":{n.price(r.randrange(-50, 50))},"qty":{_qty(r)},"ord_type":"{r.choice(("limit", "market"))}",'
            f'"trade_id":{105_702_534 + i},"timestamp":"{_iso(i)}"}}]}}')


def _ticker(r, i):
    n = _Numbers(r, v1=False)
    change = r.randrange(-400, 400)
    return (f'{{"channel":"ticker","type":"update","data":[{{"symbol":"{n.symbol}","bid":{n.price(-1)},"bid_qty":{_qty(r)},'
            f'"ask":{n.price(r.randrange(1, 5))},"ask_qty":{_qty(r)},"last":{n.price(0)},"volume":{3156 + i}.84782110,'
            f'"vwap":{n.price(r.randrange(90))},"low":{n.price(-180)},"high":{n.price(180)},"change":{change / 10},'
            f'"change_pct":{change / 100},"trades":{135262 + i},"timestamp":"{_iso(i)}"}}]}}')


def _v1_book(r, i):
    n = _Numbers(r, v1=True)
    side = r.choice("ab")
    levels = [n.level(1 if side == "a" else -1) for _ in range(r.choice((1, 1, 1, 1, 2, 3)))]
    rows = ",".join(f'["{price}","{qty}","{_seconds(i, r)}"]' for price, qty in levels)
    return f'[{CHANNEL_IDS[n.symbol]},{{"{side}":[{rows}],"c":"{r.randrange(1 << 32)}"}},"book-1000","{n.symbol}"]'


def _v1_snapshot(r, i):
    n = _Numbers(r, v1=True)
    rows = [",".join(f'["{n.price(sign * (k + 1))}","{_qty(r)}","{_seconds(r.randrange(10 ** 6), r)}"]' for k in range(100))
            for sign in (1, -1)]
    return f'[{CHANNEL_IDS[n.symbol]},{{"as":[{rows[0]}],"bs":[{rows[1]}]}},"book-1000","{n.symbol}"]'


def _v1_trade(r, i):
    n = _Numbers(r, v1=True)
    return (f'[{CHANNEL_IDS[n.symbol]},[["{n.price(r.randrange(-50, 50))}","{_qty(r)}","{_seconds(i, r)}","{r.choice("bs")}",'
            f'"{r.choice("lm")}",""]],"trade","{n.symbol}"]')


def _v1_ticker(r, i):
    n = _Numbers(r, v1=True)
    bid_qty, ask_qty = _qty(r), _qty(r)
    pair = f'["{n.price(0)}","{n.price(3)}"]'
    return (f'[{CHANNEL_IDS[n.symbol]},{{"a":["{n.price(1)}",{ask_qty.partition(".")[0]},"{ask_qty}"],"b":["{n.price(-1)}",'
            f'{bid_qty.partition(".")[0]},"{bid_qty}"],"c":["{n.price(0)}","{_qty(r)}"],"v":["17858.85261084","33470.74135600"],'
            f'"p":{pair},"t":[{640 + i},{1353 + i}],"l":{pair},"h":{pair},"o":{pair}}},"ticker","{n.symbol}"]')


def _v1_spread(r, i):
    n = _Numbers(r, v1=True)
    return (f'[{CHANNEL_IDS[n.symbol]},["{n.price(-1)}","{n.price(r.randrange(1, 5))}","{_seconds(i, r)}","{_qty(r)}",'
            f'"{_qty(r)}"],"spread","{n.symbol}"]')


CASES = {name: Case(generated(f"kraken {name}", make), INSTRUMENTS) for name, make in (
    ("book", _book), ("trade", _trade), ("ticker", _ticker), ("snapshot", _snapshot), ("v1_book", _v1_book),
    ("v1_trade", _v1_trade), ("v1_ticker", _v1_ticker), ("v1_spread", _v1_spread), ("v1_snapshot", _v1_snapshot))}


def _e8(text):
    return int(Decimal(text).scaleb(8))


def _clock(text):
    return int(text[11:26].replace(":", "").replace(".", ""))


def _us(text):
    return int(text.replace(".", ""))


def answer(name, frame):
    """(values, levels) that the floor reads in a frame: values in its order, levels as (price, quantity) in units of 1e-8."""
    message = json.loads(frame, parse_float=str)
    if name.startswith("v1_"):
        payload = message[1]
        if name == "v1_trade":
            price, qty, time, side, _, _ = payload[0]
            return (_us(time), side == "s", _e8(price), _e8(qty)), []
        if name == "v1_spread":
            bid, ask, time, bid_qty, ask_qty = payload
            return (_us(time), _e8(bid), _e8(bid_qty), _e8(ask), _e8(ask_qty)), []
        if name == "v1_ticker":
            return (0, _e8(payload["b"][0]), _e8(payload["b"][2]), _e8(payload["a"][0]), _e8(payload["a"][2])), []
        rows = [row for key in ("as", "bs", "a", "b") for row in payload.get(key, ())]
        values = (max(_us(row[2]) for row in rows), int(payload.get("c", 0)), "a" in payload)
        return values, [(_e8(row[0]), _e8(row[1])) for row in rows]
    item = message["data"][0]
    if name == "trade":
        return (_clock(item["timestamp"]), item["side"] == "sell", _e8(item["price"]), _e8(item["qty"]), item["trade_id"]), []
    if name == "ticker":
        return (_clock(item["timestamp"]), _e8(item["bid"]), _e8(item["bid_qty"]), _e8(item["ask"]), _e8(item["ask_qty"])), []
    return ((_clock(item["timestamp"]), item["checksum"]),
            [(_e8(level["price"]), _e8(level["qty"])) for side in ("bids", "asks") for level in item[side]])


floor_checksum = sum_of_answers(answer)
