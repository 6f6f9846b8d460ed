"""The venue's limits: what is counted, what is said when it is too much, and the ban of who goes on."""
import time

import pytest
from trading_harness import ALICE, Refused, TradingSim, now_ms

from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.limits import BAN_AFTER, Limits, OrderCount, Rate

SECOND_NS = 10**9
NOW_NS = 1_700_000_000 * SECOND_NS
WEIGHT, ORDERS = Rate("REQUEST_WEIGHT", 1, "MINUTE", 100), Rate("ORDERS", 10, "SECOND", 2)


def test_weight_is_counted_by_the_minute_of_the_venues_clock():
    limits = Limits([WEIGHT])
    limits.take(60, NOW_NS)
    limits.take(40, NOW_NS)
    assert limits.headers(NOW_NS) == (("X-MBX-USED-WEIGHT", "100"), ("X-MBX-USED-WEIGHT-1M", "100"))
    with pytest.raises(VenueError) as caught:
        limits.take(1, NOW_NS)
    assert (caught.value.code, caught.value.status) == (-1003, 429)
    wait_s = int(dict(caught.value.headers)["Retry-After"])
    assert 1 <= wait_s <= 60
    limits.take(1, NOW_NS + wait_s * SECOND_NS)
    assert limits.weight.count(NOW_NS + wait_s * SECOND_NS) == 1


def test_who_goes_on_is_banned_and_let_in_again_after():
    limits = Limits([WEIGHT])
    limits.take(100, NOW_NS)
    statuses = []
    for _ in range(BAN_AFTER + 2):
        with pytest.raises(VenueError) as caught:
            limits.take(1, NOW_NS)
        statuses.append(caught.value.status)
    assert statuses == [429] * BAN_AFTER + [418, 418] and "IP banned until" in caught.value.msg
    wait_s = int(dict(caught.value.headers)["Retry-After"])
    with pytest.raises(VenueError):
        limits.take(1, NOW_NS + (wait_s - 1) * SECOND_NS)
    limits.take(1, NOW_NS + wait_s * SECOND_NS)


def test_a_refused_order_does_not_count_and_a_filled_one_no_more():
    count = OrderCount([ORDERS])
    count.take(1, NOW_NS)
    count.take(1, NOW_NS)
    with pytest.raises(VenueError) as caught:
        count.take(1, NOW_NS)
    assert (caught.value.code, caught.value.status, count.headers(NOW_NS)) == (-1015, 429, (("X-MBX-ORDER-COUNT-10S", "2"),))
    count.give_back(NOW_NS)
    count.take(1, NOW_NS)
    assert count.rows(NOW_NS + 10 * SECOND_NS)[0]["count"] == 0


def test_without_enforcement_it_is_only_counted():
    limits = Limits([WEIGHT], enforced=False)
    for _ in range(10):
        limits.take(60, NOW_NS)
    assert limits.weight.count(NOW_NS) == 600


def test_raw_requests_are_a_limit_of_their_own():
    limits = Limits([WEIGHT, Rate("RAW_REQUESTS", 5, "MINUTE", 3)])
    for _ in range(3):
        limits.take(0, NOW_NS)
    with pytest.raises(VenueError):
        limits.take(0, NOW_NS)


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    server = TradingSim(tmp_path_factory.mktemp("strict"), "--rest-weight-per-min", "200", "--orders-per-10s", "3")
    yield server
    for client in server.clients:
        client.stop()
    assert server.end() == (0, "")


def within_a_window(seconds, needed=4):
    """Wait until a window of the venue's clock has so much left."""
    if seconds - time.time() % seconds < needed:
        time.sleep(needed)


def test_a_server_counts_orders_and_weights_in_headers_and_answers(strict):
    within_a_window(10)
    alice = strict.rest(ALICE)
    alice.order("BUY", "0.1", "1000")
    assert alice.headers["X-MBX-ORDER-COUNT-10S"] == "1" and alice.headers["X-MBX-ORDER-COUNT-1D"] == "1"
    api = strict.api(ALICE)
    answer = api.answer(api.send("order.place", api.sign({"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
                                                          "quantity": "0.1", "price": "1000"})))
    assert [(row["rateLimitType"], row["interval"], row["count"]) for row in answer["rateLimits"]][:2] == [
        ("ORDERS", "SECOND", 2), ("ORDERS", "DAY", 2)]
    alice.order("BUY", "0.1", "1000")
    with pytest.raises(Refused) as caught:
        alice.order("BUY", "0.1", "1000")
    assert (caught.value.status, caught.value.code) == (429, -1015) and int(caught.value.headers["Retry-After"]) <= 10
    assert [row["count"] for row in alice.signed("GET", "/api/v3/rateLimit/order")] == [3, 3]


def test_too_much_weight_is_429_then_418_over_rest_and_the_websocket_api(strict):
    within_a_window(60)
    alice, seen = strict.rest(ALICE), []
    while 418 not in seen:
        status, body = alice.raw("GET", "/api/v3/account?timestamp=1")
        if status in (429, 418):
            assert body["code"] == -1003 and int(alice.headers["Retry-After"]) > 0
        seen.append(status)
        assert len(seen) < 200
    assert seen.count(429) == BAN_AFTER
    api = strict.api(ALICE)
    answer = api.answer(api.send("ping"))
    assert answer["status"] == 418 and answer["error"]["data"]["retryAfter"] > now_ms()
