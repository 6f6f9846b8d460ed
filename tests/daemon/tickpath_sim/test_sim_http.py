"""HTTP: keep-alive, and requests that nobody should send."""
import json
import socket
from urllib.parse import urlsplit

import pytest

US = "ws/binance_spot/cryptofeed_BINANCE_US_20211012.jsonl.zst"


@pytest.fixture
def raw(calm):
    """raw(bytes): what comes back until the server closes or a second has gone by."""
    parts = urlsplit(calm(US).addresses["rest_url"])

    def ask(data):
        with socket.create_connection((parts.hostname, parts.port), timeout=1) as client:
            client.sendall(data)
            answer = b""
            try:
                while piece := client.recv(65536):
                    answer += piece
            except TimeoutError:
                return answer, False
            return answer, True
    return ask


GET = b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n"


def test_a_connection_serves_requests_one_after_another_until_told_to_close(raw):
    answer, closed = raw(GET + b"\r\n" + GET + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 2 and closed
    assert answer.count(b"Connection: close") == 1 and answer.count(b"X-MBX-USED-WEIGHT-1M") == 2


@pytest.mark.parametrize("data, status", [
    (b"NONSENSE\r\n\r\n", 400), (b"PATCH / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 501),
    (b"GET / HTTP/9\r\n\r\n", 400), (GET + b"Content-Length: x\r\n\r\n", 400), (GET + b"Content-Length: -1\r\n\r\n", 400),
    (GET + b"Content-Length: 99999999\r\n\r\n", 413), (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 400),
    (GET + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 400), (b"\x00\xff\x00" * 10 + b"\r\n\r\n", 400)])
def test_what_is_no_request_of_ours_is_refused_and_closed(raw, data, status):
    answer, closed = raw(data)
    assert answer.split(b" ", 2)[1] == b"%d" % status and closed


def test_a_body_in_pieces_is_read_and_one_that_never_ends_is_not(raw):
    chunked = b"POST /api/v3/order/test HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer, closed = raw(chunked + b"3\r\na=b\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401") and b'"code":-2014' in answer and closed
    answer, closed = raw(chunked + b"100000\r\n" + b"a" * 0x100000 + b"\r\n1\r\na\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413") and closed


def test_half_a_request_gets_no_answer(raw):
    assert raw(GET) == (b"", False)


def test_the_faults_control_says_what_is_wrong(calm):
    import http.client
    parts = urlsplit(calm(US).addresses["faults_url"])
    for method, path, body, status in (("POST", "/drop_diff", "{", 400), ("POST", "/drop_diff", "[]", 400),
                                       ("POST", "/playback", '{"paused":1}', 400), ("GET", "/nothing", None, 404),
                                       ("DELETE", "/nothing", None, 404), ("PUT", "/drop_diff", "{}", 404)):
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
        connection.request(method, path, body)
        reply = connection.getresponse()
        assert (reply.status, "error" in json.loads(reply.read())) == (status, True), (method, path, body)
        connection.close()
