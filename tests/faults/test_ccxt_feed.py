"""An exchange through ccxt, in a whole daemon: ccxt's own binance class against the venue simulator, over WebSocket and polled."""
import os
import signal
import time

import pytest
from feed_harness import LiveRun, Simulator

from process_harness import alive, children, tickpath, until
from required import require_package
from tickpath.market.gate import GateCause
from tickpath.shm.ring import records
from tickpath.types import BookState, EventType, FeedKind, FeedSource

require_package("ccxt", "ccxt")
GOLDEN = "hftbacktest_btcusdt_20240808.gz"


def simulated(golden_dir, *more):
    return Simulator("binance_spot", golden_dir / "binance_spot" / GOLDEN, "--start-after", "0", "--rest-weight-per-min", "0", *more)


@pytest.fixture(scope="module")
def simulator(golden_dir):
    simulator = simulated(golden_dir)
    yield simulator
    simulator.stop()


def feeding(simulator, tmp_path, name, **settings):
    """A run with a good book; at its end it has ended well and its journal replays alike."""
    run = LiveRun(simulator, "ccxt:binance", ["BTC/USDT"], tmp_path, name, limits="\n[limits]\nmax_data_age_ms = 3000\n",
                  **{"silent_after_ms": 5000, "depth": 20, **settings})
    try:
        yield run.until_good(40)
        if run.process.poll() is None:
            code, result, err = run.end()
            assert code == 0 and result["totals"]["protocol_errors"] == 0, err
            assert result["sources"] == {"BTC/USDT": "ccxt"}
            assert tickpath("replay", result["journal"], "--verify").returncode == 0
    finally:
        run.stop()


@pytest.fixture(scope="module")
def streamed(simulator, tmp_path_factory):
    yield from feeding(simulator, tmp_path_factory.mktemp("ccxt"), "ccxtws")


@pytest.fixture(scope="module")
def polled(golden_dir, tmp_path_factory):
    own = simulated(golden_dir)
    try:
        yield from feeding(own, tmp_path_factory.mktemp("ccxt"), "ccxtrest", transport="rest", poll_interval_ms=100,
                           channels=["book", "trades", "candles"])
    finally:
        own.stop()


def worker_of(run):
    return children(run.process.pid)["ccxt_worker"]


def proven(run):
    """Stand still until what was on its way has come, and compare the ten best levels a side with the venue's truth."""
    run.faults.pause()
    try:
        def same():
            ours, theirs, seen = run.tops("BTCUSDT")
            return ours == theirs and seen
        until(same, "the venue's best bid and offer", 2.5)
        truth, row, info = run.faults.truth("BTCUSDT"), run.instruments()[0], run.page.info()
        tick, lot = (10 ** info[kind][0][1] / info[kind][0][0] for kind in ("tick", "lot"))
        for side in ("bid", "ask"):
            theirs = [(round(float(r[0]) * tick), round(float(r[1]) * lot)) for r in truth[f"{side}s"]]
            assert list(zip(row[f"{side}_price_ticks"], row[f"{side}_qty_lots"], strict=True)) == theirs
    finally:
        run.faults.resume()


def test_streamed_book_equals_the_truth_and_orders_go_out(streamed):
    for _ in range(3):
        time.sleep(0.3)
        proven(streamed)
    until(lambda: streamed.totals()["book_messages"] >= 40, "forty changes of the book")
    # Whole at first, then only what has changed.
    assert streamed.totals()["snapshots"] <= 10
    assert streamed.totals()["trades"] > 0 and streamed.totals()["orders"] > 0
    assert streamed.instruments()[0]["source"] == FeedSource.SOURCE_CCXT
    assert streamed.totals()["frame_errors"] == streamed.totals()["gaps"] == 0


def test_polled_book_equals_the_truth_with_trades_and_candles(polled):
    until(lambda: polled.totals()["trades"] > 0 and polled.totals()["facts"] > 0, "trades and candles")
    proven(polled)
    slots = polled.read()
    trades, candles = records(slots, EventType.EV_TRADE), records(slots, EventType.EV_CANDLE)
    ids = trades["trade_id"].tolist()
    assert len(set(ids)) == len(ids) and ids == sorted(ids)
    assert set((candles["ts_venue_ns"] - candles["ts_open_ns"]).tolist()) == {60 * 10 ** 9}
    # A book is as old as the request that brought it: older than the frame it came in.
    frames = records(slots, EventType.EV_FRAME)
    books = records(slots, EventType.EV_BOOK_DELTA)
    at = frames["ts_recv_ns"][frames["seq"].searchsorted(books["seq"]) - 1]
    assert (books["ts_recv_ns"] < at).all()


def test_killed_worker_closes_the_gate_and_is_started_again(streamed):
    mark, pid = streamed.mark(), worker_of(streamed)
    os.kill(pid, signal.SIGKILL)
    until(lambda: [g for g in streamed.gates(mark) if g[1] != BookState.BOOK_GOOD], "a closed gate", 4)
    streamed.until_good(40)
    assert worker_of(streamed) != pid and streamed.orders_while_closed(mark) == 0
    until(lambda: len(records(streamed.since(mark), EventType.EV_FEED)) > 1, "a word of both")
    events = records(streamed.since(mark), EventType.EV_FEED)
    assert events["kind"].tolist()[:2] == [FeedKind.FEED_LOST, FeedKind.FEED_CONNECTED] and events["value"][0] == 1
    assert events["detail"][1] == FeedSource.SOURCE_CCXT
    streamed.pids = children(streamed.process.pid)
    proven(streamed)


def test_stopped_worker_does_not_stop_the_engine(streamed):
    mark, pid = streamed.mark(), worker_of(streamed)
    os.kill(pid, signal.SIGSTOP)
    try:
        gates = until(lambda: [g for g in streamed.gates(mark) if g[1] != BookState.BOOK_GOOD], "a closed gate", 4)
        assert gates[-1][2] & GateCause.GATE_GAP
        before = streamed.totals()["now_ns"]
        until(lambda: streamed.totals()["now_ns"] > before + 10 ** 9, "engine time that goes on", 3)
        assert alive(streamed.pids["engine_process"])
    finally:
        os.kill(pid, signal.SIGCONT)
    streamed.until_good(20)
    assert streamed.orders_while_closed(mark) == 0
    proven(streamed)


def test_silent_venue_closes_the_gate_by_age(streamed):
    mark = streamed.mark()
    streamed.faults.arm("silent", seconds=4.5)
    until(lambda: [g for g in streamed.gates(mark) if g[2] & GateCause.GATE_AGE], "a gate closed by age", 6)
    until(lambda: streamed.good(), "a good book", 20)
    assert streamed.orders_while_closed(mark) == 0


def test_unknown_exchange_and_symbol_are_refused_at_the_start_with_the_nearest_names(simulator, tmp_path):
    config = tmp_path / "c.toml"
    text = f'[storage]\ndir = "{tmp_path}"\n[instance]\nname = "ccxtbad"\n[venues.v]\nkind = "ccxt:%s"\nsymbols = ["%s"]\n' \
           f'rest_url = "{simulator.urls["rest_url"]}"\n'
    config.write_text(text % ("binanse", "BTC/USDT"))
    done = tickpath("run", "-c", config)
    assert done.returncode == 1 and "venues.v.kind: expected an exchange that ccxt knows, such as binance" in done.stderr
    config.write_text(text % ("binance", "BTC/USD"))
    done = tickpath("run", "-c", config)
    assert done.returncode == 1 and "expected one of BTC/USDT, found 'BTC/USD'" in done.stderr


def test_exchange_that_is_down_is_said_once_and_waited_for(polled, golden_dir):
    mark, own = polled.mark(), polled.simulator
    ports = [url.rpartition(":")[2] for url in (own.urls["ws_url"], own.urls["rest_url"])]
    own.stop()
    until(lambda: [g for g in polled.gates(mark) if g[1] != BookState.BOOK_GOOD], "a closed gate", 8)
    lost = until(lambda: [e for e in records(polled.since(mark), EventType.EV_FEED) if e["kind"] == FeedKind.FEED_LOST], "a word of it")
    assert lost[0]["value"] == 2
    again = simulated(golden_dir, "--port", ports[0], "--rest-port", ports[1])
    try:
        polled.until_good(20)
        # The worker sends before it speaks.
        taken = polled.totals()["book_messages"]
        until(lambda: polled.totals()["book_messages"] > taken + 2, "three more books", 20)
        code, result, err = polled.end()
    finally:
        again.stop()
    # Once for each of its tasks that noticed.
    assert code == 0 and err.count("BTC/USDT book: ExchangeNotAvailable") == 1 and err.count("BTC/USDT book: answers again") == 1, err
    assert polled.orders_while_closed(mark) == 0
    assert tickpath("replay", result["journal"], "--verify").returncode == 0
