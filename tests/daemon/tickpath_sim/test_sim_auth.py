"""Who may do what: keys, signatures, time windows, permissions."""
import pytest
from trading_harness import ALICE, CAROL, DAVE, Keys, Refused, now_ms

from tickpath_sim.trading.auth import ApiKey, check_time, load_public_key
from tickpath_sim.trading.errors import VenueError


def refused(call, *args, **params):
    with pytest.raises(Refused) as caught:
        call(*args, **params)
    return caught.value.status, caught.value.code, caught.value.msg


def test_a_request_without_a_key_or_with_a_wrong_one_is_not_let_in(trading):
    account = ("GET", "/api/v3/account")
    assert refused(trading.rest().signed, *account)[:2] == (401, -2014)
    assert refused(trading.rest("!").signed, *account)[:2] == (401, -2014)
    assert refused(trading.rest("unknownkey").signed, *account) == (401, -2015, "Invalid API-key, IP, or permissions for action.")


@pytest.mark.parametrize("key", [ALICE, CAROL, DAVE])
def test_a_signature_is_checked_to_the_last_character(trading, key):
    client = trading.rest(key)
    text = f"symbol=BTCUSDT&timestamp={now_ms()}"
    good = Keys.sign(key, text)
    from urllib.parse import quote
    assert client.raw("GET", f"/api/v3/openOrders?{text}&signature={quote(good, safe='')}")[0] == 200
    wrong = good[:-5] + ("0" if good[-5] != "0" else "1") + good[-4:]
    for signature in (wrong, "x", "%00", good[:-4]):
        status, body = client.raw("GET", f"/api/v3/openOrders?{text}&signature={signature}")
        assert (status, body) == (400, {"code": -1022, "msg": "Signature for this request is not valid."}), signature
    status, body = client.raw("GET", f"/api/v3/openOrders?{text.replace('BTC', 'ETH')}&signature={quote(good, safe='')}")
    assert body["code"] == -1022


def test_query_and_body_are_signed_together(trading):
    alice = trading.rest(ALICE)
    query = "symbol=BTCUSDT&side=BUY&type=LIMIT"
    body = f"timeInForce=GTC&quantity=1&price=1000&timestamp={now_ms()}"
    signature = Keys.sign(ALICE, query + body)
    assert alice.raw("POST", f"/api/v3/order/test?{query}", f"{body}&signature={signature}") == (200, {})
    assert alice.raw("POST", f"/api/v3/order/test?{query}&signature={signature}", body) == (200, {})


@pytest.mark.parametrize("change, code, msg", [
    ({"timestamp": None}, -1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed."),
    ({"ahead": 2000}, -1021, "Timestamp for this request was 1000ms ahead of the server's time."),
    ({"ahead": -6000}, -1021, "Timestamp for this request is outside of the recvWindow."),
    ({"ahead": -1000, "recvWindow": 500}, -1021, "Timestamp for this request is outside of the recvWindow."),
    ({"recvWindow": 60001}, -1131, "recvWindow must be less than 60000."),
    ({"recvWindow": "soon"}, -1100, None), ({"timestamp": "now"}, -1100, None), ({"timestamp": "9" * 30}, -1100, None),
])
def test_a_request_counts_only_within_its_window(trading, change, code, msg):
    params = {"timestamp": now_ms() + change.get("ahead", 0), **{k: v for k, v in change.items() if k != "ahead"}}
    params = {k: v for k, v in params.items() if v is not None}
    alice = trading.rest(ALICE)
    text = "&".join(f"{k}={v}" for k, v in params.items())
    status, body = alice.raw("GET", f"/api/v3/account?{text}&signature={Keys.sign(ALICE, text)}")
    assert (status, body["code"]) == (400, code) and (msg is None or body["msg"] == msg)


def test_an_old_request_sent_again_is_refused(trading):
    alice = trading.rest(ALICE)
    text = f"timestamp={now_ms() - 5500}"
    assert alice.raw("GET", f"/api/v3/account?{text}&signature={Keys.sign(ALICE, text)}")[1]["code"] == -1021


def test_a_missing_signature_is_named(trading):
    status, body = trading.rest(ALICE).raw("GET", f"/api/v3/account?timestamp={now_ms()}")
    assert (status, body["code"]) == (400, -1102) and "'signature'" in body["msg"]


def test_a_key_without_the_permission_may_look_and_not_touch(trading):
    reader = trading.rest("readerreader")
    assert reader.signed("GET", "/api/v3/account")["canTrade"] is True
    assert refused(reader.order, "BUY", "1", "1000")[:2] == (401, -2015)
    assert refused(reader.ask, "POST", "/api/v3/userDataStream")[:2] == (401, -2015)


def test_an_account_without_money_is_told_so(trading):
    assert refused(trading.rest("poorpoor").order, "BUY", "1", "1000") == (
        400, -2010, "Account has insufficient balance for requested action.")


# ---- the parts alone

def test_microseconds_are_understood_by_their_length():
    check_time("1700000000000", None, 1_700_000_000_000_000_000)
    check_time("1700000000000000", "0.5", 1_700_000_000_000_400_000)
    with pytest.raises(VenueError):
        check_time("1700000000000000", "0.5", 1_700_000_000_000_600_000)


def test_a_public_key_is_read_as_pem_or_base64_and_nothing_else():
    assert load_public_key("Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=")
    for text in ("", "short", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"):
        with pytest.raises(ValueError):
            load_public_key(text)


def test_an_hmac_key_verifies_in_either_case_and_rejects_what_is_no_text_of_ascii():
    key = ApiKey("k" * 10, None, secret="s")
    from hashlib import sha256
    from hmac import new
    digest = new(b"s", b"a=1", sha256).hexdigest()
    assert key.verify(b"a=1", digest) and key.verify(b"a=1", digest.upper())
    assert not key.verify(b"a=1", "ß" * 64) and not key.verify(b"a=2", digest)
