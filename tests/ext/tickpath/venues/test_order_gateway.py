"""Orders of a live session over a real socket: what leaves, what comes back, and what becomes of those that find no socket."""
import asyncio
import contextlib
import json

import pytest
import uvloop
from picows import WSListener, WSMsgType, ws_connect, ws_create_server

from engine_harness import Market
from tickpath.types import EventType, OrderState, Reason, TradingState
from tickpath.venues.listener import FeedListener, OrderGateway

CONNECTION = 255


class VenueSide(WSListener):
    """Keeps what it was sent and answers what the test wants."""

    def __init__(self):
        self.requests = []
        self.transport = None

    def on_ws_connected(self, transport):
        self.transport = transport

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.TEXT:
            self.requests.append(json.loads(frame.get_payload_as_utf8_text()))

    def say(self, tree):
        self.transport.send(WSMsgType.TEXT, json.dumps(tree, separators=(",", ":")).encode())


@contextlib.asynccontextmanager
async def connected(market, gateway):
    """The venue's side of an order entry socket that `gateway` writes to and `market` hears."""
    venue = VenueSide()
    server = await ws_create_server(lambda request: venue, "127.0.0.1", 0)
    listener = FeedListener(market.session, 0, CONNECTION, epoch_offset_ns=0)
    transport, _ = await ws_connect(lambda: listener, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    gateway.connect(0, transport)
    try:
        yield venue
    finally:
        gateway.disconnect(0)
        transport.disconnect()
        server.close()
        await server.wait_closed()


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("expected the condition within 5 s")


def report(request, kind, status, **more):
    """An executionReport about the order of a request, as the WebSocket API wraps it."""
    p = request["params"]
    own = p.get("newClientOrderId") or p["origClientOrderId"]
    e = {"e": "executionReport", "E": 1700000000100, "s": "TESTUSDT", "c": own, "S": p.get("side", "BUY"), "o": "LIMIT", "f": "GTC",
         "q": "0.10000000", "p": "99.90000000", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "", "x": kind, "X": status,
         "r": "NONE", "i": 4711, "l": "0.00000000", "z": "0.00000000", "L": "0.00000000", "n": "0", "N": None, "T": 1700000000100,
         "t": -1, "I": 1, "w": True, "m": False, "M": False, "O": 1700000000000, "Z": "0.00000000", "Y": "0.00000000",
         "Q": "0.00000000", **more}
    return {"subscriptionId": 0, "event": e}


def live_market(**options):
    market = Market(live=True, **options)
    return market, OrderGateway(market.session)


def test_order_and_cancel_leave_as_encoded_and_reports_move_the_order():
    async def scenario():
        market, gateway = live_market()
        async with connected(market, gateway) as venue:
            ordinal = market.submit(qty_lots=100, price_ticks=9990)
            await until(lambda: venue.requests)
            placed = venue.requests[0]
            assert placed["method"] == "order.place"
            assert {k: placed["params"][k] for k in ("symbol", "side", "type", "timeInForce", "price", "quantity", "newOrderRespType")} == {
                "symbol": "TESTUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "99.90", "quantity": "0.100",
                "newOrderRespType": "ACK"}
            venue.say({"id": placed["id"], "status": 200, "result": {"orderId": 4711}, "rateLimits": []})
            venue.say(report(placed, "NEW", "NEW"))
            venue.say(report(placed, "TRADE", "PARTIALLY_FILLED", l="0.04000000", z="0.04000000", L="99.90000000", t=9, n="0.00010000",
                             N="USDT", m=True))
            await until(lambda: market.strategy.fills)
            assert market.states(ordinal) == [OrderState.ORDER_NEW, OrderState.ORDER_PARTIALLY_FILLED]
            assert market.strategy.fills == [(ordinal, "buy", 9990, 40, 10_000, True)]
            market.cancel(ordinal)
            await until(lambda: len(venue.requests) == 2)
            cancel = venue.requests[1]
            assert (cancel["method"], cancel["params"]["origClientOrderId"]) == ("order.cancel", placed["params"]["newClientOrderId"])
            venue.say(report(cancel, "CANCELED", "CANCELED", z="0.04000000", c="web_1", C=placed["params"]["newClientOrderId"]))
            await until(lambda: not market.engine.open_orders)
            assert market.states(ordinal)[-1] == OrderState.ORDER_CANCELED
            assert gateway.counters == {"sent": 2, "unsent": 0, "dropped": 0}
    uvloop.run(scenario())


def test_refused_request_ends_the_order_and_an_unknown_outcome_does_not():
    async def scenario():
        market, gateway = live_market()
        async with connected(market, gateway) as venue:
            first, second = market.submit(), market.submit()
            await until(lambda: len(venue.requests) == 2)
            venue.say({"id": venue.requests[0]["id"], "status": 400, "error": {"code": -2010, "msg": "no money"}, "rateLimits": []})
            venue.say({"id": venue.requests[1]["id"], "status": 503, "error": {"code": -1007, "msg": "timeout"}, "rateLimits": []})
            await until(lambda: market.states(first))
            assert market.updates(first) == [(OrderState.ORDER_REJECTED, Reason.REASON_VENUE_REJECTED)]
            assert market.states(second) == [] and market.engine.open_orders == 1
            assert int(market.records(EventType.EV_EXEC_REPORT)[0]["venue_code"]) == -2010
    uvloop.run(scenario())


def test_order_without_a_socket_comes_back_as_never_sent():
    market, gateway = live_market()
    ordinal = market.submit()
    assert market.states(ordinal) == []
    market.turn()
    assert market.updates(ordinal) == [(OrderState.ORDER_REJECTED, Reason.REASON_ORDER_ENTRY_DOWN)]
    assert gateway.counters == {"sent": 0, "unsent": 1, "dropped": 0}
    assert market.engine.open_orders == 0


def test_request_to_a_socket_that_has_closed_is_not_lost_silently():
    async def scenario():
        market, gateway = live_market()
        async with connected(market, gateway) as venue:
            venue.transport.disconnect(False)
            await asyncio.sleep(0.1)
            gateway.disconnect(0)                  # what the session does when its socket closes
            ordinal = market.submit()
            market.turn()
            assert market.states(ordinal) == [OrderState.ORDER_REJECTED]
    uvloop.run(scenario())


def test_order_entry_that_is_down_restricts_trading_until_it_is_back():
    market, _ = live_market()
    market.session.order_entry(False)
    assert market.totals()["trading_state"] == TradingState.TRADING_CANCEL_ONLY
    assert market.refusal(market.submit()) == Reason.REASON_STATE_FORBIDS
    market.session.order_entry(True)
    assert market.refusal(market.submit()) is None


def test_order_entry_lost_with_orders_open_stays_restricted():
    market, _ = live_market()
    market.session.order_entry(False, latched=True)
    market.session.order_entry(True)
    assert market.refusal(market.submit()) == Reason.REASON_STATE_FORBIDS


def test_durability_of_disk_holds_orders_in_front_of_the_gateway():
    market, gateway = live_market(session_options={"hold_ns": 10 ** 9})
    market.submit()
    assert gateway.counters["sent"] + gateway.counters["unsent"] == 0 and market.session.held_orders == 1


def test_session_with_a_simulated_venue_has_no_other_gateway():
    with pytest.raises(ValueError, match="without a simulated venue"):
        OrderGateway(Market().session)
