"""GETs against a real server on loopback: TLS verified, bounded, patient where asked to be and nowhere else."""
import gzip
import time
from email.utils import formatdate

import pytest

from tickpathd.instruments import fetch
from tickpathd.instruments.fetch import FetchError, HttpClient, Throttled


@pytest.fixture
def answer(rest_server):
    """answer(Answer, …): what GET /x is told, in order."""
    def plan(*answers):
        rest_server.paths["/x"] = list(answers)
    return plan


@pytest.fixture
def waits():
    return []


@pytest.fixture
def client(rest_server, waits):
    """An HttpClient that notes its waits instead of waiting."""
    with HttpClient(rest_server.url, timeout_s=2.0, deadline_s=10.0, sleep=waits.append) as made:
        yield made


def test_a_body_comes_whole_over_one_connection_with_our_name_on_the_request(rest_server, client, answer):
    answer(rest_server.Answer(b"[1]"))
    assert client.get("/x", {"a": "b c", "n": 1}) == b"[1]"
    kept = client.connection.sock
    assert client.get("/x") == b"[1]" and client.connection.sock is kept
    assert rest_server.requests == ["/x?a=b+c&n=1", "/x"]
    assert rest_server.headers_seen[0]["User-Agent"].startswith("tickpath/")


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 3500])
def test_a_body_in_chunks_comes_whole_and_leaves_the_connection_usable(rest_server, client, answer, body):
    answer(rest_server.Answer(body, chunked=True))
    assert client.get("/x") == body
    kept = client.connection.sock
    assert client.get("/x") == body and client.connection.sock is kept


def test_a_packed_body_is_unpacked_and_a_damaged_one_asked_for_again(rest_server, client, answer, waits):
    packed = gzip.compress(b"x" * 100_000)
    unpacked = {"Content-Encoding": "gzip"}
    answer(rest_server.Answer(packed[:-20], headers=unpacked), rest_server.Answer(b"no gzip at all", headers=unpacked),
           rest_server.Answer(packed, headers=unpacked))
    assert client.get("/x") == b"x" * 100_000
    assert len(waits) == 2


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_without_end_is_cut_off_also_when_it_is_packed_small(rest_server, client, answer, packed, monkeypatch):
    monkeypatch.setattr(fetch, "BODY_BYTES_MAX", 1 << 20)
    body = b"\0" * (8 << 20)
    answer(rest_server.Answer(gzip.compress(body) if packed else body, headers={"Content-Encoding": "gzip"} if packed else {}))
    with pytest.raises(FetchError, match="expected at most 1048576 bytes, found more"):
        client.get("/x")
    assert len(rest_server.requests) == 1


@pytest.mark.parametrize("trouble", [{"status": 500}, {"status": 503}, {"drop": True}, {"cut": True, "body": b"x" * 100}])
def test_passing_trouble_is_asked_again_with_growing_jittered_waits(rest_server, client, answer, waits, trouble):
    bad = rest_server.Answer(**trouble)
    answer(bad, bad, bad, rest_server.Answer(b"ok"))
    assert client.get("/x") == b"ok"
    assert client.retries == len(waits) == 3
    assert all(0 <= wait <= most for wait, most in zip(waits, (0.5, 1.0, 2.0), strict=True))


def test_trouble_that_stays_is_one_line_with_the_count(rest_server, client, answer, waits):
    answer(rest_server.Answer(b'{"msg":"in maintenance"}', 503))
    with pytest.raises(FetchError, match=r"127\.0\.0\.1/x: expected status 200, found 503 'in maintenance', 5 times"):
        client.get("/x", {"secret": "parameters are not shown"})
    assert len(rest_server.requests) == 5 and len(waits) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 451])
def test_a_refusal_is_not_asked_again(rest_server, client, answer, status):
    answer(rest_server.Answer(b'{"code":-1,"msg":"refused"}', status))
    with pytest.raises(FetchError, match=f"found {status} 'refused'"):
        client.get("/x")
    assert len(rest_server.requests) == 1


def test_a_redirect_is_not_followed(rest_server, client, answer):
    answer(rest_server.Answer(b"", 302, {"Location": "http://169.254.169.254/latest"}))
    with pytest.raises(FetchError, match="found 302 .*a redirect to 'http://169.254.169.254/latest', which is not followed"):
        client.get("/x")
    assert len(rest_server.requests) == 1


def test_a_request_to_wait_is_granted_in_full(rest_server, client, answer, waits):
    answer(rest_server.Answer(status=429, headers={"Retry-After": "3"}), rest_server.Answer(b"ok"))
    assert client.get("/x") == b"ok"
    assert len(waits) == 1 and 3 <= waits[0] <= 3.5


def test_a_request_to_wait_may_be_a_date(rest_server, client, answer, waits):
    answer(rest_server.Answer(status=429, headers={"Retry-After": formatdate(time.time() + 5, usegmt=True)}), rest_server.Answer(b"ok"))
    assert client.get("/x") == b"ok"
    assert 3 <= waits[0] <= 6


@pytest.mark.parametrize("status, retry_after, least_s", [(429, "3600", 3590), (418, "120", 110), (418, None, 290), (503, "999999999", 86390)])
def test_a_longer_silence_ends_the_attempt_and_says_until_when(rest_server, client, answer, waits, status, retry_after, least_s):
    answer(rest_server.Answer(b'{"msg":"banned"}', status, {"Retry-After": retry_after} if retry_after else {}))
    with pytest.raises(Throttled, match=f"found {status} 'banned'") as caught:
        client.get("/x")
    assert len(rest_server.requests) == 1 and waits == []
    assert least_s <= (caught.value.until_ns - time.time_ns()) / 1e9 <= least_s + 15


@pytest.mark.parametrize("retry_after", ["soon", "-5", "", "²", "Thu, 99 Foo"])
def test_an_unreadable_request_to_wait_is_as_none(rest_server, client, answer, waits, retry_after):
    answer(rest_server.Answer(status=429, headers={"Retry-After": retry_after.encode("utf-8").decode("latin-1")}), rest_server.Answer(b"ok"))
    assert client.get("/x") == b"ok"
    assert waits[0] <= 0.5


def test_silence_and_a_trickle_end_in_time(rest_server, answer):
    with HttpClient(rest_server.url, timeout_s=0.3, deadline_s=0.6, attempts=1) as client:
        answer(rest_server.Answer(b"x" * 50, trickle_s=0.1))
        started = time.monotonic()
        with pytest.raises(FetchError, match="expected a body within 0.6 s"):
            client.get("/x")
        answer(rest_server.Answer(b"x" * 50, trickle_s=5))
        with pytest.raises(FetchError, match="expected an answer within 0.3 s, found silence"):
            client.get("/x")
        assert time.monotonic() - started < 5


def test_a_server_that_is_not_there_is_said_so(rest_server, waits):
    rest_server.stop()
    with HttpClient(rest_server.url, timeout_s=1.0, attempts=2, sleep=waits.append) as client, \
            pytest.raises(FetchError, match=r"127.0.0.1/x: expected an answer, found Connection refused, 2 times"):
        client.get("/x")


def test_a_name_without_an_address_is_said_so(waits):
    with HttpClient("https://no-such-venue.invalid", attempts=1, timeout_s=2) as client, \
            pytest.raises(FetchError, match="no-such-venue.invalid/x: expected an answer, found no address for this name"):
        client.get("/x")


# ---- TLS

def test_a_certificate_is_verified_and_ca_file_adds_a_trust_anchor(rest_server_class, make_certificate):
    certificate = make_certificate("127.0.0.1")
    with rest_server_class(certificate) as server:
        server.paths["/x"] = [server.Answer(b"ok")]
        with HttpClient(server.url) as stranger, \
                pytest.raises(FetchError, match="expected a certificate that can be trusted for 127.0.0.1, found one that cannot"):
            stranger.get("/x")
        assert server.requests == []
        with HttpClient(server.url, str(certificate[0])) as client:
            assert client.get("/x") == b"ok"


def test_a_trusted_certificate_of_another_host_is_refused(rest_server_class, make_certificate):
    certificate = make_certificate("127.0.0.2")
    with rest_server_class(certificate) as server, HttpClient(server.url, str(certificate[0])) as client:
        with pytest.raises(FetchError, match="expected a certificate that can be trusted for 127.0.0.1"):
            client.get("/x")
        assert server.requests == []


@pytest.mark.parametrize("url, found", [
    ("http://api.binance.com", "http://api.binance.com"), ("ftp://127.0.0.1", "ftp://127.0.0.1"), ("api.binance.com", "://"), ("", "://"),
    ("https://user:password@host", "https://host"), ("https://host/?a=1", "https://host"), ("https://host:99999", "99999")])
def test_a_url_that_may_not_be_asked_is_refused_before_any_connection(url, found):
    with pytest.raises(FetchError, match="rest_url: expected https") as caught:
        HttpClient(url)
    assert found in str(caught.value) and "password" not in str(caught.value)


def test_a_ca_file_that_holds_no_certificate_is_refused(tmp_path):
    (tmp_path / "empty.pem").write_text("nothing")
    for path in (tmp_path / "empty.pem", tmp_path / "absent.pem"):
        with pytest.raises(FetchError, match="ca_file: expected certificates in PEM"):
            HttpClient("https://127.0.0.1", str(path))
