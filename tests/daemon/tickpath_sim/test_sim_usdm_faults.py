"""Faults of order entry on futures: the same ones over /fapi, user data of another form, and what only futures have."""
import pytest
from sim_harness import SECONDS
from test_sim_order_faults import name
from trading_harness import ALICE, BOB, Refused, TradingSim

from tickpath_sim.audit import audit
from tickpath_sim.control import FaultError

ORDER = "/fapi/v1/order"


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    directory = tmp_path_factory.mktemp("usdm")
    venue = TradingSim(directory, "--no-limits", "--venue", "binance_usdm", "--log-dir", directory / "log")
    venue.alice, venue.bob = venue.rest(ALICE), venue.rest(BOB)
    key = venue.alice.ask("POST", "/fapi/v1/listenKey")["listenKey"]
    venue.user = venue.client(f"/ws/{key}")
    yield venue
    for client in venue.clients:
        client.stop()
    assert venue.end() == (0, "")
    found = audit(directory / "log")
    assert found["violations"] == [] and found["complete"] and found["orders"] > 5


@pytest.fixture(autouse=True)
def disarmed(venue):
    yield
    for armed in venue.faults.faults()["armed"]:
        venue.faults.disarm(armed["name"])
    for client in (venue.alice, venue.bob):
        client.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")


def place(client, side, price, **more):
    return client.signed("POST", ORDER, symbol="BTCUSDT", side=side, type="LIMIT", timeInForce="GTC", quantity="0.1", price=price,
                         **more)


def heard(venue, until, seconds=SECONDS):
    """The executions that alice hears up to the one for which `until` holds."""
    found = []
    while True:
        message = venue.user.until(lambda m: m.get("e") == "ORDER_TRADE_UPDATE", seconds)["o"]
        found.append(message)
        if until(message):
            return found


def test_an_unknown_outcome_and_its_late_order(venue):
    mine = name()
    venue.faults.arm("unknown_503", client_order_id=mine, after_ms=200)
    with pytest.raises(Refused) as refused:
        place(venue.alice, "BUY", "60000", newClientOrderId=mine)
    assert refused.value.status == 503
    with pytest.raises(Refused) as refused:
        venue.alice.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId=mine)
    assert refused.value.code == -2013
    assert heard(venue, lambda o: o["c"] == mine)[-1]["x"] == "NEW"
    assert venue.alice.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId=mine)["status"] == "NEW"


def test_status_lag_and_lost_reply(venue):
    mine = name()
    venue.faults.arm("status_lag", lag_ms=60_000)
    place(venue.alice, "BUY", "60000", newClientOrderId=mine)
    with pytest.raises(Refused) as refused:
        venue.alice.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId=mine)
    assert refused.value.code == -2013
    assert mine not in [o["clientOrderId"] for o in venue.alice.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")]
    lost = name()
    venue.faults.arm("lost_reply", client_order_id=lost, how="close")
    with pytest.raises((OSError, Exception)):
        place(venue.rest(ALICE), "BUY", "60000", newClientOrderId=lost)
    assert heard(venue, lambda o: o["c"] == lost)[-1]["X"] == "NEW"


def test_a_missing_and_a_doubled_fill(venue):
    missing, twice = name(), name()
    venue.faults.arm("missing_fill", client_order_id=missing)
    venue.faults.arm("trade_twice", client_order_id=twice, gap_ms=10)
    for mine in (missing, twice):
        place(venue.alice, "BUY", "60000", newClientOrderId=mine)
        place(venue.bob, "SELL", "60000")
    mark = name()
    trades = [o for o in heard(venue, lambda o: o["c"] == twice and o["x"] == "TRADE") if o["x"] == "TRADE"]
    trades += [o for o in heard(venue, lambda o: o["x"] == "TRADE")]
    assert [o["c"] for o in trades] == [twice, twice] and trades[0]["t"] == trades[1]["t"]
    ids = [t["id"] for t in venue.alice.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")]
    assert len(ids) == len(set(ids)) == 2 and mark


def test_a_pinned_mark_price_and_a_funding_payment(venue):
    venue.faults.arm("mark_price", symbol="BTCUSDT", price="61000")
    assert float(venue.alice.ask("GET", "/fapi/v1/premiumIndex", symbol="BTCUSDT")["markPrice"]) == 61000
    venue.faults.arm("funding", symbol="BTCUSDT", rate="0.001")
    income = venue.alice.signed("GET", "/fapi/v1/income", symbol="BTCUSDT", incomeType="FUNDING_FEE")
    # Long 0.2 at a mark of 61,000 pays 0.1 %.
    assert sum(float(row["income"]) for row in income) == pytest.approx(-12.2)
    with pytest.raises(FaultError, match=r"mark_price.price: expected a decimal text above 0, found '-1'"):
        venue.faults.arm("mark_price", symbol="BTCUSDT", price="-1")
    with pytest.raises(FaultError, match=r"funding.symbol: expected a contract, found none"):
        venue.faults.arm("funding")
