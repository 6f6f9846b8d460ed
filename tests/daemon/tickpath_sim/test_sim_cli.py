"""The command: what it prints, its exit codes, its ends, and TLS with its own authority."""
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from sim_harness import ROOT, SECONDS, RawClient, Sim

US = "ws/binance_spot/cryptofeed_BINANCE_US_20211012.jsonl.zst"


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "tickpath_sim.cli", *arguments], cwd=ROOT, capture_output=True, text=True,
                          timeout=SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_where_it_listens_and_ends_on_a_signal(shared_data, number):
    sim = Sim(shared_data(US), faults=False)
    assert list(sim.addresses) == ["ws_url", "rest_url", "faults_url", "ca_file", "ws_api_url", "accounts"]
    assert sim.addresses["ws_url"].startswith("ws://127.0.0.1:") and sim.addresses["faults_url"] is None
    client = sim.client("/ws")
    assert sim.end(number) == (0, "")
    assert client.closed() == 1001
    client.stop()


@pytest.mark.parametrize("arguments, words", [
    ((), "required: command"), (("serve",), "--port"), (("audit",), "usage: tickpath-sim audit"),
    (("serve", "--port", "70000", "--capture", "x"), "expected a port from 0 (any free one) to 65535, found '70000'"),
    (("serve", "--port", "0", "--capture", "x", "--speed", "warp"), "expected recorded, fast or a factor"),
    (("serve", "--port", "0", "--capture", "x", "--venue", "mtgox"), "invalid choice: 'mtgox'"),
    (("serve", "--port", "0", "--capture", "x", "--cut-after-s", "-1"), "expected a number, 0 for no limit, found '-1'"),
])
def test_wrong_usage_is_exit_code_2_with_a_reason(arguments, words):
    done = run(*arguments)
    assert done.returncode == 2 and words in done.stderr and done.stdout == ""


def test_a_capture_that_cannot_be_played_is_exit_code_1_with_one_line(tmp_path, shared_data):
    missing = run("serve", "--port", "0", "--capture", str(tmp_path / "none.gz"))
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1) and "expected a capture file, found none" in missing.stderr
    other = run("serve", "--port", "0", "--capture", str(shared_data("ws/bitfinex/cryptofeed_BITFINEX_20210417.jsonl.zst")))
    assert other.returncode == 1 and "expected a capture of binance_spot or" in other.stderr and other.stderr.count("\n") == 1
    wrong = run("serve", "--port", "0", "--venue", "kraken", "--capture", str(shared_data(US)))
    assert wrong.returncode == 1 and "expected a capture of kraken, found frames of another kind" in wrong.stderr


def test_a_port_in_use_is_exit_code_1(shared_data):
    with Sim(shared_data(US)) as sim:
        port = sim.addresses["ws_url"].rpartition(":")[2]
        done = run("serve", "--port", port, "--capture", str(shared_data(US)))
    assert done.returncode == 1 and "in use" in done.stderr and "Traceback" not in done.stderr


VENUES = {
    "ws/binance_spot/hftbacktest_btcusdt_20240809.gz": "binance_spot", US: "binance_spot",
    "ws/binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst": "binance_usdm",
    "ws/kraken/cryptofeed_KRAKEN_20210417.jsonl.zst": "kraken",
    "ws/kraken/kraken_v2_book10_BTCUSD_20260719T1754.jsonl.gz": "kraken",
    "ws/okx/cryptofeed_OKEX_20210722.jsonl.zst": "okx", "ws/bybit/cryptofeed_BYBIT_20260809.jsonl.zst": "bybit",
    "ws/coinbase/cryptofeed_COINBASE_20260809.jsonl.zst": "coinbase",
    "ws/coinbase/cryptofeed_COINBASE_EXCHANGE_20210417.jsonl.zst": "coinbase",
}


@pytest.mark.parametrize("capture", VENUES)
def test_the_venue_is_guessed_from_the_content(shared_data, capture):
    from tickpath.capture import read_capture
    from tickpath_sim.protocols import protocol_for
    assert protocol_for(read_capture(shared_data(capture))).venue == VENUES[capture]


def test_tls_is_trusted_through_the_printed_authority_and_not_otherwise(shared_data, require_tool):
    require_tool("openssl", "openssl")
    with Sim(shared_data(US), "--tls") as sim:
        addresses = sim.addresses
        assert addresses["ws_url"].startswith("wss://") and addresses["rest_url"].startswith("https://")
        context = ssl.create_default_context(cafile=addresses["ca_file"])
        client = RawClient(addresses["ws_url"], "/ws/crvusdt@bookTicker", context=context)
        assert client.status == 101
        client.stop()
        with urllib.request.urlopen(addresses["rest_url"] + "/api/v3/ping", context=context, timeout=SECONDS) as reply:
            assert json.load(reply) == {}
        with pytest.raises(ssl.SSLCertVerificationError):
            RawClient(addresses["ws_url"], "/ws", context=ssl.create_default_context())
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(addresses["rest_url"] + "/api/v3/ping", timeout=SECONDS)
    assert not os.path.exists(addresses["ca_file"]), "keys and certificates go with the run"


def test_the_recorded_pace_and_a_multiple_of_it_play_the_same_stream(shared_data):
    with Sim(shared_data(US), "--speed", "200x") as sim:
        client = sim.client("/stream?streams=compusdt@depth@100ms/crvusdt@depth@100ms")
        client.message()
        state = sim.faults.wait(lambda state: state["playback"]["ended"])
        assert state["playback"]["frames"] == 485
    with Sim(shared_data(US)) as sim:
        sim.client("/ws/compusdt@depth@100ms")
        # A capture of half a minute cannot have ended.
        assert not sim.faults.wait(lambda state: state["playback"]["events"] > 0)["playback"]["ended"]


def test_it_begins_when_the_number_of_clients_asked_for_have_subscribed(shared_data):
    with Sim(shared_data(US), "--speed", "fast", "--start-after", "2") as sim:
        first, idle = sim.client("/ws/compusdt@depth@100ms"), sim.client("/ws")
        assert first.quiet(0.2) and not sim.faults.state()["playback"]["started"]
        idle.send({"method": "SUBSCRIBE", "params": ["crvusdt@depth@100ms"], "id": 1})
        assert first.message()["s"] == "COMPUSDT"


def test_the_simulated_venue_imports_nothing_of_the_daemon_nor_the_daemon_of_it():
    found = {}
    for package, other in (("tickpath_sim", "tickpathd"), ("tickpathd", "tickpath_sim")):
        files = sorted((ROOT / "daemon" / package).rglob("*.py"))
        found[package] = [f.name for f in files if re.search(rf"^\s*(?:from|import) {other}\b", f.read_text(), re.MULTILINE)]
        assert files
    assert found == {"tickpath_sim": [], "tickpathd": []}
