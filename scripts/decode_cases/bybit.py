"""Bybit's messages for the decoder's benchmark: CASES, and what hand-written C (floors/decode_bybit.c) must read in them.

Workload: generated messages of four instruments in turn by chance, in the text of the recorded capture (v5, linear and spot);
numbers are drawn anew for each message, so that no branch can be learnt from the text. How many levels an update has, and which
fields a ticker, follows the capture.
"""
import json
import uuid
from decimal import Decimal

from decode_cases import Case, generated, sum_of_answers

KIND = "bybit"
FLOOR = "decode_bybit"
FLOOR_KINDS = {"book": 0, "spot_book": 1, "trade": 2, "spot_trade": 3, "ticker": 4, "snapshot": 5}
# symbol: middle price in ticks, decimals of the tick, decimals of the price's text, decimals of the lot.
LINEAR = {"BTCUSDT": (651142, 1, 2, 3), "ETHUSDT": (192243, 2, 2, 2), "SOLUSDT": (7811, 2, 3, 1), "DOGEUSDT": (7053, 5, 5, 0)}
# The same of spot, which writes no zeros at the end.
SPOT = {"BTCUSDT": (651404, 1, 1, 6), "ETHUSDT": (192320, 2, 2, 5)}
START_MS = 1_786_310_818_130


def instruments(symbols):
    return [(name, f"{10 ** -tick:.{tick}f}", f"{10 ** -lot:.{lot}f}") for name, (_, tick, _, lot) in symbols.items()]


def plain(text):
    return text.rstrip("0").rstrip(".") if "." in text else text


class Numbers:
    """Prices and quantities of one message's instrument, as its market writes them."""

    def __init__(self, r, symbols):
        self.r, self.write = r, plain if symbols is SPOT else str
        self.symbol = r.choice(list(symbols))
        self.middle, self.tick, self.places, self.lot = symbols[self.symbol]

    def price(self, ticks):
        return self.write(f"{(self.middle + ticks) * 10 ** -self.tick:.{self.places}f}")

    def qty(self):
        return self.write(f"{min(self.r.lognormvariate(0 if self.lot else 7, 2), 999_999) + 10 ** -self.lot:.{self.lot}f}")

    def rows(self, sign, count, deleted=0.3):
        place, result = 0, []
        for _ in range(count):
            place += self.r.randrange(1, 12)
            result.append(f'["{self.price(sign * place)}","{0 if self.r.random() < deleted else self.qty()}"]')
        return ",".join(result)


def some(r):
    """Levels of one side of an update."""
    return min(60, int(r.lognormvariate(1.5, 1)))


def book_data(n, i, bids, asks):
    return (f'"data":{{"s":"{n.symbol}","b":[{bids}],"a":[{asks}],"u":{15_076_953 + i},"seq":{753_843_913_870 + 7 * i}}},'
            f'"cts":{START_MS + 100 * i - 2}}}')


def book(r, i):
    n = Numbers(r, LINEAR)
    return (f'{{"topic":"orderbook.200.{n.symbol}","type":"delta","ts":{START_MS + 100 * i},'
            + book_data(n, i, n.rows(-1, some(r)), n.rows(1, some(r))))


def spot_book(r, i):
    n = Numbers(r, SPOT)
    return (f'{{"topic":"orderbook.200.{n.symbol}","ts":{START_MS + 100 * i},"type":"delta",'
            + book_data(n, i, n.rows(-1, some(r)), n.rows(1, some(r))))


def snapshot(r, i):
    n = Numbers(r, LINEAR)
    return (f'{{"topic":"orderbook.200.{n.symbol}","type":"snapshot","ts":{START_MS + 100 * i},'
            + book_data(n, i, n.rows(-1, 200, 0), n.rows(1, 200, 0)))


def trade(r, i):
    n = Numbers(r, LINEAR)
    at = START_MS + 3 * i
    return (f'{{"topic":"publicTrade.{n.symbol}","type":"snapshot","ts":{at + 1},"data":[{{"T":{at},"s":"{n.symbol}",'
            f'"S":"{r.choice(("Buy", "Sell"))}","v":"{n.qty()}","p":"{n.price(r.randrange(-90, 90))}",'
            f'"L":"{r.choice(("PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick"))}",'
            f'"i":"{uuid.UUID(int=r.getrandbits(128))}","BT":false,"RPI":false,"seq":{753_843_954_913 + i}}}]}}')


def spot_trade(r, i):
    n = Numbers(r, SPOT)
    at = START_MS + 3 * i
    return (f'{{"topic":"publicTrade.{n.symbol}","ts":{at + 1},"type":"snapshot","data":[{{'
            f'"i":"{2_280_000_001_739_247_417 + i}","T":{at},"p":"{n.price(r.randrange(-90, 90))}","v":"{n.qty()}",'
            f'"S":"{r.choice(("Buy", "Sell"))}","seq":{178_477_362_706 + i},"s":"{n.symbol}","BT":false,"RPI":false}}]}}')


def ticker(r, i):
    n = Numbers(r, LINEAR)
    fields = [("lastPrice", n.price(r.randrange(-9, 9)), 0.2), ("markPrice", n.price(r.randrange(-9, 9)), 0.5),
              ("indexPrice", n.price(r.randrange(-9, 9)), 0.3), ("openInterestValue", f"{r.uniform(1e6, 4e9):.2f}", 0.4)]
    text = "".join(f',"{key}":"{value}"' for key, value, chance in fields if r.random() < chance)
    for side, sign in (("bid", -1), ("ask", 1)):
        text += f',"{side}1Price":"{n.price(sign * r.randrange(1, 9))}","{side}1Size":"{n.qty()}"'
    return (f'{{"topic":"tickers.{n.symbol}","type":"delta","data":{{"symbol":"{n.symbol}"{text}}},"cs":{753_843_915_209 + i},'
            f'"ts":{START_MS + 100 * i}}}')


CASES = {make.__name__: Case(generated(f"bybit {make.__name__}", make), instruments(symbols)) for make, symbols in (
    (book, LINEAR), (spot_book, SPOT), (trade, LINEAR), (spot_trade, SPOT), (ticker, LINEAR), (snapshot, LINEAR))}


def e8(text):
    return int(Decimal(text).scaleb(8))


def answer(name, frame):
    """(values, levels) that the floor reads in a frame: values in its order, levels as (price, quantity) in units of 1e-8."""
    message = json.loads(frame)
    data = message["data"]
    if name in ("trade", "spot_trade"):
        (t,) = data
        number = int(t["i"]) if t["i"].isdigit() else uuid.UUID(t["i"]).int
        return (t["T"], t["S"] == "Sell", e8(t["v"]), e8(t["p"]), number >> 64 ^ number & 2 ** 64 - 1), []
    if name == "ticker":
        keys = ("bid1Price", "bid1Size", "ask1Price", "ask1Size", "lastPrice", "markPrice", "indexPrice")
        return (message["ts"], *(e8(data.get(key, "0")) for key in keys)), []
    return (message["ts"], data["u"]), [(e8(p), e8(q)) for side in ("b", "a") for p, q in data[side]]


floor_checksum = sum_of_answers(answer)
