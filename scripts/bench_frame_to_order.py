"""How long from a frame's first byte in memory to the encoded order? (frame_to_order_ns)

Workload: the committed Binance spot captures from first to last frame, in recorded order, no frame twice; every strategy
decision compiled, all nine steps stamped, ring and simulated venue on. `bookTicker` and `trade`: an order on every event;
`market_making`: whatever the market maker sends; `depth_capture`: an order on every recorded depth message (also as ns a
level); `aggTrade`, `depth20` (10 + 10 levels) and `executionReport` are generated messages, since the captures hold none.
Figures come from the LatencyEvent of each order, so they are what the running system measures. Unit: ns, own code only;
the frames of one turn follow each other at once (warm).

Floor: scripts/floors/path.c, plain C on the same frames in the same run.
"""
import random
import struct
import subprocess
import sys
import tempfile

import numpy as np

import benchlib
from tickpath.capture import read_capture
from tickpath.clock import calibrate_cycles_per_ns
from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.ring import EventReader, EventWriter, records
from tickpath.shm.state_page import StatePage
from tickpath.types import EventType

RING_SLOTS = 1 << 21
LANE_BYTES = 1 << 26


def measure(frames, strategy, parameters, cycles_per_ns, stamps=True):
    """Run frames through a fresh engine; per order: (ns, kind of the frame's first record, records in the frame)."""
    writer = EventWriter.local(RING_SLOTS)
    session = Session(Engine(benchlib.spec(strategy, parameters, stamps=stamps), writer), benchlib.PAPER)
    lane_writer, lane = FeedLaneWriter.local(LANE_BYTES)
    for data, ts_recv_ns in frames:
        if not lane_writer.try_write(data, ts_recv_ns, 0):
            raise RuntimeError("the feed lane is too small for the capture")
    while session.drain(lane, 1 << 20):
        pass
    reader = EventReader(writer.buffer, 1)
    slots = reader.read(RING_SLOTS)
    if reader.missed_slots:
        raise RuntimeError("the ring is too small for the run")
    kinds = slots["type"]
    latency_at = np.flatnonzero(kinds == EventType.EV_LATENCY)
    latency = records(slots, EventType.EV_LATENCY)
    # The frame record that each order followed.
    frame_index = np.maximum.accumulate(np.where(kinds == EventType.EV_FRAME, np.arange(len(kinds)), -1))[latency_at]
    frame_events = slots[frame_index].view(np.uint8).reshape(-1, 64)[:, 44:48].copy().view("<u4")[:, 0]
    first = kinds[np.minimum(frame_index + 1, len(kinds) - 1)]
    from_frame = latency["receive_start_cycles"] > 0
    ns = latency["frame_to_order_cycles"] / cycles_per_ns
    steps = StatePage(session.engine.state_buffer).latency()
    return ns[from_frame], first[from_frame], frame_events[from_frame], steps


def generated(seed=7, n=30000):
    """Messages the captures do not hold, around one price, 1 ms apart: {case: [(bytes, ts)]}, each behind a snapshot."""
    r = random.Random(seed)
    snapshot = b'{"lastUpdateId":1000,"bids":[["61000.00000000","1.00000000"]],"asks":[["61000.01000000","1.00000000"]]}'
    cases = {"aggTrade": [(snapshot, 0)], "depth20": [(snapshot, 0)], "executionReport": [(snapshot, 0)]}
    for i in range(n):
        t, ms = (i + 1) * 1_000_000, 1723161255342 + i
        qty = f"{r.lognormvariate(-2, 1):.5f}000"
        cases["aggTrade"].append((
            f'{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{ms},"s":"BTCUSDT","a":{3_512_000_000 + i},'
            f'"p":"{61000 + r.randrange(200) / 100:.8f}","q":"{qty}","f":{5_123_000_000 + 3 * i},"l":{5_123_000_002 + 3 * i},'
            f'"T":{ms - 1},"m":{r.choice(("true", "false"))},"M":true}}}}'.encode(), t))
        rows = [",".join(f'["{61000 + sign * (k + (sign > 0)) / 100:.8f}","{r.lognormvariate(-2, 2) + 0.00001:.5f}000"]'
                         for k in range(10)) for sign in (-1, 1)]
        cases["depth20"].append((
            f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"BTCUSDT","U":{1001 + 31 * i},'
            f'"u":{1031 + 31 * i},"b":[{rows[0]}],"a":[{rows[1]}]}}}}'.encode(), t))
    return cases


def execution_reports(n, prefix):
    """Reports of our own orders: a fill of each order that the strategy places on the fill before."""
    for i in range(1, n + 1):
        ms = 1723161255342 + i
        yield (f'{{"e":"executionReport","E":{ms},"s":"BTCUSDT","c":"{prefix}{base32(i)}","S":"BUY","o":"LIMIT","f":"IOC",'
               f'"q":"0.00100000","p":"60999.95000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"TRADE","X":"FILLED",'
               f'"r":"NONE","i":{34_293_153_000 + i},"l":"0.00100000","z":"0.00100000","L":"60999.95000000","n":"0.06100000",'
               f'"N":"USDT","T":{ms - 1},"t":{4_512_345_678 + i},"I":{78_641_984_000 + i},"w":false,"m":true,"M":false,'
               f'"O":{ms - 900},"Z":"61.00000000","Y":"61.00000000","Q":"0.00000000","W":{ms - 900}}}').encode()


def base32(v):
    out = ""
    for _ in range(6):
        out = "0123456789abcdefghijklmnopqrstuv"[v & 31] + out
        v >>= 5
    return out


def measure_reports(n, cycles_per_ns):
    """Each report fills the order before and makes the strategy place the next: replies come from us, not from the venue."""
    from tickpath.trading.orders import client_order_prefix
    writer = EventWriter.local(RING_SLOTS)
    session = Session(Engine(benchlib.spec("every_event", {"order_qty_lots": 1000, "offset_ticks": 5}), writer))
    snapshot = b'{"lastUpdateId":1000,"bids":[["61000.00000000","1.00000000"]],"asks":[["61000.01000000","1.00000000"]]}'
    lane_writer, lane = FeedLaneWriter.local(LANE_BYTES)
    lane_writer.try_write(snapshot, 0, 0)
    for i, data in enumerate(execution_reports(n, client_order_prefix("bench", 1))):
        lane_writer.try_write(data, (i + 1) * 1_000_000, 0)
    while session.drain(lane, 1 << 20):
        pass
    latency = records(EventReader(writer.buffer, 1).read(RING_SLOTS), EventType.EV_LATENCY)
    return latency["frame_to_order_cycles"][1:] / cycles_per_ns


def floor(frames, cycles_per_ns):
    program = benchlib.build_floor("path")
    with tempfile.NamedTemporaryFile() as f:
        for data, _ in frames:
            kind = 1 if b"@bookTicker" in data[:40] else 2 if b"@trade" in data[:40] else None
            if kind:
                f.write(struct.pack("<II", kind, len(data)) + data)
        f.flush()
        lines = subprocess.run([str(program), f.name], capture_output=True, text=True, check=True).stdout.splitlines()
    result = {}
    for line in lines[:-1]:
        kind, n, *values = map(int, line.split())
        names = ("p50", "p99", "p999", "max")
        result["bookTicker" if kind == 1 else "trade"] = {
            "n": n, **{k: round(v / cycles_per_ns, 1) for k, v in zip(names, values, strict=True)}}
    return result


def main():
    options = benchlib.arguments(__doc__).parse_args()
    benchlib.pin(options.core)
    cycles_per_ns = calibrate_cycles_per_ns(200_000_000)
    frames = [(f.data, f.ts_recv_ns) for path in benchlib.CAPTURES for f in read_capture(path)]
    every = {"order_qty_lots": 1000, "offset_ticks": 5}
    maker = {"order_qty_lots": 1000, "max_position_lots": 20000, "skew_ticks_per_lot": 0.0005, "requote_ticks": 1,
             "imbalance_ticks": 20.0}
    best, floors, steps = {}, None, {}
    for _ in range(options.rounds):
        ns, first, events, steps = measure(frames, "every_event", every, cycles_per_ns)
        depth = first == EventType.EV_BOOK_DELTA
        round_ = {"bookTicker": ns[first == EventType.EV_QUOTE], "trade": ns[first == EventType.EV_TRADE],
                  "bookTicker+trade": ns[~depth], "depth_capture": ns[depth],
                  "depth_capture_excess": ns[depth] - 30.0 * events[depth]}
        ns, first, _, _ = measure(frames, "market_maker", maker, cycles_per_ns)
        round_["market_making"] = ns[first != EventType.EV_BOOK_DELTA]
        for name, messages in generated().items():
            if name != "executionReport":
                ns, first, _, _ = measure(messages, "every_event", every, cycles_per_ns)
                round_[name] = ns[1:]
        round_["executionReport"] = measure_reports(30000, cycles_per_ns)
        found = floor(frames, cycles_per_ns)
        for name, values in round_.items():
            if name not in best or np.median(values) < np.median(best[name]):
                best[name] = values
        if floors is None or found["bookTicker"]["p50"] < floors["bookTicker"]["p50"]:
            floors = found
    cases = []
    for name, values in best.items():
        case = {"case": name, "unit": "ns", **benchlib.percentiles(values), "peers": {}}
        if name in floors:
            case["floor"] = floors[name]
            case["ratio_to_floor"] = round(case["p50"] / floors[name]["p50"], 2)
        cases.append(case)
    benchlib.finish({"name": "bench_frame_to_order", "machine": benchlib.machine(), "rounds": options.rounds, "cases": cases,
                     "steps": {k: v for k, v in steps.items() if k not in ("ack", "fill")}, "missing": []}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
