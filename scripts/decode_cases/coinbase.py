"""Coinbase messages to time the decoder on: generated, in the exact text of the recorded feeds (Advanced Trade 2026, Exchange
2021), numbers drawn anew for each message so that no branch can be learnt. At most 256 KiB a case (they stay in the L2 cache),
but for the opening snapshot, which is as large as the recorded one.
"""
import json
import random
import uuid
from decimal import Decimal

from decode_cases import BATCH, BYTES_A_CASE, MASK, Case

KIND = "coinbase"
FLOOR = "decode_coinbase"
FLOOR_KINDS = {"l2update": 0, "match": 1, "exchangeTicker": 2, "l2_data": 3, "market_trades": 4, "ticker": 5, "l2_snapshot": 3}
SNAPSHOT_LEVELS = 46_000
MAX_FRAME_BYTES = 16 << 20
# symbol: middle price, decimals of its tick, of its lot.
SYMBOLS = {"BTC-USD": (65083.66, 2, 8), "ETH-USD": (1919.41, 2, 8), "SKL-USD": (0.7912, 4, 1), "DASH-BTC": (0.00552, 8, 8),
           "YFI-BTC": (0.81265, 5, 6)}
INSTRUMENTS = [(name, f"{10 ** -tick:.{tick}f}", f"{10 ** -lot:.{lot}f}") for name, (_, tick, lot) in SYMBOLS.items()]


def plain(text):
    """A number as Advanced Trade writes it: without zeros behind the last digit."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def price(r, symbol, spread=0.002):
    middle, decimals, _ = SYMBOLS[symbol]
    return f"{max(abs(middle * r.gauss(1, spread)), 10 ** -decimals):.{decimals}f}"


def qty(r, symbol):
    decimals = SYMBOLS[symbol][2]
    return f"{r.lognormvariate(-2, 2) + 10 ** -decimals:.{decimals}f}"


def time_text(r, i, digits=6):
    """A time of one day; Advanced Trade drops zeros at the end, as here one time in ten."""
    second, fraction = divmod(i * 1_234_567 + r.randrange(1_000_000), 1_000_000)
    text = f"{fraction:06d}" + f"{r.randrange(1000):03d}" * (digits == 9)
    clock = f"{20 + second // 3600 % 4:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"2026-08-09T{clock}.{plain('0.' + text)[2:].ljust(2, '0')}Z"


def order_id(r):
    return str(uuid.UUID(int=r.getrandbits(128)))


def l2update(r, i, symbol):
    # Four of five change one level, as nearly all recorded ones; level2_batch sends more.
    count = 1 if r.random() < 0.8 else r.randrange(2, 6)
    rows = ",".join(f'["{r.choice(("buy", "sell"))}","{price(r, symbol)}","{qty(r, symbol) if r.random() < 0.7 else 0}"]'
                    for _ in range(count))
    return f'{{"type":"l2update","product_id":"{symbol}","changes":[{rows}],"time":"{time_text(r, i)}"}}'


def match(r, i, symbol):
    return (f'{{"type":"match","trade_id":{280232 + i},"maker_order_id":"{order_id(r)}","taker_order_id":"{order_id(r)}",'
            f'"side":"{r.choice(("buy", "sell"))}","size":"{plain(qty(r, symbol))}","price":"{plain(price(r, symbol))}",'
            f'"product_id":"{symbol}","sequence":{177100030 + 3 * i},"time":"{time_text(r, i)}"}}')


def exchange_ticker(r, i, symbol):
    p = [price(r, symbol) for _ in range(6)]
    return (f'{{"type":"ticker","sequence":{333938798 + 7 * i},"product_id":"{symbol}","price":"{p[0]}","open_24h":"{p[1]}",'
            f'"volume_24h":"{r.uniform(1e3, 1e6):.8f}","low_24h":"{p[2]}","high_24h":"{p[3]}",'
            f'"volume_30d":"{r.uniform(1e5, 1e7):.8f}",'
            f'"best_bid":"{p[4]}","best_bid_size":"{qty(r, symbol)}","best_ask":"{p[5]}","best_ask_size":"{qty(r, symbol)}",'
            f'"side":"{r.choice(("buy", "sell"))}","time":"{time_text(r, i)}","trade_id":{881613 + i},'
            f'"last_size":"{qty(r, symbol)}"}}')


def envelope(r, i, channel, event):
    return f'{{"channel":"{channel}","timestamp":"{time_text(r, i, 9)}","sequence_num":{i},"events":[{event}]}}'


def levels(r, i, symbol, count, spread=0.002):
    at = time_text(r, i)
    sides = sorted(r.choice(("bid", "offer")) for _ in range(count))
    return ",".join(f'{{"side":"{side}","event_time":"{at}","price_level":"{plain(price(r, symbol, spread))}",'
                    f'"new_quantity":"{plain(qty(r, symbol)) if r.random() < 0.75 else 0}"}}' for side in sides)


def l2_data(r, i, symbol):
    count = min(60, 1 + int(r.expovariate(1 / 5.3)))
    return envelope(r, i, "l2_data", f'{{"type":"update","product_id":"{symbol}","updates":[{levels(r, i, symbol, count)}]}}')


def l2_snapshot(r, i, symbol):
    rows = levels(r, i, "BTC-USD", SNAPSHOT_LEVELS, 0.2)
    return envelope(r, i, "l2_data", f'{{"type":"snapshot","product_id":"BTC-USD","updates":[{rows}]}}')


def market_trades(r, i, symbol):
    count = 1 if r.random() < 0.8 else r.randrange(2, 7)
    trades = ",".join(f'{{"product_id":"{symbol}","trade_id":"{1068572090 + 7 * i - k}","price":"{plain(price(r, symbol))}",'
                      f'"size":"{plain(qty(r, symbol))}","time":"{time_text(r, 7 * i - k)}",'
                      f'"side":"{r.choice(("BUY", "SELL"))}"}}'
                      for k in range(count))
    return envelope(r, i, "market_trades", f'{{"type":"update","trades":[{trades}]}}')


def ticker(r, i, symbol):
    p = [plain(price(r, symbol)) for _ in range(7)]
    return envelope(r, i, "ticker", (
        f'{{"type":"update","tickers":[{{"type":"ticker","product_id":"{symbol}","price":"{p[0]}",'
        f'"volume_24_h":"{r.uniform(1e3, 1e6):.8f}",'
        f'"low_24_h":"{p[1]}","high_24_h":"{p[2]}","low_52_w":"{p[3]}","high_52_w":"{p[4]}",'
        f'"price_percent_chg_24_h":"{r.gauss(0, 2):.14f}","best_bid":"{p[5]}","best_ask":"{p[6]}",'
        f'"best_bid_quantity":"{plain(qty(r, symbol))}","best_ask_quantity":"{plain(qty(r, symbol))}"}}]}}'))


MAKERS = {"l2update": l2update, "match": match, "exchangeTicker": exchange_ticker, "l2_data": l2_data,
          "market_trades": market_trades, "ticker": ticker}


def generated(seed=11):
    """{name: Case}."""
    cases = {}
    for name, make in MAKERS.items():
        r, frames, total = random.Random(f"{name}{seed}"), [], 0
        while total < BYTES_A_CASE:
            frames.append(make(r, len(frames), r.choice(list(SYMBOLS))).encode())
            total += len(frames[-1])
        cases[name] = Case(frames[:len(frames) // BATCH * BATCH], INSTRUMENTS, BATCH, MAX_FRAME_BYTES)
    r = random.Random(f"l2_snapshot{seed}")
    cases["l2_snapshot"] = Case([l2_snapshot(r, i, "BTC-USD").encode() for i in range(2)], INSTRUMENTS, 1, MAX_FRAME_BYTES)
    return cases


# ---- the floor's answer

def units_e8(text):
    return int(Decimal(text).scaleb(8))


def day_ns(text):
    hour, minute, second = text[11:-1].split(":")
    return (int(hour) * 60 + int(minute)) * 60 * 10 ** 9 + int(Decimal(second).scaleb(9))


def floor_values(name, message):
    """({index: value}, [(price, qty), ...]) that the floor reads from a message; of a list's own fields the last one's."""
    if name == "l2update":
        rows = message["changes"]
        return {0: day_ns(message["time"]), 2: rows[-1][0] == "sell"}, [(p, q) for _, p, q in rows]
    if name == "match":
        key = uuid.UUID(message["maker_order_id"]).int
        return {0: message["trade_id"], 1: key >> 64, 2: key & MASK, 3: message["side"] == "sell", 4: units_e8(message["size"]),
                5: units_e8(message["price"]), 6: message["sequence"], 7: day_ns(message["time"])}, []
    if name == "exchangeTicker":
        keys = ("best_bid", "best_bid_size", "best_ask", "best_ask_size")
        return {**{i: units_e8(message[key]) for i, key in enumerate(keys)}, 4: day_ns(message["time"])}, []
    (event,) = message["events"]
    if name == "ticker":
        (values,) = event["tickers"]
        keys = ("best_bid", "best_bid_quantity", "best_ask", "best_ask_quantity")
        return {**{i: units_e8(values[key]) for i, key in enumerate(keys)}, 4: day_ns(message["timestamp"]),
                5: message["sequence_num"]}, []
    if name == "market_trades":
        trades = event["trades"]
        return {0: message["sequence_num"], 1: int(trades[-1]["trade_id"]), 2: day_ns(trades[-1]["time"]),
                3: trades[-1]["side"] == "SELL"}, [(t["price"], t["size"]) for t in trades]
    updates = event["updates"]
    return {0: message["sequence_num"], 1: day_ns(updates[0]["event_time"]), 2: updates[-1]["side"] == "offer"}, [
        (u["price_level"], u["new_quantity"]) for u in updates]


def floor_checksum(name, frames):
    total = 0
    for frame in frames:
        values, rows = floor_values(name, json.loads(frame))
        total += sum((2 * i + 1) * value for i, value in values.items())
        total += sum(units_e8(p) + 3 * units_e8(q) for p, q in rows)
    return total & MASK


CASES = generated()
