"""OKX's messages for the decoder's benchmark: CASES, and what hand-written C (floors/decode_okx.c) must read in them.

Workload: generated messages of four instruments in turn by chance, in the text of the recorded captures (numbered_book and bbo:
in that of the documentation); numbers are drawn anew for each message, so that no branch can be learnt from the text. How many
levels an update has, and how many digits a quantity, follows the captures.
"""
import json
from decimal import Decimal

from decode_cases import Case, generated, sum_of_answers

KIND = "okx"
FLOOR = "decode_okx"
FLOOR_KINDS = {"book": 0, "numbered_book": 1, "bbo": 2, "trade": 3, "ticker": 4, "snapshot": 5}
# symbol: middle price in ticks, decimals of the tick, decimals of the lot.
SYMBOLS = {"BTC-USDT": (302435, 1, 8), "BTC-USDT-SWAP": (302420, 1, 2), "UNI-USD-SWAP": (5123, 3, 0), "DHT-USDT": (759, 3, 6)}
INSTRUMENTS = [(name, f"{10 ** -tick:.{tick}f}", f"{10 ** -lot:.{lot}f}") for name, (_, tick, lot) in SYMBOLS.items()]
START_MS = 1_652_459_225_453


def plain(number, decimals):
    """As the venue writes it: no zeros at the end."""
    text = f"{number:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def price(r, symbol, ticks=0):
    middle, decimals, _ = SYMBOLS[symbol]
    return plain((middle + ticks) * 10 ** -decimals, decimals)


def qty(r, symbol):
    decimals = r.choice((SYMBOLS[symbol][2], min(SYMBOLS[symbol][2], 2)))
    return plain(min(r.lognormvariate(0 if decimals else 3, 2), 9_999_999) + 10 ** -decimals, decimals)


def rows(r, symbol, sign, count, deleted=0.3):
    place, result = 0, []
    for _ in range(count):
        place += r.randrange(1, 6)
        gone = r.random() < deleted
        result.append(f'["{price(r, symbol, sign * place)}","{0 if gone else qty(r, symbol)}","0",'
                      f'"{0 if gone else max(1, int(r.lognormvariate(0.5, 1)))}"]')
    return ",".join(result)


def some(r):
    """Levels of one side of an update."""
    return min(60, int(r.lognormvariate(0.7, 1))) if r.random() < 0.8 else 0


def push(symbol, channel, more, data):
    return f'{{"arg":{{"channel":"{channel}","instId":"{symbol}"}},{more}"data":[{{{data}}}]}}'


def book_push(r, i, channel, more, tail, counts=None, deleted=0.3):
    symbol = r.choice(list(SYMBOLS))
    asks, bids = (rows(r, symbol, sign, some(r) if counts is None else counts(symbol), deleted) for sign in (1, -1))
    return push(symbol, channel, more, f'"asks":[{asks}],"bids":[{bids}],"ts":"{START_MS + i}"{tail}')


def book(r, i):
    return book_push(r, i, "books", '"action":"update",', f',"checksum":{r.randrange(-2 ** 31, 2 ** 31)}')


def numbered_book(r, i):
    last = 9_690_930_615 + 3 * i
    return book_push(r, i, "books", '"action":"update",', f',"checksum":0,"seqId":{last},"prevSeqId":{last - 3}')


def bbo(r, i):
    return book_push(r, i, "bbo-tbt", "", f',"seqId":{9_690_930_615 + i}', lambda symbol: 1, 0)


def snapshot(r, i):
    # No price may fall to 0.
    return book_push(r, i, "books", '"action":"snapshot",', f',"checksum":{r.randrange(-2 ** 31, 2 ** 31)}',
                     lambda symbol: min(400, SYMBOLS[symbol][0] // 6), 0)


def trade(r, i):
    symbol = r.choice(list(SYMBOLS))
    return push(symbol, "trades", "", (
        f'"instId":"{symbol}","tradeId":"{130_639_474 + i}","px":"{price(r, symbol, r.randrange(-90, 90))}",'
        f'"sz":"{qty(r, symbol)}","side":"{r.choice(("buy", "sell"))}","ts":"{START_MS + i}"'))


def ticker(r, i):
    symbol = r.choice(list(SYMBOLS))
    p = [price(r, symbol, r.randrange(-90, 90)) for _ in range(8)]
    return push(symbol, "tickers", "", (
        f'"instType":"{"SWAP" if "SWAP" in symbol else "SPOT"}","instId":"{symbol}","last":"{p[0]}","lastSz":"{qty(r, symbol)}",'
        f'"askPx":"{p[1]}","askSz":"{qty(r, symbol)}","bidPx":"{p[2]}","bidSz":"{qty(r, symbol)}","open24h":"{p[3]}",'
        f'"high24h":"{p[4]}","low24h":"{p[5]}","sodUtc0":"{p[6]}","sodUtc8":"{p[7]}",'
        f'"volCcy24h":"{plain(r.uniform(1e3, 1e7), 4)}","vol24h":"{r.randrange(10 ** 7)}","ts":"{START_MS + i}"'))


CASES = {make.__name__: Case(generated(f"okx {make.__name__}", make), INSTRUMENTS)
         for make in (book, numbered_book, bbo, trade, ticker, snapshot)}


def e8(text):
    return int(Decimal(text).scaleb(8))


def answer(name, frame):
    """(values, levels) that the floor reads in a frame: values in its order, levels as (price, quantity) in units of 1e-8."""
    (data,) = json.loads(frame)["data"]
    if name == "trade":
        return (int(data["tradeId"]), e8(data["px"]), e8(data["sz"]), data["side"] == "sell", int(data["ts"])), []
    if name == "ticker":
        return (*(e8(data[key]) for key in ("askPx", "askSz", "bidPx", "bidSz")), int(data["ts"])), []
    return ((int(data["ts"]), data.get("checksum", 0), data.get("seqId", 0), data.get("prevSeqId", 0)),
            [(e8(row[0]), e8(row[1])) for side in ("asks", "bids") for row in data[side]])


floor_checksum = sum_of_answers(answer)
