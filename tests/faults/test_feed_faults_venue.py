"""Faults of a whole venue, each on a run of its own: fifty books lost at once, the cut that every connection meets after a day, an
instrument that is halted, a network that is gone without a word, a clock that is not ours."""
import contextlib
import ctypes
import os
import subprocess
import time
from collections import Counter

import pytest
from feed_harness import LiveRun, Simulator, short_capture

from process_harness import until
from tickpath.market.gate import GateCause
from tickpath.shm.ring import records
from tickpath.types import BookState, EventType, Reason, VenueStatus
from tickpathd.tap import snapshot

SYMBOLS = 50
CLONE_NEWNET = 0x40000000


@pytest.fixture(scope="module")
def capture(golden_dir, tmp_path_factory):
    return short_capture(golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz",
                         tmp_path_factory.mktemp("capture") / "short.gz")


@contextlib.contextmanager
def live(capture, tmp_path, name, *options, symbols=("BTC/USDT",), **settings):
    simulator, run = Simulator("binance_spot", capture, *options), None
    try:
        run = LiveRun(simulator, "binance_spot", list(symbols), tmp_path, name, **settings)
        yield run
    finally:
        if run is not None:
            run.stop()
        simulator.stop()


def ended(run):
    code, result, err = run.end()
    assert code == 0, err
    return result, err


# ---- F12

def test_fifty_books_lost_at_once_come_back_within_the_weight_of_the_venue(golden_dir, tmp_path):
    depth = short_capture(golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz", tmp_path / "depth.gz",
                          only=(b"depthUpdate", b"lastUpdateId"))
    symbols = ["BTC/USDT", *(f"B{n:02d}/USDT" for n in range(1, SYMBOLS))]
    with live(depth, tmp_path, "fifty", "--copies", SYMBOLS, "--speed", "0.5", symbols=symbols, channels=["book"],
              storage="ring_slots = 1048576\n", streams_per_connection=10, silent_after_ms=5000) as run:
        run.until_good(60)
        until(lambda: run.totals()["orders"] > 0, "orders on good books")
        mark, before = run.mark_anew(), len(run.faults.state()["rest"]["requests"])
        run.faults.arm("drop_all")
        until(lambda: all(any(g[1] != BookState.BOOK_GOOD for g in run.gates(mark, n)) for n in range(SYMBOLS)),
              "every gate to close", 10)
        until(run.good, "every book good again", 60)
        # The ledger is the venue's own: what it counted, not what we meant to spend.
        rest = run.faults.state()["rest"]
        asked = [r for r in rest["requests"][before:] if r["path"] == "/api/v3/depth"]
        assert rest["limited"] == 0 and rest["heaviest_minute"] <= 0.9 * rest["weight_max"]
        assert {r["query"]["symbol"] for r in asked} == {symbol.replace("/", "") for symbol in symbols}
        assert sum(r["weight"] for r in asked) <= 1.3 * 50 * SYMBOLS, "expected hardly a book to be asked for twice"
        times = [r["ts_ns"] for r in asked]
        assert len(set(times)) == len(times) and max(times) - min(times) > 2e7, "expected one request after the other"
        for n in range(16):
            assert run.orders_while_closed(mark, n) == 0
        run.proven("B07USDT", 7)
        ended(run)


# ---- F11

def test_unannounced_cut_is_outrun_and_the_chain_has_no_gap(capture, tmp_path):
    with live(capture, tmp_path, "daycut", "--cut-after-s", "3", "--speed", "2", replace_after_s=1.5) as run:
        run.until_good()
        mark, before = run.mark_anew(), run.faults.state()["counters"]["connections"]
        until(lambda: run.faults.state()["counters"]["connections"] >= before + 3, "three replaced sockets", 20)
        assert run.gates(mark) == [] and run.chain_gaps(mark) == []
        assert run.faults.state()["counters"].get("cut", 0) == 0, "expected every socket to be gone before its cut"
        run.proven("BTCUSDT")
        _, err = ended(run)
        assert "connection lost" not in err


# ---- F19

@pytest.mark.parametrize("word, status", [("HALT", VenueStatus.VENUE_STATUS_HALTED),
                                          ("CANCEL_ONLY", VenueStatus.VENUE_STATUS_CANCEL_ONLY),
                                          ("DELISTED", VenueStatus.VENUE_STATUS_DELISTED)])
def test_instrument_that_is_halted_takes_no_order_of_ours_and_all_our_cancels(halting, word, status):
    run = halting
    # The strategy may just have cancelled when the halt comes: then it has nothing left to cancel, and the next halt shows it.
    for _ in range(4):
        if halted(run, word, status):
            return
    raise AssertionError("expected a cancel while the instrument is halted, found none in four halts")


def halted(run, word, status):
    """One halt and its end; whether a cancel went out meanwhile."""
    run.until_good()
    until(lambda: run.totals()["open_orders"] == 2, "a bid and an ask")
    mark = run.mark_anew()
    run.halts[word] += 1
    run.faults.arm("halt", status=word, symbol="BTCUSDT")
    try:
        until(lambda: any(causes & GateCause.GATE_VENUE for _, _, causes, _ in run.gates(mark)), "the halt at the gate", 10)
        run.closes_in_its_event(mark)
        closed = next(seq for seq, _, causes, _ in run.gates(mark) if causes & GateCause.GATE_VENUE)
        assert run.instruments()[0]["venue_status"] == status and run.instruments()[0]["book_state"] == BookState.BOOK_HALTED
        # The market moves on and with it what the strategy wants: its cancels go out, its orders do not.
        until(lambda: run.totals()["open_orders"] == 0, "the resting orders to be cancelled", 15)
        slots = run.since(closed)
        assert not (slots["type"] == EventType.EV_INTENT).any()
        refusals = records(slots, EventType.EV_REFUSAL)
        assert len(refusals) and set(refusals["reason"]) == {Reason.REASON_BOOK_NOT_GOOD}
    finally:
        run.faults.disarm("halt")
    until(lambda: run.good() and run.totals()["open_orders"] == 2, "orders after the halt", 10)
    assert run.orders_while_closed(mark) == 0
    return bool((slots["type"] == EventType.EV_CANCEL).any())


@pytest.fixture(scope="module")
def halting(capture, tmp_path_factory):
    with live(capture, tmp_path_factory.mktemp("halt"), "halting", "--speed", "8", "--copies", "2", strategy="market_maker",
              parameters="order_qty_lots = 100_000\nhalf_spread_ticks = 500\nmax_position_lots = 1_000_000_000\nrequote_ticks = 100",
              status_check_s=0.3) as run:
        run.halts = Counter()
        yield run
        _, err = ended(run)
        # One line when it began and one when it ended, however often it was looked at.
        for word, said in (("HALT", "HALT"), ("CANCEL_ONLY", "CANCEL_ONLY"), ("DELISTED", "not listed")):
            assert err.count(f"at the venue ({said})") == run.halts[word]
        assert err.count("BTCUSDT is TRADING") == 3


# ---- F10

@contextlib.contextmanager
def network_of_our_own():
    """This thread, and the processes it starts, in a network namespace of their own, whose loopback can be taken down."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET) != 0:
        os.close(home)
        pytest.skip(f"a network namespace of our own: {os.strerror(ctypes.get_errno())} (needs CAP_SYS_ADMIN)")
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield lambda state: subprocess.run(["ip", "link", "set", "lo", state], check=True)
    finally:
        assert libc.setns(home, CLONE_NEWNET) == 0
        os.close(home)


def test_network_that_is_gone_without_a_word_is_noticed_by_the_ping_and_comes_back(capture, tmp_path, require_tool):
    require_tool("ip", "iproute2")
    with network_of_our_own() as loopback, live(capture, tmp_path, "linkdown", "--speed", "2", silent_after_ms=5000) as run:
        run.until_good()
        mark = run.mark_anew()
        down_ns = time.time_ns()
        loopback("down")                   # no FIN, no RST: packets are gone
        until(lambda: any(g[1] != BookState.BOOK_GOOD for g in run.gates(mark)), "the gate to close", 5)
        closed = next(g for g in run.gates(mark) if g[1] != BookState.BOOK_GOOD)
        # Idle for 400 ms, then 400 ms for the pong; the age of data or the ping, whichever is first.
        assert closed[3] - down_ns < 2_500_000_000
        until(lambda: len([f for f in records(run.since(mark), EventType.EV_FEED) if f["kind"] == 2]), "the connection given up", 5)
        loopback("up")
        up_ns = time.time_ns()
        until(lambda: run.good(), "the book again", 15)
        opened = run.gates(mark)[-1]
        assert opened[1] == BookState.BOOK_GOOD and opened[3] - up_ns < 4_000_000_000
        assert run.orders_while_closed(mark) == 0
        run.proven("BTCUSDT")
        _, err = ended(run)
        # The clock or the snapshot may have been asked for meanwhile; nothing is said again and again.
        assert len(err.splitlines()) < 12, err


# ---- the venue's clock

def test_venue_clocks_that_are_not_ours_are_measured_shown_and_said_once(capture, tmp_path):
    # One venue ahead and one behind by more than a second, one within it; all on one run.
    simulators = {name: Simulator("binance_spot", capture, "--clock-offset-ms", offset_ms, *options, wait=False)
                  for name, offset_ms, options in (("behind", -1500, ()), ("near", 700, ()))}
    try:
        for simulator in simulators.values():
            simulator.wait()
        others = {name: (simulator, "binance_spot", ["BTC/USDT"], {"clock_check_s": 0.2, "channels": ["book"]})
                  for name, simulator in simulators.items()}
        with live(capture, tmp_path, "clock", "--clock-offset-ms", 1500, "--live-times", clock_check_s=0.2, others=others) as run:
            run.until_good()

            def rows():
                found = {row["venue"]: row for row in snapshot("clock")["clocks"]}
                return found if len(found) == 3 and all(r["source"] == "rest" and r["stream_lag_ms"] for r in found.values()) else None
            shown = until(rows, "the clocks of all venues", 15)
            expected = {"v": 1500, "behind": -1500, "near": 700}
            for name, offset_ms in expected.items():
                assert abs(shown[name]["offset_ms"] - offset_ms) <= shown[name]["uncertainty_ms"] + 2, shown[name]
            # A stream shows the offset and the way of a message together: never less than minus the offset.
            assert -1502 <= shown["v"]["stream_lag_ms"] < 0
            mark = run.mark()
            time.sleep(1.2)                # several more looks
            assert run.gates(mark) == [], "expected the age of data not to depend on a venue's clock"
            result, err = ended(run)
            lines = [line for line in err.splitlines() if "clock" in line]
            assert sorted(line.split(": ")[1] for line in lines) == ["behind", "v"], err
            assert {row["venue"]: round(row["offset_ms"], -2) for row in result["clocks"]} == expected
    finally:
        for simulator in simulators.values():
            simulator.stop()
