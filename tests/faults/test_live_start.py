"""Starting on live feeds: what the configuration, the network and the certificates may get wrong, and two sockets for one stream."""
import socket
import subprocess
import sys
import time

import pytest
from feed_harness import LiveRun, Simulator, short_capture

from process_harness import ROOT, until
from tickpath.types import BookState

CAPTURE = "binance_spot/hftbacktest_btcusdt_20240808.gz"


@pytest.fixture(scope="module")
def simulator(golden_dir, tmp_path_factory):
    simulator = Simulator("binance_spot", short_capture(golden_dir / CAPTURE, tmp_path_factory.mktemp("capture") / "short.gz"),
                          "--speed", "4")
    yield simulator
    simulator.stop()


def start(tmp_path, simulator, *settings, seconds=6):
    """(exit code, stderr) of a run that is to fail, or that is stopped after some seconds."""
    config = tmp_path / "run.toml"
    config.write_text(f'[instance]\nname = "livestart"\n[storage]\ndir = "{tmp_path / "state"}"\n[venues.v]\nkind = "binance_spot"\n'
                      f'ws_url = "{simulator.urls["ws_url"]}"\nrest_url = "{simulator.urls["rest_url"]}"\nsymbols = ["BTC/USDT"]\n'
                      "reconnect_min_ms = 20\nreconnect_max_ms = 100\n")
    done = subprocess.run([sys.executable, "-m", "tickpathd.cli", "run", "-c", str(config), "--json", "--duration", str(seconds),
                           *(o for s in settings for o in ("--set", s))], cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_unknown_symbol_is_refused_with_the_nearest_that_the_venue_has(tmp_path, simulator):
    code, err = start(tmp_path, simulator, 'venues.v.symbols=["BTC/USTD"]')
    assert code == 1 and "venues.v" in err and "'BTC/USTD'" in err and "BTC/USDT" in err


def test_no_network_is_said_once_and_tried_on(tmp_path, simulator):
    # The instruments are known, so that nothing but the socket is missing.
    instrument = ('instruments=[{venue="v",symbol="BTC/USDT",venue_symbol="BTCUSDT",tick_size="0.01",lot_size="0.00001",'
                  'min_notional="5"}]')
    port = closed_port()
    code, err = start(tmp_path, simulator, f'venues.v.ws_url="ws://127.0.0.1:{port}"', f'venues.v.rest_url="http://127.0.0.1:{port}"',
                      "venues.v.clock_check_s=0.05", "venues.v.status_check_s=0.05", instrument, seconds=3)
    # Some fifty attempts of the socket and as many questions by REST: one line for each of the three that fail.
    assert code == 0 and err.count("cannot connect") == 1 and err.count("trying on") == 3
    assert len(err.splitlines()) == 3, err


def test_network_that_comes_back_is_said_once_and_the_book_is_there(tmp_path, golden_dir):
    capture = short_capture(golden_dir / CAPTURE, tmp_path / "short.gz")
    first = Simulator("binance_spot", capture)
    port, rest_port = (int(first.urls[key].rsplit(":", 1)[1]) for key in ("ws_url", "rest_url"))
    run = None
    try:
        run = LiveRun(first, "binance_spot", ["BTC/USDT"], tmp_path, "netback")
        run.until_good()
        first.stop()
        # A dozen attempts or so.
        until(lambda: run.instruments()[0]["book_state"] != BookState.BOOK_GOOD, "the gate to close")
        time.sleep(1.0)
        second = Simulator("binance_spot", capture, "--port", port, "--rest-port", rest_port)
        try:
            until(lambda: run.instruments()[0]["book_state"] == BookState.BOOK_GOOD
                  and second.faults.state()["counters"].get("connections"), "the book from the venue that came back", 20)
            code, _, err = run.end()
        finally:
            second.stop()
        assert code == 0 and err.count("connection lost") == err.count("cannot connect") == err.count(": connected to ") == 1, err
    finally:
        if run is not None:
            run.stop()
        first.stop()


def test_instruments_that_cannot_be_asked_for_stop_the_start_with_one_line(tmp_path, simulator):
    code, err = start(tmp_path, simulator, f'venues.v.rest_url="http://127.0.0.1:{closed_port()}"')
    assert code == 1 and "venues.v: " in err


def test_two_sockets_bring_one_stream_and_one_may_go(tmp_path, simulator):
    run = LiveRun(simulator, "binance_spot", ["BTC/USDT"], tmp_path, "twosockets", redundancy=2)
    try:
        run.until_good()
        until(lambda: run.totals()["duplicates"] > 100, "second copies")
        trades = run.totals()["trades"]
        until(lambda: run.totals()["trades"] > trades + 50, "trades")
        run.proven("BTCUSDT")
        mark = run.mark()
        client = run.faults.state()["clients"][0]
        run.faults.arm("drop_all", connection=client["connection"])
        time.sleep(1.0)
        assert run.gates(mark) == [] and run.instruments()[0]["book_state"] == BookState.BOOK_GOOD
        run.proven("BTCUSDT")
        # Each trade acted once, whichever socket brought it: the ring holds both copies, the counters one.
        slots = run.read()
        ids = slots[slots["type"] == 3]["payload"][:, 2]
        assert len(ids) > len(set(ids.tolist()))
        assert run.totals()["trades"] == len(set(ids.tolist()))
        code, _, err = run.end()
        assert code == 0, err
    finally:
        run.stop()


def test_certificates_are_checked_and_an_own_authority_can_be_named(tmp_path, golden_dir):
    simulator = Simulator("binance_spot", short_capture(golden_dir / CAPTURE, tmp_path / "short.gz"), "--speed", "4", "--tls")
    run = None
    try:
        code, err = start(tmp_path, simulator)
        assert code == 1 and "certificate" in err.lower()
        run = LiveRun(simulator, "binance_spot", ["BTC/USDT"], tmp_path, "livetls")
        run.until_good()
        run.proven("BTCUSDT")
        code, _, err = run.end()
        assert code == 0, err
    finally:
        if run is not None:
            run.stop()
        simulator.stop()
