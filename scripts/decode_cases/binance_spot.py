"""Binance spot messages to time the decoder with: five instruments in turn by chance, in the venue's text, and what an answer
must be, by msgspec (Struct decode, then the decimals to int64 with Python's own means), which is the peer as well."""
import random

import msgspec

from decode_cases import BATCH, BYTES_A_CASE, MASK, Case, weighted

KIND = "binance_spot"
FLOOR = "decode"
FLOOR_KINDS = {"aggTrade": 0, "bookTicker": 1, "trade": 2, "depth20": 3, "executionReport": 4}
PREFIX = "tp0bench0000"
# symbol: middle price, decimals of its tick.
SYMBOLS = {"BTCUSDT": (61837.63, 2), "ETHUSDT": (2671.55, 2), "SOLUSDT": (153.07, 2), "DOGEUSDT": (0.10523, 5),
           "XRPUSDT": (0.6117, 4)}
INSTRUMENTS = [(name, f"{10 ** -decimals:.{decimals}f}", "0.00001") for name, (_, decimals) in SYMBOLS.items()]


def price(r, symbol, offset_ticks=0):
    middle, decimals = SYMBOLS[symbol]
    return f"{round(middle * r.gauss(1, 0.002), decimals) + offset_ticks * 10 ** -decimals:.{decimals}f}".ljust(
        len(f"{middle:.0f}") + 1, "0") + "0" * (8 - decimals)


def qty(r):
    return f"{r.lognormvariate(-2, 2) + 0.00001:.5f}000"


def book_ticker(r, i, ms, symbol):
    return (f'{{"stream":"{symbol.lower()}@bookTicker","data":{{"u":{50_093_239_212 + 7 * i},"s":"{symbol}",'
            f'"b":"{price(r, symbol)}","B":"{qty(r)}","a":"{price(r, symbol, 1)}","A":"{qty(r)}"}}}}')


def agg_trade(r, i, ms, symbol):
    first = 5_123_000_000 + 3 * i
    return (f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":{ms},"s":"{symbol}","a":{3_512_000_000 + i},'
            f'"p":"{price(r, symbol)}","q":"{qty(r)}","f":{first},"l":{first + r.randrange(3)},"T":{ms - r.randrange(3)},'
            f'"m":{r.choice(("true", "false"))},"M":true}}}}')


def trade(r, i, ms, symbol):
    return (f'{{"stream":"{symbol.lower()}@trade","data":{{"e":"trade","E":{ms},"s":"{symbol}","t":{3_735_683_259 + i},'
            f'"p":"{price(r, symbol)}","q":"{qty(r)}","T":{ms - r.randrange(3)},"m":{r.choice(("true", "false"))},"M":true}}}}')


def depth(r, i, ms, symbol):
    middle, decimals = SYMBOLS[symbol]
    rows = [",".join(f'["{middle + sign * (k + r.randrange(1, 3)) * 10 ** -decimals:.{decimals}f}{"0" * (8 - decimals)}",'
                     f'"{qty(r) if r.random() > 0.15 else "0.00000000"}"]' for k in range(10)) for sign in (-1, 1)]
    last = 50_093_239_202 + 31 * i
    return (f'{{"stream":"{symbol.lower()}@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"{symbol}","U":{last - 30},'
            f'"u":{last},"b":[{rows[0]}],"a":[{rows[1]}]}}}}')


def report(r, i, ms, symbol):
    kind, state = r.choice((("NEW", "NEW"), ("TRADE", "FILLED"), ("CANCELED", "CANCELED")))
    filled = kind == "TRADE"
    amount, limit = qty(r), price(r, symbol)
    notional = f"{float(amount) * float(limit) if filled else 0:.8f}"
    fee = f'"{float(notional) / 1000:.8f}","N":"USDT"' if filled else '"0","N":null'
    none = "0.00000000"
    return (f'{{"e":"executionReport","E":{ms},"s":"{symbol}","c":"{PREFIX}{r.randrange(10 ** 6):06d}",'
            f'"S":"{r.choice(("BUY", "SELL"))}","o":"LIMIT","f":"GTC","q":"{amount}","p":"{limit}","P":"{none}","F":"{none}",'
            f'"g":-1,"C":"","x":"{kind}","X":"{state}","r":"NONE","i":{34_293_153_000 + i},"l":"{amount if filled else none}",'
            f'"z":"{amount if filled else none}","L":"{limit if filled else none}","n":{fee},"T":{ms - 1},'
            f'"t":{4_512_345_678 + i if filled else -1},"I":{78_641_984_000 + i},"w":{"false" if filled else "true"},'
            f'"m":{r.choice(("true", "false"))},"M":false,"O":{ms - 900},"Z":"{notional}","Y":"{notional}","Q":"{none}",'
            f'"W":{ms - 900},"V":"EXPIRE_MAKER"}}')


def generated(seed=11):
    """{name: Case}: numbers drawn anew for each message, so that no branch can be learnt from the text."""
    result = {}
    for kind, make in (("bookTicker", book_ticker), ("aggTrade", agg_trade), ("trade", trade), ("depth20", depth),
                       ("executionReport", report)):
        r, frames, total = random.Random(f"{kind}{seed}"), [], 0
        while total < BYTES_A_CASE:
            frames.append(make(r, len(frames), 1723161255342 + 7 * len(frames), r.choice(list(SYMBOLS))).encode())
            total += len(frames[-1])
        result[kind] = Case(frames[:len(frames) // BATCH * BATCH], INSTRUMENTS)
    return result


CASES = generated()


# ---- the answers, by msgspec

class Trade(msgspec.Struct, gc=False):
    E: int
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class AggTrade(msgspec.Struct, gc=False):
    E: int
    s: str
    a: int
    p: str
    q: str
    f: int
    last: int = msgspec.field(name="l")
    T: int
    m: bool


class BookTicker(msgspec.Struct, gc=False):
    u: int
    s: str
    b: str
    B: str
    a: str
    A: str


class Depth(msgspec.Struct, gc=False):
    E: int
    s: str
    U: int
    u: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class Report(msgspec.Struct, gc=False):
    E: int
    s: str
    c: str
    S: str
    x: str
    i: int
    last_qty: str = msgspec.field(name="l")
    z: str
    L: str
    n: str
    T: int
    t: int
    m: bool


def envelope(inner):
    return msgspec.defstruct(f"{inner.__name__}Message", [("data", inner)], gc=False)


def e8(text):
    whole, _, fraction = text.partition(".")
    return int(whole + (fraction + "00000000")[:8])


def of_trade(message):
    d = message.data
    return d.t, e8(d.p), e8(d.q), d.T, d.m


def of_agg_trade(message):
    d = message.data
    return d.a, e8(d.p), e8(d.q), d.T, d.m, d.f, d.last


def of_book_ticker(message):
    d = message.data
    return d.u, e8(d.b), e8(d.B), e8(d.a), e8(d.A)


def of_depth(message):
    d = message.data
    return (d.E, d.U, d.u), [(e8(p), e8(q)) for p, q in d.b] + [(e8(p), e8(q)) for p, q in d.a]


def of_report(d):
    return d.S == "BUY", d.i, e8(d.last_qty), e8(d.z), e8(d.L), e8(d.n), d.T, max(d.t, 0), d.m


MSGSPEC = {"bookTicker": (envelope(BookTicker), of_book_ticker), "aggTrade": (envelope(AggTrade), of_agg_trade),
           "trade": (envelope(Trade), of_trade), "depth20": (envelope(Depth), of_depth), "executionReport": (Report, of_report)}


def values_of(name):
    """f(frame): the numbers that the floor reads, in its order."""
    struct_, convert = MSGSPEC[name]
    decode = msgspec.json.Decoder(struct_).decode
    return lambda frame: convert(decode(frame))


def floor_checksum(name, frames):
    read = values_of(name)
    total = 0
    for frame in frames:
        values = read(frame)
        total += weighted(*values) if name == "depth20" else weighted(values)
    return total & MASK
