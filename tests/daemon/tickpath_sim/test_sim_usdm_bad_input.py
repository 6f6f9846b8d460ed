"""Anything a client can send to the calls of USD-M futures: an answer or the venue's error, never anything else; money is conserved."""
import json
import random

from usdm_desk import conserved, make_desks, make_market, make_venue

from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.own_market import OwnMarket

VALUES = {
    "symbol": ["BTCUSDT", "BTCUSDT", "BTCUSDT", "ETHUSDT", "NOSUCH", "btcusdt", "💥"], "pair": ["BTCUSDT", "X"],
    "side": ["BUY", "SELL", "HOLD"], "positionSide": ["BOTH", "LONG", "SHORT", "x"],
    "type": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET", "OCO", "1", "2"],
    "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD", "RPI", "zzz"], "quantity": ["0.01", "1", "5", "0.001", "1e9", "-1", "nan", "99999999999999999999"],
    "price": ["59000", "60000", "60010", "61000.1", "0", "-1", "1e5", "0.1", "99999999999999999999", "59000.00000000001"],
    "stopPrice": ["59500", "60500", "0", "x"], "triggerPrice": ["59500", "60500", "inf"], "callbackRate": ["0.1", "1", "10", "0", "x"],
    "activationPrice": ["60500", "0", "x"], "reduceOnly": ["true", "false", "1"], "closePosition": ["true", "false", "x"],
    "workingType": ["MARK_PRICE", "CONTRACT_PRICE", "x"], "priceMatch": ["NONE", "OPPONENT", "QUEUE", "QUEUE_20", "x"],
    "selfTradePreventionMode": ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"],
    "goodTillDate": ["1790001000000", "1", "x", "9" * 30], "newOrderRespType": ["ACK", "RESULT", "FULL", "x"],
    "newClientOrderId": ["a", "b", "c" * 40, "ü"], "origClientOrderId": ["a", "b", "none"], "clientAlgoId": ["a", "b"],
    "orderId": ["1", "2", "3", "10", "0", "-1", "--5", "1-", "x", "9" * 25], "algoId": ["3000000000000001", "1", "x"], "algoType": ["CONDITIONAL", "VP"],
    "leverage": ["1", "20", "125", "126", "0", "x"], "marginType": ["ISOLATED", "CROSSED", "x"], "amount": ["1", "100000000", "9" * 30, "0", "-1", "x"],
    "dualSidePosition": ["true", "false", "x"], "multiAssetsMargin": ["true", "false", "x"], "feeBurn": ["true", "x"],
    "countdownTime": ["0", "1000", "-1", "9" * 18, "x"], "startTime": ["0", "1790000000000", "x"], "endTime": ["1790000000001", "0"],
    "limit": ["1", "5", "1000", "0", "-1", "x", "99999999"], "fromId": ["0", "1", "x"], "page": ["1", "0"], "interval": ["1m", "1h", "7m"],
    "contractType": ["PERPETUAL", "NEXT_QUARTER", "x"], "incomeType": ["COMMISSION", "x"], "listenKey": ["x"],
    "batchOrders": ["[]", "[{}]", "{", '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":0.01}]', '[null]', '[{"symbol":["BTCUSDT"]}]'],
    "orderIdList": ["[1,2]", "[]", "[null]", "x"], "origClientOrderIdList": ['["a","b"]', "[{}]"]}
BASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}
ORDERS = [{**BASE, "type": "LIMIT", "timeInForce": "GTC", "price": "59000"}, {**BASE, "type": "MARKET"},
          {**BASE, "type": "MARKET", "side": "SELL", "positionSide": "SHORT"}, {**BASE, "type": "MARKET", "side": "SELL"},
          {**BASE, "type": "STOP", "price": "60500", "stopPrice": "60500", "triggerPrice": "60500"},
          {**BASE, "type": "STOP_MARKET", "side": "SELL", "stopPrice": "59500", "triggerPrice": "59500"},
          {**BASE, "type": "TRAILING_STOP_MARKET", "callbackRate": "1"}]
CALLS = 4000


def test_whatever_is_sent_gets_an_answer_or_the_venue_s_error():
    venue = make_venue()
    venue.market = OwnMarket(venue)
    venue.event_listeners.append(venue.market.on_events)
    desks = make_desks(venue)
    make_market(desks["maker"])
    venue.pass_time(1)
    draw, names = random.Random(20261122), sorted(VALUES)
    routes = sorted(venue.rest_routes)
    money, answered, codes = conserved(venue), 0, set()
    for number in range(CALLS):
        desk = desks[draw.choice(("desk", "other"))]
        if draw.random() < 0.5:
            # Whole orders with one or two things wrong, so that more than the first check is met.
            verb, path = draw.choice((("POST", "/fapi/v1/order"), ("POST", "/fapi/v1/order/test"), ("POST", "/fapi/v1/algoOrder")))
            params = dict(draw.choice(ORDERS))
            for name in draw.sample([*params, *names], draw.randint(0, 2)):
                params[name] = draw.choice(VALUES[name])
        else:
            verb, path = draw.choice(routes)
            params = {name: draw.choice(VALUES[name]) for name in ("symbol", *draw.sample(names, draw.randint(0, 5)))}
        try:
            answer = desk.call(verb, path, **params)
            answered += 1
            assert answer is not None
        except VenueError as e:
            assert e.code < 0 and e.msg and e.code != -1000, (verb, path, params, e)
            codes.add(e.code)
        if number % 100 == 99:
            venue.pass_time(0.3)
    assert answered > CALLS // 4 and len(codes) > 25, (answered, sorted(codes))
    for desk in desks.values():
        size = {row["positionSide"]: row["positionAmt"] for row in desk.call("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")}
        assert json.dumps(size)
    longs = sum(p.qty_lots for n in (0, 1, 2, *venue.accounts.by_number) for p in venue.exchange.positions(n, 0))
    assert longs == 0
    assert conserved(venue) + unrealised(venue) == Near(money)


def unrealised(venue):
    """What open positions have won since they were opened, in units, at the mark price."""
    numbers = (0, 1, 2, *venue.accounts.by_number)
    return sum(p.unrealised_units for n in numbers for p in venue.exchange.positions(n))


class Near:
    """Equal but for the rounding of each position's profit to a unit."""

    def __init__(self, units):
        self.units = units

    def __eq__(self, other):
        return abs(other - self.units) <= 100

    def __repr__(self):
        return f"{self.units} +- 100 units"
