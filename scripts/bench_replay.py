"""How many events a second does the engine replay on one core, books, strategy, risk, simulated venue and ring included?

`events`: decoded L2 changes and trades of a generated market (the workload of the peers' figures: a random walk, 1,000
levels a side in the snapshot, 80 % of the changes within 10 ticks of the top, one change a message, a trade every 20
changes); an event is one level change, quote or trade. Cases: no strategy, EMA cross 10/50 on the mid taking the top,
market making that requotes when its price moves. `capture_*`: the committed captures' own events in their own messages.
`frames`: raw bookTicker and trade frames of the captures, JSON in. Unit: ns an event (or frame); ring on, journal off.

Peers: hftbacktest's own event loop over the same generated changes, on the same core in the same run, where
`make bench PEERS=1` has installed it into an environment of its own.
"""
import json
import subprocess
import sys
import time

import numpy as np

import benchlib
from l2_market import l2_changes
from tickpath.capture import read_capture
from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.ring import EventReader, EventWriter
from tickpath.shm.state_page import StatePage
from tickpath.types import DTYPES, SLOT_DTYPE, EventType

N = 1_000_000
RING_SLOTS = 1 << 18
DELTA, TRADE, FRAME = DTYPES[EventType.EV_BOOK_DELTA], DTYPES[EventType.EV_TRADE], DTYPES[EventType.EV_FRAME]
ASK, SNAPSHOT, FIRST, LAST = 1, 2, 4, 8
STRATEGIES = {
    "idle": (None, {}),
    "ema_cross": ("ema_cross", {"fast": 10, "slow": 50, "order_qty_lots": 10}),
    "market_making": ("market_maker", {"order_qty_lots": 10, "max_position_lots": 1000, "skew_ticks_per_lot": 0.002,
                                       "imbalance_ticks": 0.0, "half_spread_ticks": 0.5, "requote_ticks": 1}),
}


def delta_slots(rows, first_id, ts_ns, *, flags=0, one_message=False):
    out = np.zeros(len(rows), DELTA)
    out["type"], out["venue"] = EventType.EV_BOOK_DELTA, 1
    out["flags"] = flags | rows[:, 0] | (0 if one_message else FIRST | LAST)
    out["price_ticks"], out["qty_lots"] = rows[:, 1], rows[:, 2]
    ids = np.full(len(rows), first_id) if one_message else first_id + np.arange(len(rows))
    out["first_update_id"] = out["last_update_id"] = ids
    out["ts_recv_ns"], out["ts_venue_ns"] = ts_ns, ts_ns
    if one_message:
        out["flags"][0] |= FIRST
        out["flags"][-1] |= LAST
    return out.view(SLOT_DTYPE)


def market(n):
    """The generated market as journal records: a snapshot frame, then frames of one change, every 20th with a trade."""
    changes, snapshot = l2_changes(n)
    ts = 1_000_000_000 + np.arange(n, dtype=np.int64) * 100_000
    head = np.zeros(1, FRAME)
    head["type"], head["flags"], head["event_count"], head["ts_recv_ns"] = EventType.EV_FRAME, 1, len(snapshot), ts[0]
    opening = np.concatenate([head.view(SLOT_DTYPE), delta_slots(snapshot, 1, ts[0], flags=SNAPSHOT, one_message=True)])
    frames = np.zeros(n, FRAME)
    frames["type"], frames["flags"], frames["event_count"], frames["ts_recv_ns"] = EventType.EV_FRAME, 1, 1, ts
    body = np.empty(2 * n, SLOT_DTYPE)
    body[0::2] = frames.view(SLOT_DTYPE)
    body[1::2] = delta_slots(changes, 2, ts)
    traded = np.arange(19, n, 20)
    trades = np.zeros(len(traded), TRADE)
    trades["type"], trades["venue"], trades["trade_count"], trades["qty_lots"] = EventType.EV_TRADE, 1, 1, 5
    trades["price_ticks"], trades["flags"] = changes[traded, 1], 1 - changes[traded, 0]
    trades["trade_id"], trades["ts_recv_ns"], trades["ts_venue_ns"] = 1 + np.arange(len(traded)), ts[traded], ts[traded]
    extra = np.empty(2 * len(traded), SLOT_DTYPE)
    extra[0::2], extra[1::2] = frames[traded].view(SLOT_DTYPE), trades.view(SLOT_DTYPE)
    slots = np.concatenate([opening, np.insert(body, np.repeat(2 * traded + 2, 2), extra)])
    return slots, n + len(traded) + len(snapshot)


def capture_market():
    """The committed captures, decoded once, as journal records."""
    writer = EventWriter.local(1 << 20)
    session = Session(Engine(benchlib.spec(None, {}, stamps=False), writer))
    for path in benchlib.CAPTURES:
        for frame in read_capture(path):
            session.on_frame(frame.data, frame.ts_recv_ns, 0)
    slots = EventReader(writer.buffer, 1).read(1 << 20)
    slots = slots[slots["type"] < 16]
    return slots, int((slots["type"] != EventType.EV_FRAME).sum())


def run_slots(slots, strategy, parameters, lot_size="0.000001"):
    writer = EventWriter.local(RING_SLOTS)
    engine = Engine(benchlib.spec(strategy, parameters, stamps=False, lot_size=lot_size), writer)
    session = Session(engine, benchlib.PAPER)
    begin = time.perf_counter_ns()
    session.feed(slots)
    elapsed = time.perf_counter_ns() - begin
    session.finish()
    return elapsed, StatePage(engine.state_buffer).totals()


def run_frames(frames):
    writer = EventWriter.local(RING_SLOTS)
    session = Session(Engine(benchlib.spec("ema_cross", STRATEGIES["ema_cross"][1], stamps=False), writer), benchlib.PAPER)
    lane_writer, lane = FeedLaneWriter.local(1 << 26)
    for data, ts in frames:
        lane_writer.try_write(data, ts, 0)
    begin = time.perf_counter_ns()
    while session.drain(lane, 1 << 20):
        pass
    return time.perf_counter_ns() - begin


def hftbacktest_peer(core):
    """What scripts/peers/hftbacktest_replay.py measures in the peers' own environment, or None where there is none."""
    python = benchlib.peers_python()
    if python is None:
        return None
    done = subprocess.run([python, str(benchlib.ROOT / "scripts" / "peers" / "hftbacktest_replay.py"), str(N), str(core)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        print(f"hftbacktest: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def case(name, unit, per_item, count, **more):
    values = np.array(per_item)
    worst = round(float(values.max()), 1)
    return {"case": name, "unit": unit, "n": count, "p50": round(float(np.median(values)), 1), "p99": worst, "p999": worst,
            "max": worst,
            "per_s": round(1e9 / float(np.median(values))), "rounds": len(values), "peers": {}, **more}


def main():
    options = benchlib.arguments(__doc__).parse_args()
    benchlib.pin(options.core)
    slots, count = market(N)
    peer = hftbacktest_peer(options.core)
    cases = []
    for name, (strategy, parameters) in STRATEGIES.items():
        times, totals = [], None
        for _ in range(options.rounds):
            elapsed, totals = run_slots(slots, strategy, parameters)
            times.append(elapsed / count)
        label = "events" if name == "ema_cross" else f"events_{name}"
        found = case(label, "ns/event", times, count, orders=totals["orders"], fills=totals["fills"],
                     refusals=totals["refusals"])
        if peer is not None:
            ns = peer["cases"][name]
            found["peers"]["hftbacktest"] = {"p50": round(ns, 1), "p99": round(ns, 1), "per_s": round(1e9 / ns),
                                             "version": peer["version"]}
            found["ratio_to_best_peer"] = round(found["p50"] / ns, 3)
        cases.append(found)
    recorded, recorded_count = capture_market()
    for name in ("ema_cross", "market_making"):
        strategy, parameters = STRATEGIES[name]
        parameters = {**parameters, "order_qty_lots": 1000, **({"max_position_lots": 20000} if name == "market_making" else {})}
        times = [run_slots(recorded, strategy, parameters)[0] / recorded_count for _ in range(options.rounds)]
        cases.append(case(f"capture_{name}", "ns/event", times, recorded_count))
    frames = [(f.data, f.ts_recv_ns) for path in benchlib.CAPTURES for f in read_capture(path)]
    hot = frames[:8] + [f for f in frames[8:] if b"@depth" not in f[0][:40]]
    times = [run_frames(hot) / len(hot) for _ in range(options.rounds)]
    cases.append(case("frames", "ns/frame", times, len(hot)))
    benchlib.finish({"name": "bench_replay", "machine": benchlib.machine(), "rounds": options.rounds, "cases": cases,
                     "missing": [] if peer is not None else ["hftbacktest"]}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
