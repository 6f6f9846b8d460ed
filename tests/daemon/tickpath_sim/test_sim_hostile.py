"""Whatever a client sends, over real sockets: the venue's own refusal, no word on stderr, bounded memory, others not held up.

Each venue is one server with its logs on; when the module ends they must audit clean.
"""
import contextlib
import json
import re
import socket
import struct
import subprocess
import sys
import time
from urllib.parse import quote, urlsplit

import pytest
from sim_harness import ROOT, Closed, RawClient
from trading_harness import ALICE, BOB, CAROL, Api, Keys, Refused, TradingSim, now_ms

SPOT_API, USDM_API = "/ws-api/v3", "/ws-fapi/v1"
GROWTH_MIB = 96


class Venue:
    """A running server and where its things are."""

    def __init__(self, directory, name):
        self.directory, self.usdm = directory, name == "binance_usdm"
        self.sim = TradingSim(directory, "--no-limits", "--messages-per-s", "0", "--queue-mib", "4", "--venue", name,
                              "--log-dir", directory / "log")
        self.rest_path = "/fapi/v1/" if self.usdm else "/api/v3/"
        self.api_path = USDM_API if self.usdm else SPOT_API
        self.stream_path = "listenKey" if self.usdm else "userDataStream"
        self.clients = {key: self.sim.rest(key) for key in (ALICE, BOB, CAROL, "poorpoor")}

    def signed(self, key, method, path, **params):
        """The result, or the (status, code, message) of the refusal."""
        try:
            return self.clients[key].signed(method, self.rest_path + path, **params)
        except Refused as e:
            return e.status, e.code, e.msg

    def place(self, key, side="BUY", quantity="1", price="60000", **more):
        params = {"symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC", "quantity": quantity, "price": price}
        return self.signed(key, "POST", "order", **{name: v for name, v in {**params, **more}.items() if v is not None})

    def raw_client(self, path):
        client = RawClient(self.sim.addresses["ws_url"], path)
        self.sim.clients.append(client)
        return client

    def connect(self, kind="rest_url"):
        parts = urlsplit(self.sim.addresses[kind])
        return socket.create_connection((parts.hostname, parts.port), timeout=5)

    def http(self, data):
        """(status, body) of the answer to these bytes; status 0: the connection was ended without one."""
        with self.connect() as sock:
            answer = b""
            with contextlib.suppress(OSError):
                sock.sendall(data)
            with contextlib.suppress(OSError):
                while True:
                    head, found, body = answer.partition(b"\r\n\r\n")
                    length = re.search(rb"(?i)content-length: (\d+)", head)
                    if found and length and len(body) >= int(length[1]):
                        return int(head.split()[1]), body
                    data = sock.recv(65536)
                    if not data:
                        break
                    answer += data
        return 0, b""

    def memory_mib(self):
        with open(f"/proc/{self.sim.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) // 1024

    def answers(self):
        assert self.clients[BOB].ask("GET", self.rest_path + "time")["serverTime"] > 0

    def end(self):
        for client in self.sim.clients:
            client.stop()
        assert self.sim.end() == (0, "")
        audit = subprocess.run([sys.executable, "-m", "tickpath_sim.cli", "audit", str(self.directory / "log")], cwd=ROOT,
                               capture_output=True, text=True, timeout=60)
        assert audit.returncode == 0, audit.stdout + audit.stderr


@pytest.fixture(scope="module", params=["binance_spot", "binance_usdm"])
def venue(request, tmp_path_factory):
    running = Venue(tmp_path_factory.mktemp(request.param), request.param)
    yield running
    running.end()


END = b" HTTP/1.1\r\nHost: x\r\n\r\n"
DEEP = 100_000
FRAME_KEY = bytes(4)


def frame(first, payload=b"", *, masked=True, size=None):
    size, mask = len(payload) if size is None else size, 0x80 if masked else 0
    head = bytes((first, mask | size)) if size < 126 else struct.pack(">BBH", first, mask | 126, size) if size < 1 << 16 \
        else struct.pack(">BBQ", first, mask | 127, size)
    return head + (FRAME_KEY if masked else b"") + payload


# What is no HTTP, or too much of it -> statuses that say so; 0: cut off.
BAD_HTTP = {
    "a target that is no path": (b"GET //[" + END, {400}), "no method": (b"\0\1\2\r\n\r\n", {400}), "a TLS hello": (b"\x16\x03\x01" * 90 + b"\r\n\r\n", {400}),
    "an unknown method": (b"PATCH /x" + END, {501}), "a long line": (b"GET /" + b"a" * 20_000 + END, {400}),
    "a long header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20_000 + b"\r\n\r\n", {400}),
    "thousands of headers": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n", {400}),
    "a negative length": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", {400}),
    "two lengths": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n12345", {400}),
    "a length and chunks": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "100 MB announced": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n", {413}),
    "no gzip": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n1234", {400}),
    "a chunk without end": (b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"10000\r\n" + b"a" * 65536 + b"\r\n") * 200, {413, 0}),
    "an unknown path": (b"GET /nosuch" + END, {404}), "raw bytes in a query": (b"GET /api/v3/depth?symbol=\xff" + END, {400})}


@pytest.mark.parametrize("name", BAD_HTTP)
def test_what_is_no_http_is_refused(venue, name):
    data, statuses = BAD_HTTP[name]
    assert venue.http(data)[0] in statuses
    venue.answers()


def test_parameters_of_public_requests_get_the_venue_s_code(venue):
    expected = {"symbol=%ff%fe": -1121, "symbol=%00": -1121, "symbol=%ed%a0%80": -1121, "symbol=": -1105, "": -1102,
                "symbol=BTCUSDT&limit=1&limit=2": -1101, "symbol=BTCUSDT&limit=": -1105, "symbol=BTCUSDT&limit=%D9%A3": -1100,
                "symbol=BTCUSDT&limit=1e400": -1100,
                # Futures do not mind parameters that they do not know.
                "&".join(f"a{n}=1" for n in range(1000)): -1102 if venue.usdm else -1104}
    found = {query: json.loads(venue.http(f"GET {venue.rest_path}depth?{query}".encode() + END)[1])["code"] for query in expected}
    assert found == expected
    if not venue.usdm:
        for text in ("[" * 5000, '[["a"]]', "[1e400,NaN]", '["\\ud800"]', "[" + "9" * 5000 + "]"):
            status, body = venue.http(b"GET /api/v3/ticker/price?symbols=" + quote(text).encode() + END)
            assert (status, json.loads(body)["code"]) == (400, -1100)


def test_signatures_and_times_are_checked(venue):
    text = f"timestamp={now_ms()}"
    good, path, alice = Keys.sign(ALICE, text), venue.rest_path + "openOrders?", venue.clients[ALICE]
    for query, code in ((f"{text}&signature=0", -1022), (f"{text}&signature=%C3%BC%00", -1022), (f"{text}&signature={good}&limit=1", -1022),
                        (f"{text}&signature={good}&signature={good}", -1101), (f"signature={good}", -1102), (f"{text}&signature=", -1102)):
        assert alice.raw("GET", path + query)[1]["code"] == code, query
    assert venue.clients[BOB].raw("GET", f"{path}{text}&signature={good}")[1]["code"] == -1022
    assert venue.clients[CAROL].raw("GET", f"{path}{text}&signature=%FF")[1]["code"] == -1022
    # Within its window a request is good as often as it comes, as at the venue.
    assert [alice.raw("GET", f"{path}{text}&signature={good}")[0] for _ in range(2)] == [200, 200]
    for value, code in (("1", -1021), (str(now_ms() + 5000), -1021), (str(now_ms() - 6000), -1021), ("9" * 20, -1021), ("9" * 40, -1100),
                        ("-1", -1100), ("1e12", -1100), ("٣", -1100)):
        assert venue.signed(ALICE, "GET", "openOrders", timestamp=value)[1] == code, value
    for value, code in (("60001", -1131), ("0", -1130), ("1e3", -1100), ("9" * 400, -1100)):
        assert venue.signed(ALICE, "GET", "openOrders", recvWindow=value)[1] == code, value


NUMBERS = ("9223372036854775807", "92233720368.54775807", "92233720368.54775808", "9" * 40, "1e5", "-1", "NaN", "inf", "1_000", "٣", "0x10",
           " 1", "0", "\0", "1\n", "1" + "0" * 19 + "." + "0" * 20)

# By what a number can be wrong with: the grid, the characters, the digits, the range, the funds.
REFUSALS = {-1013, -1100, -1102, -1105, -1108, -1111, -2010, -4001, -4002, -4003, -4005, -4006, -4007, -4014, -4120, -5040}


@pytest.mark.parametrize("name", ["price", "quantity", "stopPrice", "quoteOrderQty", "icebergQty", "goodTillDate"])
def test_numbers_at_and_beyond_every_limit_are_refused(venue, name):
    fitting = {"price": {}, "quantity": {}, "goodTillDate": {"timeInForce": "GTD"}, "icebergQty": {},
               "stopPrice": {"type": "STOP_MARKET" if venue.usdm else "STOP_LOSS", "price": None, "timeInForce": None},
               "quoteOrderQty": {"type": "MARKET", "price": None, "timeInForce": None, "quantity": None}}[name]
    if name == "goodTillDate" and not venue.usdm or name in ("quoteOrderQty", "icebergQty") and venue.usdm:
        return
    for value in NUMBERS:
        if (name, value) == ("icebergQty", "0"):
            # As good as none.
            continue
        status, code, msg = venue.place(ALICE, **{**fitting, name: value})
        assert status == 400 and code in REFUSALS and "OVERFLOW" not in msg, (value, code, msg)


def test_another_account_s_orders_cannot_be_seen_or_touched(venue):
    order = venue.place(ALICE, price="50000", newClientOrderId="mine")["orderId"]
    for names in ({"orderId": order}, {"origClientOrderId": "mine"}):
        assert venue.signed(BOB, "GET", "order", symbol="BTCUSDT", **names)[1] == -2013
        assert venue.signed(BOB, "DELETE", "order", symbol="BTCUSDT", **names)[1] == -2011
    if venue.usdm:
        assert venue.signed(BOB, "PUT", "order", symbol="BTCUSDT", orderId=order, side="BUY", quantity="1", price="50001")[1] == -2013
        venue.signed(BOB, "DELETE", "allOpenOrders", symbol="BTCUSDT")
    else:
        new = {"symbol": "BTCUSDT", "cancelOrderId": order, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "40000"}
        assert venue.signed(BOB, "POST", "order/cancelReplace", cancelReplaceMode="STOP_ON_FAILURE", **new)[:2] == (400, -2022)
        assert venue.signed(BOB, "POST", "order/cancelReplace", cancelReplaceMode="ALLOW_FAILURE", **new)[:2] == (409, -2021)
        assert venue.signed(BOB, "PUT", "order/amend/keepPriority", symbol="BTCUSDT", orderId=order, newQty="0.5")[1] == -2013
        assert len(venue.signed(BOB, "DELETE", "openOrders", symbol="BTCUSDT")) == 1
    assert venue.signed(ALICE, "GET", "order", symbol="BTCUSDT", orderId=order)["status"] == "NEW"
    assert venue.place("poorpoor")[1] in (-2010, -2019)
    assert venue.signed(ALICE, "DELETE", "order", symbol="BTCUSDT", orderId=order)["status"] == "CANCELED"


def test_self_trades_in_every_mode_at_once_leave_nothing_locked(venue):
    if venue.usdm:
        return
    before = venue.clients[ALICE].balance("BTC")
    for maker in ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"):
        for taker in ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"):
            for quantity in ("0.3", "0.1"):
                venue.place(ALICE, "SELL", "0.2", "61000", selfTradePreventionMode=maker)
                assert isinstance(venue.place(ALICE, "BUY", quantity, "61000", selfTradePreventionMode=taker), dict)
    venue.clients[ALICE].clear()
    free, locked = venue.clients[ALICE].balance("BTC")
    assert float(locked) == 0 and float(free) <= float(before[0])


def test_an_order_is_amended_at_most_ten_times_and_its_names_are_forgotten(venue):
    if venue.usdm:
        return
    order = venue.place(BOB, quantity="1", price="40000")["orderId"]
    answers = [venue.signed(BOB, "PUT", "order/amend/keepPriority", symbol="BTCUSDT", orderId=order, newQty=f"0.{90 - n}") for n in range(11)]
    assert [type(a) for a in answers[:10]] == [dict] * 10 and answers[10] == (400, -2038, "Filter failure: MAX_NUM_ORDER_AMENDS")
    assert venue.signed(BOB, "PUT", "order/amend/keepPriority", symbol="BTCUSDT", orderId=order, newQty="2")[2] == \
        "Order amend (quantity increase) is not supported."
    venue.clients[BOB].clear()


def test_batches_of_futures_take_only_what_they_are_meant_for(venue):
    if not venue.usdm:
        return
    for text in ("[" * DEEP, '[{"a":NaN}]', '[{"symbol":"\\ud800"}]', '[{"quantity":' + "9" * 5000 + "}]", "[null]", "{}", "[]", "[1]"):
        assert venue.signed(ALICE, "POST", "batchOrders", in_body=True, batchOrders=text)[1] in (-1130, -4082), text[:40]
        for name in ("orderIdList", "origClientOrderIdList"):
            answer = venue.signed(ALICE, "DELETE", "batchOrders", in_body=True, symbol="BTCUSDT", **{name: text})
            assert answer[1] == -1130 if isinstance(answer, tuple) else answer[0]["code"] in (-1102, -2011), (name, text[:40])


# A request of the WebSocket API -> code.
API_TEXTS = {
    "": -1135, "\0": -1135, "{": -1135, "[]": -1135, "NaN": -1135, "[" * DEEP: -1135, '{"a":' * DEEP: -1135, '{"id":1}': -1102,
    '{"id":{},"method":"ping"}': -1100, '{"id":1e400,"method":"ping"}': -1100, '{"id":"' + "a" * 5000 + '","method":"ping"}': -1100,
    '{"id":"\\u0663","method":"ping"}': -1100, '{"id":' + "9" * 40 + ',"method":"ping"}': -1100, '{"id":' + "9" * 5000 + ',"method":"ping"}': -1135,
    '{"id":1,"method":1}': -1100, '{"id":1,"method":"\\ud800"}': -1135, '{"id":1,"method":"nosuch"}': -1020, '{"id":1,"method":"ping","params":[1]}': -1100,
    '{"id":1,"method":"session.logon","params":{"apiKey":[],"timestamp":[]}}': -2014,
    '{"id":1,"method":"order.place","params":{"apiKey":[[1]]}}': -2014, '{"id":1,"method":"order.place","params":{}}': -1102,
    f'{{"id":1,"method":"order.place","params":{{"apiKey":"{ALICE}","timestamp":{{}},"signature":"a"}}}}': -1100,
    f'{{"id":1,"method":"order.place","params":{{"apiKey":"{ALICE}","timestamp":1.5,"signature":"a"}}}}': -1100,
    f'{{"id":1,"method":"order.place","params":{{"apiKey":"{ALICE}","timestamp":-1,"signature":"a"}}}}': -1100,
    f'{{"id":1,"method":"order.place","params":{{"apiKey":"{ALICE}","timestamp":1,"signature":{{"a":[1]}}}}}}': -1021}


def test_the_websocket_api_answers_whatever_text_comes_and_goes_on(venue):
    client = venue.raw_client(venue.api_path)
    for text, code in API_TEXTS.items():
        client.socket.sendall(frame(0x81, text.encode()))
        assert client.message()["error"]["code"] == code, text[:60]
    client.send({"id": 7, "method": "ping"})
    assert client.message()["status"] == 200
    client.stop()


def test_market_streams_answer_whatever_text_comes_and_go_on(venue):
    client = venue.raw_client("/ws")
    for text, code in {"": 3, "{": 3, "NaN": 3, "[" * DEEP: 3, '{"a":' * DEEP: 3, "[]": 2, '{"method":"\\ud800","id":1}': 3, '{"method":1}': 2, '{"id":1.5,"method":"x"}': 2,
                       '{"id":' + "9" * 5000 + ',"method":"x"}': 3, '{"method":"SUBSCRIBE","params":[1]}': 2, '{"method":"SUBSCRIBE","params":{}}': 2,
                       '{"method":"SUBSCRIBE","params":["' + "a" * 1000 + '"]}': 2,
                       json.dumps({"method": "SUBSCRIBE", "params": [f"x{n}@trade" for n in range(1025)]}): 2}.items():
        client.socket.sendall(frame(0x81, text.encode()))
        assert client.message()["code"] == code, text[:60]
    client.socket.sendall(frame(0x01, b"") + frame(0x00, b'{"method":"LIST_SUBSCRI') + frame(0x80, b'PTIONS","id":1}'))
    assert client.message() == {"result": [], "id": 1}
    client.stop()


VIOLATIONS = {
    "unmasked": (frame(0x81, b"{}", masked=False), 1002), "reserved bits": (frame(0xF1, b"{}"), 1002), "an unknown opcode": (frame(0x83), 1002),
    "a continuation of nothing": (frame(0x80, b"x"), 1003), "a long ping": (frame(0x89, b"a" * 126), 1002), "half a ping": (frame(0x09, b"a"), 1002),
    "a close of one byte": (frame(0x88, b"\3"), 1002), "a code that is never sent": (frame(0x88, struct.pack(">H", 1006)), 1002),
    "a code that is none": (frame(0x88, b"\xff\xff"), 1002), "interleaved messages": (frame(0x01, b"{") + frame(0x81, b"{}"), 1002),
    "2^62 bytes announced": (frame(0x81, b"a", size=1 << 62), 1009), "20 MiB announced": (frame(0x81, b"a", size=20 << 20), 1009),
    "a message of 1.2 MiB": (frame(0x81, b"a" * 1_200_000), 1009), "binary": (frame(0x82, b"{}"), 1003), "a length not minimal": (b"\x81\xfe\0\2\0\0\0\0{}", 1002)}


@pytest.mark.parametrize("path", ["/ws", "api"])
def test_violations_of_the_protocol_close_with_their_code(venue, path):
    for name, (data, code) in VIOLATIONS.items():
        client = RawClient(venue.sim.addresses["ws_url"], venue.api_path if path == "api" else path)
        with contextlib.suppress(OSError):
            client.socket.sendall(data)
        with pytest.raises(Closed) as closed:
            client.text(5)
        # What was sent after the end turns the server's close into a reset on its way.
        assert closed.value.code in (code, -1), name
        client.stop()
    with venue.connect("ws_url") as sock:
        sock.sendall(b"GET //[ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 404")
    venue.answers()


def test_listen_keys_cannot_be_guessed_and_die_when_closed(venue):
    alice = venue.clients[ALICE]
    path = venue.rest_path + venue.stream_path
    for guess in ("x", "a" * 64, "a" * 5000, "ü", "\0"):
        with pytest.raises(Refused) as refused:
            alice.ask("PUT", path, listenKey=guess)
        assert refused.value.code == -1125
    key = alice.ask("POST", path)["listenKey"]
    thief, owner = venue.raw_client("/ws/" + "a" * 64), venue.raw_client("/ws/" + key)
    venue.place(ALICE, price="30000")
    assert owner.message()
    with pytest.raises(TimeoutError):
        thief.message(0.2)
    alice.ask("DELETE", path, **({} if venue.usdm else {"listenKey": key}))
    venue.signed(ALICE, "DELETE", "allOpenOrders" if venue.usdm else "openOrders", symbol="BTCUSDT")
    while True:
        try:
            owner.message(0.3)
        except TimeoutError:
            break
    thief.stop()
    owner.stop()


def test_requests_that_are_none_count_too_and_end_in_a_ban(tmp_path):
    with TradingSim(tmp_path, "--rest-weight-per-min", "100") as sim:
        client = RawClient(sim.addresses["ws_url"], SPOT_API)
        sim.clients.append(client)
        client.socket.sendall(frame(0x81, b"{") * 100 + frame(0x81, b'{"id":1,"method":"nosuch"}') * 150)
        answers = [client.message() for _ in range(250)]
        # A minute may begin meanwhile.
        assert {a["status"] for a in answers} >= {400, 429, 418} or time.time() % 60 < 5
        assert all(a["error"]["code"] == -1003 for a in answers if a["status"] != 400)


def test_slow_readers_are_cut_off_and_hold_up_nobody(venue):
    before = venue.memory_mib()
    api = Api.__new__(Api)
    api.api_key, api.events, api.number, api.client = ALICE, [], 0, venue.raw_client(venue.api_path)
    request = frame(0x81, json.dumps({"id": 1, "method": "nosuch" + "x" * 20}).encode()) * 500
    slow = [venue.raw_client(venue.api_path) for _ in range(2)]
    ends = time.monotonic() + 20
    for client in slow:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.socket.settimeout(1)
        with contextlib.suppress(OSError):
            while time.monotonic() < ends:
                client.socket.sendall(request)
    assert time.monotonic() < ends
    assert venue.sim.faults.state()["counters"]["slow_disconnects"] >= 1
    assert api.ask("ping") == {}
    assert venue.memory_mib() - before < GROWTH_MIB
    for client in slow:
        client.stop()


@pytest.mark.soak
def test_who_never_ends_a_head_or_a_body_is_cut_off(venue):
    mute = [venue.connect() for _ in range(200)]
    for sock in mute[:100]:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nA: b")
    for sock in mute[100:]:
        sock.sendall(b"POST " + venue.rest_path.encode() + b"order HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nab")
    idle = venue.connect("ws_url")
    idle.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\n")
    ends = time.monotonic() + 23
    while time.monotonic() < ends:
        time.sleep(1)
        venue.answers()
        for sock in mute[:100]:
            with contextlib.suppress(OSError):
                sock.send(b"c")
    for sock in (*mute, idle):
        sock.settimeout(2)
        with contextlib.suppress(ConnectionError):
            while sock.recv(4096):
                pass
        sock.close()


@pytest.mark.soak
def test_ten_thousand_connections_that_say_nothing_leave_the_others_alone(venue):
    resource = pytest.importorskip("resource", reason="expected a system with file limits")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10_000
    if hard != resource.RLIM_INFINITY and hard < 2 * wanted:
        pytest.skip(f"expected {2 * wanted} open files allowed, found {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * wanted, hard))
    resource.prlimit(venue.sim.process.pid, resource.RLIMIT_NOFILE, (2 * wanted, hard))
    before, idle = venue.memory_mib(), []
    try:
        for _ in range(wanted):
            idle.append(venue.connect("ws_url"))
            idle[-1].sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        for sock in idle:
            assert sock.recv(4096).startswith(b"HTTP/1.1 101")
        assert venue.memory_mib() - before < 300
        venue.answers()
        assert isinstance(venue.place(BOB, price="41000"), dict)
    finally:
        for sock in idle:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    venue.sim.faults.wait(lambda state: len(state["clients"]) < 100)
    venue.answers()
