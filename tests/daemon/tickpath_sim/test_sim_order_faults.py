"""Each fault of order entry on a real server: what the client sees, and what the ledger says is true all the same."""
import http.client
import itertools
import time

import pytest
from sim_harness import SECONDS, Closed
from trading_harness import ALICE, BOB, Refused, TradingSim, now_ms

from tickpath_sim.audit import audit
from tickpath_sim.control import FaultError
from tickpath_sim.trading.audit_ledger import LedgerAudit
from tickpath_sim.trading.audit_truth import Violations
from tickpath_sim.trading.ledger_records import LedgerReader

PRICE, QTY = "100", "1"
_names = itertools.count(1)


def name():
    return f"fault{next(_names)}"


class Venue:
    def __init__(self, directory):
        self.log = directory / "log"
        self.sim = TradingSim(directory, "--no-limits", "--log-dir", self.log)
        self.faults = self.sim.faults
        self.alice, self.bob = self.sim.rest(ALICE), self.sim.rest(BOB)
        self.api = self.sim.api(ALICE)
        self.api.signed("userDataStream.subscribe.signature")

    def ledger(self):
        found = LedgerAudit(Violations())
        for record in LedgerReader(self.log):
            found.feed(record)
        return found

    def truth(self, client_order_id, until=lambda order: True, seconds=SECONDS):
        """The ledger's order of a client id, once it is there and the condition holds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for order in self.ledger().orders.values():
                if order.client_order_id == client_order_id and until(order):
                    return order
            time.sleep(0.02)
        raise AssertionError(f"expected {client_order_id} in the ledger within {seconds} s")

    def knows(self, client_order_id):
        """Whether the ledger has an order, when everything up to now has been written."""
        mark = name()
        self.bob.order("BUY", QTY, "50", newClientOrderId=mark, symbol="ETHUSDT")
        self.truth(mark)
        return any(order.client_order_id == client_order_id for order in self.ledger().orders.values())

    def events(self, until):
        """The executions (x, order's client id, trade id) that alice hears up to the one for which `until` holds."""
        found = []
        while True:
            event = self.api.event("executionReport")
            found.append((event["x"], event["c"], event["t"]))
            if until(event):
                return found

    def answer(self, number, seconds=SECONDS):
        """The answer to a request of the API connection; what comes before it is kept."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            kept = [m for m in self.api.events if m.get("id") == number]
            if kept:
                self.api.events.remove(kept[0])
                return kept[0]
            self.api.events.append(self.api.client.message())
        raise AssertionError(f"expected an answer to request {number} within {seconds} s")

    def entry(self, fault):
        return self.faults.log(fault)[-1]


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    venue = Venue(tmp_path_factory.mktemp("faults"))
    yield venue
    for client in venue.sim.clients:
        client.stop()
    assert venue.sim.end() == (0, "")
    found = audit(venue.log)
    # Whatever was lost, doubled or held back on the way: the venue's own books are right, and no reply told of an order or a fill
    # that is not there. That a client went on during a ban is what one of the tests does.
    assert [row for row in found["violations"] if row["check"] not in ("ban", "wait")] == []
    assert found["complete"] and found["conserved"]
    assert not found["wire"]["banned"] or "ban" in {row["check"] for row in found["violations"]}


@pytest.fixture(autouse=True)
def disarmed(venue):
    yield
    for armed in venue.faults.faults()["armed"]:
        venue.faults.disarm(armed["name"])
    venue.alice = venue.sim.rest(ALICE)
    for client in (venue.alice, venue.bob):
        for symbol in ("BTCUSDT", "ETHUSDT"):
            client.clear(symbol)
    # Whatever is on its way to alice is read before the next test begins.
    venue.answer(venue.api.send("ping"))
    venue.api.events.clear()


def place(api, client_order_id, side="BUY", price=PRICE, **more):
    """Send an order without waiting; returns the request's id."""
    return api.send("order.place", api.sign({
        "symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC", "price": price, "quantity": QTY,
        "newClientOrderId": client_order_id, **more}))


# ---- replies

def test_lost_reply_leaves_an_order_that_works_and_a_client_that_knows_nothing(venue):
    mine = name()
    venue.faults.arm("lost_reply", client_order_id=mine)
    lost = place(venue.api, mine)
    assert venue.answer(venue.api.send("ping"))["status"] == 200
    order = venue.truth(mine)
    assert order.status == "NEW"
    entry = venue.entry("lost_reply")
    assert (entry["order_id"], entry["client_order_id"], entry["account"], entry["op"]) == (order.order_id, mine, "alice", "order.place")
    # Asked by the client's own id the venue knows it; the answer never comes.
    assert venue.api.signed("order.status", symbol="BTCUSDT", origClientOrderId=mine)["status"] == "NEW"
    assert lost not in [m.get("id") for m in venue.api.events]


def test_lost_reply_can_take_the_connection_with_it(venue):
    mine, api = name(), venue.sim.api(ALICE)
    venue.faults.arm("lost_reply", client_order_id=mine, how="reset")
    place(api, mine)
    assert api.client.closed() == -1
    assert venue.truth(mine).status == "NEW"


def test_a_refused_order_has_no_reply_to_lose(venue):
    venue.faults.arm("lost_reply")
    with pytest.raises(Refused) as refused:
        venue.alice.order("BUY", QTY, "0.001")
    assert refused.value.code == -1013 and venue.faults.log("lost_reply")[-1:] != ["now"]
    assert venue.faults.faults()["armed"][0]["remaining"] == 1


def test_unknown_503_with_late_acceptance(venue):
    mine = name()
    venue.faults.arm("unknown_503", client_order_id=mine, after_ms=300)
    with pytest.raises(Refused) as refused:
        venue.alice.order("BUY", QTY, PRICE, newClientOrderId=mine)
    assert (refused.value.status, refused.value.code) == (503, -1000)
    with pytest.raises(Refused) as refused:
        venue.alice.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=mine)
    assert refused.value.code == -2013
    order = venue.truth(mine)
    assert venue.alice.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=mine)["status"] == "NEW"
    entry = venue.entry("unknown_503")
    assert entry["accepted_late"] and entry["order_id"] == order.order_id


def test_unknown_503_with_an_order_that_never_comes(venue):
    mine = name()
    venue.faults.arm("unknown_503", client_order_id=mine, accept="never")
    with pytest.raises(Refused):
        venue.alice.order("BUY", QTY, PRICE, newClientOrderId=mine)
    assert not venue.knows(mine)


def test_timeout_1007_may_hide_an_order_that_was_filled_at_once(venue):
    venue.bob.order("SELL", QTY, PRICE)
    mine = name()
    venue.faults.arm("timeout_1007", client_order_id=mine, accept="now")
    with pytest.raises(Refused) as refused:
        venue.api.order("BUY", QTY, PRICE, newClientOrderId=mine)
    assert (refused.value.status, refused.value.code) == (408, -1007)
    assert venue.truth(mine).status == "FILLED"


def test_cut_reply_ends_the_connection_at_that_byte(venue):
    mine = name()
    venue.faults.arm("cut_reply", client_order_id=mine, bytes=30)
    api = venue.sim.api(ALICE)
    place(api, mine)
    with pytest.raises(Closed) as closed:
        api.client.frame()
    assert closed.value.code == 0 and len(api.client.buffer) == 30
    assert venue.truth(mine).status == "NEW" and venue.entry("cut_reply")["bytes"] == 30


def test_cut_reply_of_rest_breaks_off_in_the_head_or_in_the_body(venue):
    for count, error in ((10, http.client.HTTPException), (400, http.client.IncompleteRead)):
        mine = name()
        venue.faults.arm("cut_reply", client_order_id=mine, bytes=count)
        with pytest.raises(error):
            venue.sim.rest(ALICE).order("BUY", QTY, PRICE, newClientOrderId=mine)
        assert venue.truth(mine).status == "NEW"


def test_fill_before_ack(venue):
    venue.bob.order("SELL", QTY, PRICE)
    mine = name()
    venue.faults.arm("fill_before_ack", client_order_id=mine)
    venue.api.events.clear()
    answer = venue.answer(place(venue.api, mine))
    heard = [e.get("event", {}).get("x") for e in venue.api.events]
    assert answer["result"]["status"] == "FILLED" and heard.count("TRADE") == 1


def test_fill_before_ack_waits_for_a_fill_that_comes_later(venue):
    mine = name()
    venue.faults.arm("fill_before_ack", client_order_id=mine, hold_ms=8000)
    number = place(venue.api, mine)
    venue.truth(mine)
    assert venue.answer(venue.api.send("ping"))["status"] == 200     # others pass it
    venue.bob.order("SELL", QTY, PRICE)
    venue.answer(number)
    assert "TRADE" in [e.get("event", {}).get("x") for e in venue.api.events]


# ---- the venue's word on orders

def test_status_lag_denies_a_young_order_everywhere(venue):
    mine, old = name(), name()
    venue.alice.order("BUY", QTY, PRICE, newClientOrderId=old)
    time.sleep(0.25)
    venue.faults.arm("status_lag", lag_ms=200)
    order_id = venue.alice.order("BUY", QTY, PRICE, newClientOrderId=mine)["orderId"]
    with pytest.raises(Refused) as refused:
        venue.alice.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=order_id)
    assert refused.value.code == -2013
    assert [o["clientOrderId"] for o in venue.alice.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")] == [old]
    assert old in [o["clientOrderId"] for o in venue.api.signed("openOrders.status", symbol="BTCUSDT")]
    assert venue.truth(mine).status == "NEW"
    time.sleep(0.25)
    assert venue.api.signed("order.status", symbol="BTCUSDT", orderId=order_id)["status"] == "NEW"
    assert len(venue.alice.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")) == 2
    assert order_id in {i for e in venue.faults.log("status_lag") for i in [e.get("order_id"), *e.get("order_ids", ())]}


@pytest.mark.parametrize(("fault", "code", "more"), [
    ("bad_timestamp", -1021, {}), ("no_balance", -2010, {}), ("filter_reject", -1013, {"msg": "Filter failure: LOT_SIZE"})])
def test_a_loop_of_refusals_ends_after_its_count(venue, fault, code, more):
    venue.faults.arm(fault, count=3, account="alice", **more)
    mine = [name() for _ in range(4)]
    for client_order_id in mine[:3]:
        with pytest.raises(Refused) as refused:
            venue.api.order("BUY", QTY, PRICE, newClientOrderId=client_order_id)
        assert refused.value.code == code and refused.value.msg == more.get("msg", refused.value.msg)
        # Another account is not concerned.
        venue.bob.order("BUY", QTY, "50")
    venue.api.order("BUY", QTY, PRICE, newClientOrderId=mine[3])
    assert [venue.knows(m) for m in mine] == [False, False, False, True]
    assert len([e for e in venue.faults.log(fault) if e["client_order_id"] in mine]) == 3


@pytest.mark.parametrize(("form", "code", "old_lives", "new_lives"), [
    ("new_refused", -2021, False, False), ("new_unknown", -1007, False, False),
    ("cancel_refused", -2021, True, True), ("cancel_unknown", -1007, True, True)])
def test_a_cancel_replace_is_half_done(venue, form, code, old_lives, new_lives):
    old, new = name(), name()
    venue.alice.order("BUY", QTY, PRICE, newClientOrderId=old)
    venue.faults.arm("half_cancel_replace", form=form)
    with pytest.raises(Refused) as refused:
        venue.api.order("BUY", QTY, "101", method="order.cancelReplace", newClientOrderId=new, cancelOrigClientOrderId=old,
                        cancelReplaceMode="ALLOW_FAILURE")
    assert refused.value.code == code
    if code == -2021:
        data = refused.value.body["error"]["data"]
        assert (data["cancelResult"] == "SUCCESS", data["newOrderResult"] == "SUCCESS") == (not old_lives, new_lives)
    assert venue.truth(old, lambda o: (o.status == "NEW") == old_lives)
    assert venue.knows(new) == new_lives


def test_expired_in_match_is_a_status_that_the_ledger_has_too(venue):
    mine = name()
    venue.faults.arm("expired_in_match", client_order_id=mine)
    venue.api.order("BUY", QTY, PRICE, newClientOrderId=mine)
    last = venue.events(lambda e: e["c"] == mine and e["X"] == "EXPIRED_IN_MATCH")
    assert last[-1][0] in ("EXPIRED", "TRADE_PREVENTION")
    assert venue.truth(mine, lambda o: o.status == "EXPIRED_IN_MATCH")
    assert venue.alice.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=mine)["status"] == "EXPIRED_IN_MATCH"


def test_a_halted_symbol_takes_no_order_until_it_trades_again(venue):
    venue.faults.arm("halt", symbol="BTCUSDT")
    mine = name()
    with pytest.raises(Refused) as refused:
        venue.alice.order("BUY", QTY, PRICE, newClientOrderId=mine)
    assert refused.value.code in (-1013, -2010) and not venue.knows(mine)
    status = {s["symbol"]: s["status"] for s in venue.alice.ask("GET", "/api/v3/exchangeInfo")["symbols"]}
    assert status["BTCUSDT"] != "TRADING" and status["ETHUSDT"] == "TRADING"
    venue.faults.disarm("halt")
    venue.alice.order("BUY", QTY, PRICE, newClientOrderId=mine)
    assert venue.truth(mine)


def test_clock_skew_moves_the_venues_time_and_drifts(venue):
    venue.faults.arm("clock_skew", offset_ms=60_000, drift_ppm=500_000.0)
    first = venue.alice.ask("GET", "/api/v3/time")["serverTime"] - now_ms()
    with pytest.raises(Refused) as refused:
        venue.alice.order("BUY", QTY, PRICE)
    assert refused.value.code == -1021
    time.sleep(0.3)
    second = venue.alice.ask("GET", "/api/v3/time")["serverTime"] - now_ms()
    assert 59_000 < first < 70_000 and 80 < second - first < 5000
    venue.faults.disarm("clock_skew")
    assert abs(venue.alice.ask("GET", "/api/v3/time")["serverTime"] - now_ms()) < 2000


# ---- user data

def test_a_silent_user_stream_leaves_everything_else_alive(venue):
    mine = name()
    venue.faults.arm("silent_user_stream", account="alice")
    venue.api.order("BUY", QTY, PRICE, newClientOrderId=mine)
    assert venue.api.signed("order.status", symbol="BTCUSDT", origClientOrderId=mine)["status"] == "NEW"
    assert not venue.api.events and venue.api.client.quiet(0.1)
    venue.faults.disarm("silent_user_stream")
    venue.alice.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=mine)
    assert venue.events(lambda e: True)[0][0] == "CANCELED"


def fill(venue, client_order_id, quantity="1"):
    """An order of alice's on the book, of which bob takes so much."""
    venue.alice.order("BUY", "1", PRICE, newClientOrderId=client_order_id)
    venue.bob.order("SELL", quantity, PRICE)


def my_trades(venue, client_order_id):
    order_id = venue.alice.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=client_order_id)["orderId"]
    return [t["id"] for t in venue.alice.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", orderId=order_id)]


def test_a_missing_fill_is_in_my_trades_only(venue):
    mine, mark = name(), name()
    venue.faults.arm("missing_fill", client_order_id=mine)
    fill(venue, mine)
    venue.alice.order("BUY", QTY, "50", newClientOrderId=mark)
    heard = [e for e in venue.events(lambda e: e["c"] == mark) if e[1] == mine]
    (trade_id,) = venue.truth(mine, lambda o: o.trades).trades
    assert [e[0] for e in heard] == ["NEW"] and my_trades(venue, mine) == [trade_id]
    assert venue.entry("missing_fill")["trade_id"] == trade_id


def test_the_same_trade_comes_twice_and_is_one_trade(venue):
    mine, mark = name(), name()
    venue.faults.arm("trade_twice", client_order_id=mine, gap_ms=30)
    fill(venue, mine)
    time.sleep(0.1)
    venue.alice.order("BUY", QTY, "50", newClientOrderId=mark)
    heard = [e for e in venue.events(lambda e: e["c"] == mark) if e[1] == mine and e[0] == "TRADE"]
    assert len(heard) == 2 and heard[0] == heard[1]
    assert my_trades(venue, mine) == [heard[0][2]] == list(venue.truth(mine, lambda o: o.trades).trades)


def test_a_late_fill_is_reported_behind_the_cancel(venue):
    mine = name()
    venue.faults.arm("late_fill", client_order_id=mine, delay_ms=30)
    fill(venue, mine, "0.4")
    answer = venue.alice.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=mine)
    assert answer["executedQty"] == "0.40000000"
    heard = venue.events(lambda e: e["x"] == "TRADE")
    assert [e[0] for e in heard] == ["NEW", "CANCELED", "TRADE"]
    order = venue.truth(mine, lambda o: o.status == "CANCELED")
    assert list(order.trades) == [heard[-1][2]]


# ---- messages of any kind

def test_a_dropped_execution_report_is_told_apart_by_its_type(venue):
    mine = name()
    venue.faults.arm("drop_message", message="execution", execution="NEW", client_order_id=mine)
    fill(venue, mine)
    assert [e[0] for e in venue.events(lambda e: e["X"] == "FILLED")] == ["TRADE"]


def test_a_delayed_reply_is_passed_by_others(venue):
    mine = name()
    venue.faults.arm("delay_message", message="reply", op="order.place", delay_ms=150)
    late = place(venue.api, mine)
    early = venue.api.send("ping")
    answers = []
    while len(answers) < 2:
        message = venue.api.client.message()
        if message.get("id") in (late, early):
            answers.append(message["id"])
    assert answers == [early, late]


def test_a_duplicated_reply_comes_as_often_as_told(venue):
    venue.faults.arm("duplicate_message", message="reply", op="order.place", copies=3)
    number = place(venue.api, name())
    same = [venue.answer(number) for _ in range(3)]
    assert same[0] == same[1] == same[2] and same[0]["status"] == 200


def test_a_reordered_message_comes_behind_the_next_one(venue):
    mine = name()
    venue.faults.arm("reorder_message", message="execution", execution="NEW", client_order_id=mine, hold_ms=5000)
    fill(venue, mine)
    heard = []
    while len(heard) < 2:
        message = venue.api.client.message()
        event = message.get("event", {})
        if event.get("e") in ("executionReport", "outboundAccountPosition"):
            heard.append((event["e"], event.get("x")))
    assert heard == [("outboundAccountPosition", None), ("executionReport", "NEW")]


def test_an_account_position_can_be_lost(venue):
    mine = name()
    venue.faults.arm("drop_message", message="account", account="alice", count=2)
    fill(venue, mine)
    venue.events(lambda e: e["X"] == "FILLED")
    assert venue.answer(venue.api.send("ping"))["status"] == 200
    assert "outboundAccountPosition" not in [m.get("event", {}).get("e") for m in venue.api.events]


# ---- who is hit

def test_a_fault_lets_some_pass_first_and_draws_lots_from_its_seed(venue):
    venue.faults.arm("no_balance", account="alice", skip=2)
    for expected in (True, True, False, True):
        try:
            venue.alice.order("BUY", QTY, "50")
            accepted = True
        except Refused:
            accepted = False
        assert accepted is expected
    drawn = []
    for seed in (7, 7, 8):
        venue.faults.arm("no_balance", account="alice", probability=0.5, seed=seed, seconds=60.0)
        row = []
        for _ in range(12):
            try:
                venue.alice.order("BUY", QTY, "50")
                row.append(True)
            except Refused:
                row.append(False)
        drawn.append(row)
    assert drawn[0] == drawn[1] != drawn[2] and {True, False} == set(drawn[0])


@pytest.mark.parametrize(("fault", "values", "found"), [
    ("lost_reply", {"how": "loudly"}, "lost_reply.how: expected one of silence, reset, close, found 'loudly'"),
    ("lost_reply", {"account": "nobody"}, "lost_reply.account: expected one of alice, "),
    ("lost_reply", {"symbol": "NOPE"}, "lost_reply.symbol: expected an instrument of the venue, found 'NOPE'"),
    ("unknown_503", {"accept": "maybe"}, "unknown_503.accept: expected one of now, late, never, found 'maybe'"),
    ("no_balance", {"probability": 1.5}, "no_balance.probability: expected 0 to 1, found 1.5"),
    ("delay_message", {"delay_ms": -1}, "delay_message.delay_ms: expected 0 or more, found -1"),
    ("half_cancel_replace", {"form": "x"}, "half_cancel_replace.form: expected one of new_refused, "),
    ("ban", {"patience": 0}, "ban.patience: expected more than 0, found 0"),
    ("late_fill", {"op": "order.place"}, "late_fill: expected keys of ")])
def test_a_fault_that_cannot_be_armed_says_why(venue, fault, values, found):
    with pytest.raises(FaultError) as error:
        venue.faults.arm(fault, **values)
    assert str(error.value).startswith(found)
    assert fault not in [armed["name"] for armed in venue.faults.faults()["armed"]]


# ---- last, since it counts against the client

def test_a_ban_grows_harder_for_who_goes_on(venue):
    venue.faults.arm("ban", account="alice", retry_after_s=2, patience=3, ban_s=60)
    seen = []
    for _ in range(10):
        with pytest.raises(Refused) as refused:
            venue.alice.order("BUY", QTY, PRICE)
        seen.append((refused.value.status, int(refused.value.headers["Retry-After"])))
        time.sleep(0.04)
    assert [status for status, _ in seen] == [429] * 3 + [418] * 7
    assert seen[3][1] == 60 and seen[7][1] in (119, 120)
    with pytest.raises(Refused) as refused:
        venue.api.order("BUY", QTY, PRICE)
    data = refused.value.body["error"]["data"]
    assert refused.value.status == 418 and data["retryAfter"] > data["serverTime"]
    venue.bob.order("BUY", QTY, "50")
