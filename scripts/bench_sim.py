"""What does the simulated venue cost: an action of the matching core in process, and an order through the server's socket?

In process, the order flow of order_flow.py (zero intelligence: 50 % limit orders, 42 % cancels, 8 % that take; balances, locks
and fees in force) through Exchange.run, ns an action:
`submit_match_cancel`  about 1,000 orders open, 16 accounts, events made and then forgotten.
`match`                one order that sweeps 1,000 resting orders at 10 prices: ns a match, both parties settled, two events each.
`flat_1k`, `flat_1m`   submits and cancels at random prices, orders that take, with 10^3 and 10^6 orders open: `ratio_to_1k`.
Before a time is printed, what traded, what is open and what was refused is compared with the floor's (exit 3 on a difference).

Floor: scripts/floors/sim.c, the same flow through a matching engine in plain C without accounts, fees, filters or events.
Peers, same flow, same core, same run: hftbacktest and NautilusTrader's simulated exchange, where `make bench PEERS=1` has
installed them. scripts/peers/{hftbacktest,nautilus}_sim.py say what they are given; the figure is their best case.

Through the server (tickpath-sim serve on the first processor, the client of sim_clients.py on the last, loopback):
`ws_api_orders`        order.place a second, pipelined over one WebSocket API connection, each pair of them a trade.
`ws_api_reply`         us from the send of a request to the whole reply, one at a time, the server's loop never asleep.
`idle_connections`     KiB of the server's memory for each of 10,000 WebSockets that do nothing.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import benchlib
from order_flow import ACCOUNTS, CANCEL, LIMIT, MARKET, order_flow, steady_flow
from tickpath.sim.exchange import ACTION_DTYPE, Exchange, SimActionKind, SimReason

ACTIONS, WARM, PART = 400_000, 20_000, 10_000
PEER_ACTIONS = 4_000              # NautilusTrader: 0.1 ms each
FLAT_ACTIONS = 200_000
SWEEP, SWEEPS = 1_000, 300
TARGET_PER_S, TARGET_PEERS = 5_000_000, {"hftbacktest": 2, "nautilus_trader": 20}
RICH = 10 ** 15
CASES = ("submit_match_cancel", "match", "flat", "server")


def exchange(orders):
    x = Exchange(seed=0, orders=orders)
    for asset in ("BTC", "USDT"):
        x.add_asset(asset, decimals=8)
    x.add_instrument("BTCUSDT", kind="spot", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.00001", min_price="0.01",
                     max_price="1000000", min_qty="0.00001", max_qty="9000", min_notional="0.001")
    first = None
    for _ in range(ACCOUNTS):
        account = x.add_account(maker_bps="10", taker_bps="10")
        first = account if first is None else first
        for asset in ("BTC", "USDT"):
            x.deposit(account, asset, RICH)
    x.drain()
    return x, first


def actions_of(flow, first_account):
    """The flow as actions; a cancel's target is still the number of its submit."""
    rows = np.zeros(len(flow), ACTION_DTYPE)
    rows["now_ns"], rows["account"] = 1 + np.arange(len(flow)), first_account + flow["account"]
    rows["kind"] = np.where(flow["kind"] == CANCEL, int(SimActionKind.CANCEL), int(SimActionKind.SUBMIT))
    rows["side"], rows["order_type"] = flow["side"], np.where(flow["kind"] == MARKET, 1, 2)
    rows["time_in_force"], rows["qty_lots"], rows["target"] = 1, flow["qty_lots"], flow["ref"]
    rows["price_ticks"] = np.where(flow["kind"] == LIMIT, flow["price_ticks"], 0)
    return rows


class Runner:
    """Runs the flow in parts; cancels name the orders of earlier parts by their ids, which are put in outside the clock."""

    def __init__(self, flow, orders):
        self.x, first = exchange(orders)
        self.rows, self.cancels = actions_of(flow, first), flow["kind"] == CANCEL
        self.ids, self.refused = np.zeros(len(flow), np.uint64), 0

    def part(self, begin, end):
        """ns an action; events are made and then forgotten."""
        rows, cancels = self.rows[begin:end], self.cancels[begin:end]
        targets = rows["target"].astype(np.int64)
        earlier = cancels & (targets < begin)
        rows["order_id"][earlier] = self.ids[targets[earlier]]
        rows["target"] = np.where(earlier, 0, targets - begin)
        started = time.perf_counter_ns()
        results = self.x.run(rows, keep_events=False)
        elapsed = time.perf_counter_ns() - started
        self.ids[begin:end] = results["order_id"]
        self.refused += int((results["reason"] != 0).sum())
        if (refused := results["reason"][~cancels]).any():
            raise RuntimeError(f"an order was refused: {SimReason(int(refused.max())).name}")
        return elapsed / (end - begin)


def floor_of(program, flow, warm, rounds, directory):
    """([round][part] ns an action, what it counted)."""
    path = Path(directory) / "flow.bin"
    flow.tofile(path)
    done = subprocess.run([program, str(path), str(rounds), str(warm), str(PART)], capture_output=True, text=True, check=True)
    *lines, last = done.stdout.splitlines()
    words = last.split()
    return [[float(v) for v in line.split()] for line in lines], {words[n]: int(words[n + 1]) for n in range(0, len(words), 2)}


def agree(name, runner, floor):
    found = {"trades": runner.x.trade_count, "open": runner.x.open_count, "refused": runner.refused}
    wanted = {k: floor[k] for k in found}
    if found != wanted:
        print(f"bench_sim: {name}: expected {wanted} as the floor has, found {found}", file=sys.stderr)
        sys.exit(3)


def flow_case(name, program, flow, warm, rounds, directory, orders):
    ours, floors = [], []
    for _ in range(rounds):
        runner = Runner(flow, orders)
        runner.part(0, warm)
        times = [runner.part(at, min(at + PART, len(flow))) for at in range(warm, len(flow), PART)]
        found, facts = floor_of(program, flow, warm, 1, directory)
        agree(name, runner, facts)
        ours.append(times)
        floors += found
    # The same work in every round: each part's quietest round is what it takes, for both; a shared machine adds the rest.
    ours, floor = np.array(ours), round(float(np.min(floors, axis=0).mean()), 2)
    ns = round(float(ours.min(axis=0).mean()), 2)
    return {"case": name, "unit": "ns", **benchlib.percentiles(ours), "p50": ns, "p50_all": round(float(np.median(ours)), 1),
            "n": (len(flow) - warm) * rounds, "per_s": round(1e9 / ns), "floor": {"p50": floor},
            "ratio_to_floor": round(ns / floor, 2), "trades": facts["trades"], "peers": {}}


def match_case(rounds):
    times = []
    for _ in range(rounds):
        x, first = exchange(4 * SWEEP)
        best = []
        for n in range(SWEEPS):
            rows = np.zeros(SWEEP, ACTION_DTYPE)
            rows["kind"], rows["account"] = int(SimActionKind.SUBMIT), first + np.arange(SWEEP) % (ACCOUNTS - 1)
            rows["side"], rows["order_type"], rows["time_in_force"] = 2, 2, 1
            rows["price_ticks"], rows["qty_lots"], rows["now_ns"] = 30_000 + np.arange(SWEEP) % 10, 10, n + 1
            x.run(rows)
            x.drain_array()
            sweep = rows[:1].copy()
            sweep["account"], sweep["side"], sweep["price_ticks"] = first + ACCOUNTS - 1, 1, 30_009
            sweep["qty_lots"] = 10 * SWEEP
            begin = time.perf_counter_ns()
            results = x.run(sweep)
            best.append((time.perf_counter_ns() - begin) / SWEEP)
            if results["cum_lots"][0] != 10 * SWEEP or x.open_count:
                raise RuntimeError(f"expected a sweep of {10 * SWEEP} lots, found {results['cum_lots'][0]}")
            x.drain_array()
        times.append(float(np.percentile(best, 10)))
    ns = round(min(times), 2)
    return {"case": "match", "unit": "ns", **benchlib.percentiles(times), "p50": ns, "n": SWEEPS * SWEEP * rounds,
            "per_s": round(1e9 / ns), "peers": {}}


def peer(script, python, *arguments):
    if python is None:
        return None
    done = subprocess.run([python, str(benchlib.ROOT / "scripts" / "peers" / script), *map(str, arguments)], capture_output=True,
                          text=True)
    if done.returncode != 0:
        print(f"{script}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def nautilus_python():
    """NautilusTrader wants other versions of what hftbacktest wants: an environment of its own within the peers'."""
    python = benchlib.ROOT / ".venv-peers" / "nautilus" / "bin" / "python"
    return str(python) if python.exists() else None


def add_peers(found, flow, warm, core, directory, missing, peer_actions):
    path = Path(directory) / "flow.bin"
    flow.tofile(path)
    for name, script, python, arguments in (
            ("hftbacktest", "hftbacktest_sim.py", benchlib.peers_python(), (path, warm, core, 4, PART // 10)),
            ("nautilus_trader", "nautilus_sim.py", nautilus_python(), (path, min(warm, peer_actions), core, 2, peer_actions))):
        result = peer(script, python, *arguments)
        if result is None:
            missing.append(name)
            continue
        ns = round(result["ns"], 1)
        found["peers"][name] = {"p50": ns, "p99": ns, "per_s": round(1e9 / ns), "version": result["version"],
                                "times_ours": round(ns / found["p50"], 1), "target_times_ours": TARGET_PEERS[name],
                                **{k: result[k] for k in ("variant", "variants") if k in result}}
    if found["peers"]:
        found["ratio_to_best_peer"] = round(found["p50"] / min(p["p50"] for p in found["peers"].values()), 4)


def main():
    parser = benchlib.arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run, and does it count right?")
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    processors = sorted(os.sched_getaffinity(0))
    benchlib.pin(options.core)
    program = benchlib.build_floor("sim")
    actions, warm, flat, million = (8_000, 2_000, 2_000, 10_000) if options.quick else (ACTIONS, WARM, FLAT_ACTIONS, 10 ** 6)
    rounds = 1 if options.quick else options.rounds
    cases, missing = [], []
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="tickpath-bench-sim-", dir=memory if memory.is_dir() else None) as directory:
        if "submit_match_cancel" in options.only:
            flow, _ = order_flow(actions, 1_000)
            found = flow_case("submit_match_cancel", program, flow, warm, rounds, directory, 1 << 16)
            found["target_per_s"] = TARGET_PER_S
            if not options.no_peers:
                add_peers(found, flow, warm, options.core, directory, missing, 200 if options.quick else PEER_ACTIONS)
            cases.append(found)
        if "match" in options.only:
            cases.append(match_case(rounds))
        if "flat" in options.only:
            for name, count in (("flat_1k", 1_000), ("flat_1m", million)):
                found = flow_case(name, program, steady_flow(count, flat), count, rounds, directory, count + flat)
                found["open_orders"] = count
                cases.append(found)
            few, many = cases[-2:]
            many["ratio_to_1k"] = round(many["p50"] / few["p50"], 3)
            many["floor"]["ratio_to_1k"] = round(many["floor"]["p50"] / few["floor"]["p50"], 3)
        if "server" in options.only:
            import sim_clients
            cases += sim_clients.cases(directory, processors, quick=options.quick, missing=missing)
    benchlib.finish({"name": "bench_sim", "machine": benchlib.machine(), "rounds": rounds, "cases": cases, "missing": missing},
                    options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
