"""Messages of Binance USD-M futures to time the decoder with, in the venue's text; see __init__.py."""
import json
import random
from decimal import Decimal

from decode_cases import BATCH, BYTES_A_CASE, Case, sum_of_answers

KIND = "binance_usdm"
FLOOR = "decode_binance_usdm"
INSTRUMENTS = [("BTCUSDT", "0.10", "0.001"), ("ETHUSDT", "0.01", "0.001"), ("SOLUSDT", "0.01", "0.001")]
MIDDLE_TICKS = {"BTCUSDT": 618_002, "ETHUSDT": 267_155, "SOLUSDT": 15_307}
TICKS_A_UNIT = {"BTCUSDT": 10, "ETHUSDT": 100, "SOLUSDT": 100}
FLOOR_KINDS = {"aggTrade": 0, "bookTicker": 1, "trade": 2, "depth20": 3}


def price(r, symbol, offset_ticks=0):
    return f"{(round(MIDDLE_TICKS[symbol] * r.gauss(1, 0.002)) + offset_ticks) / TICKS_A_UNIT[symbol]:.2f}"


def qty(r):
    return f"{r.lognormvariate(-1, 2) + 0.001:.3f}"


def book_ticker(r, i, ms, symbol):
    return (f'{{"stream":"{symbol.lower()}@bookTicker","data":{{"e":"bookTicker","u":{5_123_107_839_020 + 7 * i},"s":"{symbol}",'
            f'"b":"{price(r, symbol)}","B":"{qty(r)}","a":"{price(r, symbol, 1)}","A":"{qty(r)}","T":{ms},'
            f'"E":{ms + r.randrange(9)}}}}}')


def trade(r, i, ms, symbol):
    return (f'{{"stream":"{symbol.lower()}@trade","data":{{"e":"trade","E":{ms},"T":{ms - r.randrange(3)},"s":"{symbol}",'
            f'"t":{5_266_583_935 + i},"p":"{price(r, symbol)}","q":"{qty(r)}","X":"MARKET","m":{r.choice(("true", "false"))}}}}}')


def agg_trade(r, i, ms, symbol):
    first = 5_266_583_935 + 3 * i
    return (f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":{ms},"a":{2_330_599_292 + i},"s":"{symbol}",'
            f'"p":"{price(r, symbol)}","q":"{qty(r)}","f":{first},"l":{first + r.randrange(3)},"T":{ms - r.randrange(3)},'
            f'"m":{r.choice(("true", "false"))}}}}}')


def depth(r, i, ms, symbol):
    middle = MIDDLE_TICKS[symbol]
    sides = [",".join(f'["{(middle + sign * (2 * k + r.randrange(1, 3))) / TICKS_A_UNIT[symbol]:.2f}",'
                      f'"{qty(r) if r.random() > 0.15 else "0.000"}"]' for k in range(10)) for sign in (-1, 1)]
    last = 5_123_107_837_557 + 3100 * i
    return (f'{{"stream":"{symbol.lower()}@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"T":{ms - 5},"s":"{symbol}",'
            f'"U":{last - 2900},"u":{last},"pu":{last - 3100},"b":[{sides[0]}],"a":[{sides[1]}]}}}}')


def generated(seed=11):
    """{name: Case}"""
    result = {}
    for kind, make in (("bookTicker", book_ticker), ("aggTrade", agg_trade), ("trade", trade), ("depth20", depth)):
        r, frames, total = random.Random(f"{kind}{seed}"), [], 0
        while total < BYTES_A_CASE:
            frame = make(r, len(frames), 1723161255342 + 7 * len(frames), r.choice(list(MIDDLE_TICKS))).encode()
            frames.append(frame)
            total += len(frame)
        result[kind] = Case(frames[:len(frames) // BATCH * BATCH], INSTRUMENTS)
    return result


CASES = generated()


def e8(text):
    return int(Decimal(text).scaleb(8))


def answer(name, frame):
    """(values, levels) that the floor reads in a frame: values in its order, levels as (price, quantity) in units of 1e-8."""
    d = json.loads(frame)["data"]
    if name == "depth20":
        return (d["T"], d["pu"], d["u"]), [(e8(p), e8(q)) for side in "ba" for p, q in d[side]]
    if name == "bookTicker":
        return (d["u"], e8(d["b"]), e8(d["B"]), e8(d["a"]), e8(d["A"]), d["T"]), ()
    values = d["t" if name == "trade" else "a"], e8(d["p"]), e8(d["q"]), d["T"], d["m"]
    return (*values, d["f"], d["l"]) if name == "aggTrade" else values, ()


floor_checksum = sum_of_answers(answer)
