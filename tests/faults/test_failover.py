"""A venue whose stream fails while its REST answers: its book goes on from polls, labelled, without an order unless the operator
wants them, and the stream takes over again in the message that proves its book."""
import time

import pytest
from feed_harness import LiveRun, Simulator

from process_harness import children, tickpath, until
from required import require_package
from tickpath.market.gate import GateCause
from tickpath.shm.ring import records
from tickpath.types import BookState, EventType, FeedSource, HealthKind

GOLDEN = "hftbacktest_btcusdt_20240808.gz"
NATIVE = (FeedSource.SOURCE_NATIVE, FeedSource.SOURCE_SECOND)


@pytest.fixture(scope="module")
def simulator(golden_dir):
    simulator = Simulator("binance_spot", golden_dir / "binance_spot" / GOLDEN, "--rest-weight-per-min", "0")
    yield simulator
    simulator.stop()


@pytest.fixture
def start(simulator, tmp_path):
    runs = []

    def launch(name, **settings):
        run = LiveRun(simulator, "binance_spot", ["BTC/USDT"], tmp_path, name, **{
            "failover_after_ms": 1000, "poll_interval_ms": 100, "depth": 50, **settings})
        runs.append(run)
        return run.until_good(30)
    yield launch
    for run in runs:
        run.stop()


def sources(run, mark):
    """[(FeedSource, receive time)] of an instrument's changes of source since `mark`."""
    health = records(run.since(mark), EventType.EV_HEALTH)
    rows = health[health["kind"] == HealthKind.HEALTH_SOURCE]
    return [(FeedSource(int(r["value"])), int(r["ts_recv_ns"])) for r in rows]


def source(run):
    return FeedSource(run.instruments()[0]["source"])


def shown_is_the_truth(run):
    run.faults.pause()
    try:
        until(lambda: (seen := run.tops("BTCUSDT"))[0] == seen[1], "the venue's best bid and offer, from polls", 3)
    finally:
        run.faults.resume()


def ended_well(run):
    code, result, err = run.end()
    assert code == 0 and result["totals"]["protocol_errors"] == 0, err
    done = tickpath("replay", result["journal"], "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    return result, err


def test_silent_stream_is_replaced_by_polls_without_an_order_and_takes_over_again(start):
    expected = FeedSource.SOURCE_REST
    run = start("overrest", failover="rest")
    assert source(run) in NATIVE
    mark = run.mark()
    run.faults.arm("silent", seconds=60.0)
    until(lambda: source(run) == expected, "polled data", 30)
    gates = run.gates(mark)
    since = next(i for i, g in enumerate(gates) if g[1] != BookState.BOOK_GOOD)
    until(lambda: run.gates(mark)[-1][2] == GateCause.GATE_FALLBACK, "a gate that nothing but the fallback closes", 20)
    shown_is_the_truth(run)
    assert all(g[1] != BookState.BOOK_GOOD for g in run.gates(mark)[since:])
    # Not before the set time, counted from the stream's last message.
    frames = records(run.since(mark), EventType.EV_FRAME)
    changed = sources(run, mark)
    last_native = frames["ts_recv_ns"][(frames["flags"] >> 8 != 255) & (frames["event_count"] > 0)
                                       & (frames["ts_recv_ns"] < changed[0][1])].max(initial=0)
    assert changed[0][0] == expected and changed[0][1] - last_native >= 10 ** 9
    run.faults.disarm("silent")
    until(lambda: source(run) in NATIVE and run.good(), "its own stream again", 20)
    assert run.orders_while_closed(mark) == 0
    changed = sources(run, mark)
    assert [s for s, _ in changed][1] in NATIVE and len(changed) == 2
    # The record that says so and the message that proved the book are one event.
    native = records(run.since(mark), EventType.EV_FRAME)
    assert changed[1][1] in native["ts_recv_ns"][native["flags"] >> 8 != 255]
    run.proven("BTCUSDT")
    orders = run.totals()["orders"]
    until(lambda: run.totals()["orders"] > orders, "orders on its own data")
    assert run.totals()["failovers"] == 1
    ended_well(run)


def test_ccxt_asks_for_nothing_until_it_is_needed_and_orders_go_out_on_it_where_the_operator_wants_them(start):
    require_package("ccxt", "ccxt")
    run = start("overccxt", failover="ccxt:binance", failover_trading=True)
    mark = run.mark()
    assert "ccxt_worker" in children(run.process.pid)
    run.faults.arm("cut", after_ms=0)                        # a cut is mended long before the set time
    time.sleep(1.0)
    until(lambda: run.good(), "a good book", 10)
    frames = records(run.since(mark), EventType.EV_FRAME)
    assert sources(run, mark) == [] and not (frames["flags"] >> 8 == 255).any()
    run.faults.arm("silent", seconds=60.0)
    until(lambda: source(run) == FeedSource.SOURCE_CCXT and run.good(), "polled data that count", 30)
    orders = run.totals()["orders"]
    until(lambda: run.totals()["orders"] > orders + 5, "orders on polled data")
    run.faults.disarm("silent")
    until(lambda: source(run) in NATIVE and run.good(), "its own stream again", 20)
    assert run.orders_while_closed(mark) == 0
    assert [s for s, _ in sources(run, mark)][0] == FeedSource.SOURCE_CCXT
    ended_well(run)
