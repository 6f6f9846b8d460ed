"""The accounts file, and how many clients a server bears."""
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sim_harness import ROOT
from trading_harness import ALICE, Keys, Refused

from tickpath_sim.trading.accounts import AccountError, read_accounts
from tickpath_sim.trading.spot import SpotVenue, spot_rates
from tickpath_sim.trading.symbols import default_symbols

GOOD = '[[account]]\nname = "a"\napi_key = "aaaaaaaaaa"\nsecret = "s"\n'


@pytest.mark.parametrize("text, words", [
    ("x = ", "expected TOML"), ("", r"expected \[\[account\]\] tables, found nothing"), ("[other]\n", "found other"),
    ('[[account]]\napi_key = "aaaaaaaaaa"\n', "expected a name of its own, found None"), (GOOD + GOOD, "expected a name of its own"),
    (GOOD + 'colour = "red"\n', "expected fields of .*, found colour"), (GOOD + 'maker_bps = "many"\n', "expected a number for maker_bps"),
    (GOOD + '[account.balances]\nUSDT = "-1"\n', "expected a number for USDT, found '-1'"),
    (GOOD + '[account.balances]\nUSDT = "Infinity"\n', "expected a number for USDT"),
])
def test_an_accounts_file_that_cannot_be_used_is_refused_with_a_reason(tmp_path, text, words):
    path = tmp_path / "accounts.toml"
    path.write_text(text)
    with pytest.raises(AccountError, match=words):
        read_accounts(path)


@pytest.mark.parametrize("text, words", [
    (GOOD.replace("aaaaaaaaaa", "short"), "expected an api_key of 8 to 128 letters and digits"),
    (GOOD + GOOD.replace('"a"', '"b"'), "expected an api_key of its own"), (GOOD + 'public_key = "x"\n', "expected either secret or public_key"),
    (GOOD.replace('secret = "s"', 'public_key = "x"'), "expected an Ed25519 or RSA public_key"),
    (GOOD + 'permissions = ["FLY"]\n', "expected permissions of"),
])
def test_keys_that_cannot_be_used_are_refused_with_a_reason(tmp_path, text, words):
    path = tmp_path / "accounts.toml"
    path.write_text(text)
    with pytest.raises(AccountError, match=words):
        SpotVenue(default_symbols(), read_accounts(path), spot_rates())


def test_the_command_ends_with_one_line_when_a_key_is_wrong(tmp_path):
    path = tmp_path / "accounts.toml"
    path.write_text(GOOD.replace("aaaaaaaaaa", "short"))
    done = subprocess.run([sys.executable, "-m", "tickpath_sim.cli", "serve", "--port", "0", "--accounts", str(path)], cwd=ROOT,
                          capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "expected an api_key of 8 to 128 letters and digits" in done.stderr


def test_a_file_of_accounts_opens_them_with_their_balances(trading):
    assert [row["name"] for row in trading.addresses["accounts"]] == ["alice", "bob", "carol", "dave", "reader", "poor", "bnb"]
    assert not any("secret" in row for row in trading.addresses["accounts"])
    balances = {row["asset"]: row["free"] for row in trading.rest("bnbbnbbnb").signed("GET", "/api/v3/account")["balances"]}
    assert balances["USDT"] == "100000.00000000" and Keys.accounts().count("[[account]]") == 7


def test_who_does_not_read_is_cut_off_and_nobody_else(trading):
    address = urlsplit(trading.addresses["ws_api_url"])
    greedy = socket.create_connection((address.hostname, address.port), timeout=20)
    greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    greedy.sendall(f"GET {address.path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    payload = b'{"id":1,"method":"exchangeInfo"}'
    block = (bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload) * 500
    greedy.settimeout(0.5)
    deadline, cut = time.monotonic() + 30, False
    while not cut and time.monotonic() < deadline:
        try:
            greedy.sendall(block)
        except TimeoutError:
            pass
        except OSError:
            cut = True
    greedy.close()
    assert cut and trading.faults.state()["counters"]["slow_disconnects"] >= 1
    assert trading.rest(ALICE).ask("GET", "/api/v3/ping") == {}


def test_many_connections_that_come_and_go_leave_nothing_behind(trading):
    def rss_kib():
        lines = Path(f"/proc/{trading.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def round_trip():
        clients = [trading.api(ALICE) for _ in range(150)]
        for client in clients:
            client.signed("userDataStream.subscribe.signature")
        for client in clients:
            client.client.stop()
        trading.faults.wait(lambda state: not state["clients"])
    for client in trading.clients:
        client.stop()
    round_trip()
    before = rss_kib()
    for _ in range(3):
        round_trip()
    assert rss_kib() - before < 8 << 10
    with pytest.raises(Refused):
        trading.rest(ALICE).signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=10**9)
