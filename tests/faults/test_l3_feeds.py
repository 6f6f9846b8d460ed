"""Order-by-order feeds through a whole daemon: servers on loopback that speak Kraken's level3 and Coinbase's full channel as
documented, with drawn orders, and a strategy that wants an order at every event."""
import base64
import contextlib
import hmac
import http.server
import json
import threading
import time

import pytest
from feed_harness import LiveRun, closed_and_reopened, closed_s
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from l3_venues import CoinbaseFull, KrakenLevel3
from process_harness import until
from tickpath.market.gate import GateCause
from tickpath.types import BookState

PACE_S = 0.01


class Server:
    """A venue: a WebSocket server, and HTTP for what begins with a request. One lock guards the venue's truth."""
    faults = None

    def __init__(self, venue):
        self.venue, self.lock, self.subscriptions, self.refused = venue, threading.Lock(), 0, 0
        self.spoil = self.drop = self.paused = False
        self.socket = serve(self.talk, "127.0.0.1", 0)
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with owner.lock:
                    body = owner.venue.snapshot()
                self.send_response(200 if "level=3" in self.path else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.urls = {"ws_url": f"ws://127.0.0.1:{self.socket.socket.getsockname()[1]}",
                     "rest_url": f"http://127.0.0.1:{self.http.server_address[1]}", "ca_file": ""}
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.socket.serve_forever, self.http.serve_forever)]
        for thread in self.threads:
            thread.start()

    def close(self):
        self.socket.shutdown()
        self.http.shutdown()
        self.http.server_close()

    def talk(self, client):
        live = False
        with contextlib.suppress(ConnectionClosed):
            while True:
                with contextlib.suppress(TimeoutError):
                    asked = json.loads(client.recv(timeout=PACE_S))
                    live = self.answer(client, asked) or live
                if not live:
                    client.send(self.heartbeat())
                    continue
                with self.lock:
                    if self.paused:
                        client.send(self.heartbeat())
                        continue
                    message = self.venue.update()
                    if self.spoil:
                        message, self.spoil = self.spoiled(message), False
                    if self.drop:
                        self.drop = False
                        continue
                    client.send(message.decode())


class Kraken(Server):
    def heartbeat(self):
        return '{"channel":"heartbeat"}'

    def spoiled(self, message):
        data = json.loads(message)
        data["data"][0]["checksum"] ^= 1
        return json.dumps(data).encode()

    def answer(self, client, asked):
        if asked.get("method") != "subscribe":
            return False
        wanted = asked["params"]
        if wanted["channel"] != "level3":
            client.send(json.dumps({"method": "subscribe", "success": True, "result": {"channel": wanted["channel"]}}))
            return False
        if wanted.get("token") != "a-token" or wanted["depth"] != 10:
            self.refused += 1
            client.send('{"method":"subscribe","success":false,"error":"EAuth:Invalid token"}')
            return False
        with self.lock:
            self.subscriptions += 1
            client.send('{"method":"subscribe","success":true,"result":{"channel":"level3"}}')
            client.send(self.venue.snapshot().decode())
        return True


class Coinbase(Server):
    SECRET = base64.b64encode(b"s" * 32).decode()

    def heartbeat(self):
        return '{"type":"heartbeat","sequence":1,"last_trade_id":1,"product_id":"BTC-USD","time":"2026-11-21T10:00:00.000000Z"}'

    def answer(self, client, asked):
        if asked.get("type") != "subscribe" or "full" not in asked.get("channels", ()):
            return False
        signature = hmac.digest(b"s" * 32, f"{asked['timestamp']}GET/users/self/verify".encode(), "sha256")
        if (asked["key"], asked["passphrase"], asked["signature"]) != ("k", "p", base64.b64encode(signature).decode()):
            self.refused += 1
            client.send('{"type":"error","message":"authentication failure"}')
            return False
        self.subscriptions += 1
        client.send('{"type":"subscriptions","channels":[{"name":"full","product_ids":["BTC-USD"]}]}')
        return True


VENUES = {"kraken": (Kraken, KrakenLevel3, "BTC/USD", "0.1", '"a-token"'),
          "coinbase": (Coinbase, CoinbaseFull, "BTC-USD", "0.01",
                       json.dumps({"key": "k", "passphrase": "p", "secret": Coinbase.SECRET}))}


@pytest.fixture(params=VENUES)
def feed(request, tmp_path):
    kind = request.param
    server_class, venue, symbol, tick, secret = VENUES[kind]
    server = server_class(venue())
    credentials = tmp_path / "credentials"
    credentials.write_text(secret.strip('"') if kind == "kraken" else secret)
    credentials.chmod(0o600)
    instrument = (f'[[instruments]]\nvenue = "v"\nsymbol = "BTC/USD"\nvenue_symbol = "{symbol}"\ntick_size = "{tick}"\n'
                  'lot_size = "0.00000001"\n')
    run = LiveRun(server, kind, ["BTC/USD"], tmp_path, f"l3{kind}", limits=instrument, channels=["l3"], depth=10,
                  credentials=f"file:{credentials}", instruments_refresh_s=0.0, l3_orders=4096)
    try:
        yield kind, server, run
    finally:
        run.stop()
        server.close()


def test_book_of_single_orders_is_the_venues_and_orders_leave_only_while_it_is_proven(feed):
    kind, server, run = feed
    run.until_good()
    orders = run.totals()["orders"]
    until(lambda: run.totals()["orders"] > orders + 5, "orders on a good book")
    until(lambda: run.totals()["order_messages"] > 50, "messages of single orders")
    mark = run.mark()
    with server.lock:
        if kind == "kraken":
            server.spoil = True
        else:
            server.drop = True
    gates = closed_and_reopened(run, mark)
    assert any(causes & (GateCause.GATE_CHECKSUM if kind == "kraken" else GateCause.GATE_GAP) for _, _, causes, _ in gates)
    assert closed_s(gates) < 4.0 and run.orders_while_closed(mark) == 0
    assert server.subscriptions == (2 if kind == "kraken" else 1)
    with server.lock:
        server.paused = True
        truth = [*(server.venue.orders.best(side)[:2] for side in range(2)), len(server.venue.orders.where)]

    def shown():
        row = run.instruments()[0]
        return [*((row[f"top_{s}_ticks"], row[f"top_{s}_lots"]) for s in ("bid", "ask")), row["l3_orders"]]
    until(lambda: shown() == truth, "the venue's best bid and ask and its number of orders", 5)
    assert run.instruments()[0]["book_state"] == BookState.BOOK_GOOD
    code, result, err = run.end()
    assert code == 0 and server.refused == 0 and result["totals"]["protocol_errors"] == 0, err
    if kind == "kraken":
        assert result["totals"]["checksums_bad"] == 1 and result["totals"]["checksums_ok"] > 50


def test_run_without_usable_credentials_does_not_start_and_says_why(tmp_path):
    from test_live_start import start

    class Nobody:
        urls = {"ws_url": "ws://127.0.0.1:1", "rest_url": "http://127.0.0.1:1"}
    instrument = 'instruments=[{venue="v",symbol="BTC/USDT",venue_symbol="BTC/USDT",tick_size="0.1",lot_size="0.00000001"}]'
    common = ('venues.v.kind="kraken"', 'venues.v.channels=["l3"]', instrument)
    begin = time.monotonic()
    code, err = start(tmp_path, Nobody, *common)
    assert code == 2 and "venues.v.credentials" in err and "env:NAME or file:PATH" in err, err
    code, err = start(tmp_path, Nobody, *common, f'venues.v.credentials="file:{tmp_path / "none"}"')
    assert code == 1 and "venues.v: credentials: expected a readable file" in err, err
    open_file = tmp_path / "open"
    open_file.write_text("a-token")
    open_file.chmod(0o644)
    code, err = start(tmp_path, Nobody, *common, f'venues.v.credentials="file:{open_file}"')
    assert code == 1 and "owner alone" in err and "a-token" not in err, err
    assert time.monotonic() - begin < 60
