"""A client that follows user data alone knows what REST says, through fills, amendments, triggers, funding and liquidations."""
import random
from decimal import Decimal

import pytest
from usdm_desk import conserved, make_desks, make_venue

from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.own_market import OwnMarket

STEPS, MID, BALANCE = 600, 60_000, Decimal(4000)


class Follower:
    """What the events have said of an account's orders, positions and wallet."""

    def __init__(self, desk):
        self.desk = desk
        self.orders, self.positions, self.algos = {}, {}, {}
        self.wallet = self.traded = Decimal(0)
        self.profit = Decimal(0)
        self.kinds = set()

    def read(self):
        for message in self.desk.events.take():
            kind = message["e"]
            self.kinds.add(kind)
            if kind == "ORDER_TRADE_UPDATE":
                o = message["o"]
                self.profit += Decimal(o["rp"]) - Decimal(o.get("n", "0"))
                if o["x"] == "TRADE":
                    self.traded += Decimal(o["l"])
                if o["X"] in ("NEW", "PARTIALLY_FILLED"):
                    self.orders[o["i"]] = (o["p"], o["q"], o["z"], o["X"], o["o"])
                else:
                    self.orders.pop(o["i"], None)
            elif kind == "ALGO_UPDATE":
                o = message["o"]
                if o["X"] == "NEW":
                    self.algos[o["aid"]] = o["tp"]
                elif o["X"] != "TRIGGERING":
                    self.algos.pop(o["aid"], None)
            elif kind == "ACCOUNT_UPDATE":
                for row in message["a"]["B"]:
                    self.wallet = Decimal(row["wb"])
                for row in message["a"]["P"]:
                    self.positions[row["s"], row["ps"]] = (Decimal(row["pa"]), Decimal(row["ep"]))
                if message["a"]["m"] != "ORDER":
                    self.profit += sum(Decimal(row["bc"]) for row in message["a"]["B"])

    def check(self):
        desk = self.desk
        self.read()
        rows = desk.call("GET", "/fapi/v1/openOrders")
        assert self.orders == {r["orderId"]: (r["price"], r["origQty"], r["executedQty"], r["status"], r["type"]) for r in rows}
        assert set(self.algos) == {r["algoId"] for r in desk.call("GET", "/fapi/v1/openAlgoOrders")}
        for row in desk.call("GET", "/fapi/v2/positionRisk"):
            amount, entry = self.positions.get((row["symbol"], row["positionSide"]), (Decimal(0), Decimal(0)))
            assert amount == Decimal(row["positionAmt"]), row
            assert not amount or entry == Decimal(row["entryPrice"]), row
        if self.wallet:
            assert self.wallet == Decimal(desk.wallet()["balance"])


@pytest.fixture
def venue():
    venue = make_venue(str(BALANCE))
    venue.market = OwnMarket(venue)
    venue.event_listeners.append(venue.market.on_events)
    return venue


def act(draw, desk, price):
    """One random action of a desk around a price."""
    side = draw.choice(("BUY", "SELL"))
    at = str(price + draw.randint(-400, 400))
    qty = str(draw.choice((0.01, 0.05, 0.2, 0.5)))
    kind = draw.random()
    if kind < 0.45:
        return desk.order(side, qty, at, timeInForce=draw.choice(("GTC", "GTC", "GTC", "IOC", "GTX")))
    if kind < 0.6:
        return desk.order(side, qty)
    if kind < 0.7:
        stop = price + (300 if side == "BUY" else -300)
        return desk.order(side, qty, type="STOP_MARKET", stopPrice=str(stop))
    if kind < 0.8:
        return desk.call("POST", "/fapi/v1/algoOrder", algoType="CONDITIONAL", symbol="BTCUSDT", side=side, quantity=qty,
                         type="STOP_MARKET", triggerPrice=str(price + (200 if side == "BUY" else -200)))
    orders = desk.call("GET", "/fapi/v1/openOrders")
    if not orders:
        return None
    order = draw.choice(orders)
    if kind < 0.9 or order["type"] != "LIMIT":
        return desk.call("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(order["orderId"]))
    return desk.call("PUT", "/fapi/v1/order", symbol="BTCUSDT", orderId=str(order["orderId"]), side=order["side"], quantity=qty, price=at)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_follows_the_events_knows_what_rest_says(venue, seed):
    draw, desks = random.Random(seed), make_desks(venue)
    for name in ("desk", "other"):
        desks[name].call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="100")
    desks["other"].call("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    followers = {name: Follower(desk) for name, desk in desks.items()}
    money, price, done = conserved(venue), MID, 0
    for step in range(STEPS):
        name = draw.choice(sorted(desks))
        try:
            act(draw, desks[name], price)
            done += 1
        except VenueError as e:
            # What a refused request has changed is nothing.
            assert e.code in (-2019, -2021, -2022, -2027, -4016, -4024, -4131, -5022, -5027, -2011, -2013, -4164, -2023, -2025), e
        if step % 10 == 9:
            price += draw.randint(-500, 500)
            venue.marks.pin("BTCUSDT", str(price))
            venue.pass_time(0.3)
        if step % 200 == 199:
            venue.marks.fund(venue.marks.of(venue.contracts["BTCUSDT"]), venue.now_ns(), draw.choice((-20_000, 10_000, 50_000)))
        if step % 20 == 19:
            for follower in followers.values():
                follower.check()
    assert done > STEPS // 2 and venue.orders.liquidations > 5
    kinds = set().union(*(f.kinds for f in followers.values()))
    assert {"ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE", "ALGO_UPDATE"} <= kinds
    for name, follower in followers.items():
        # Fees, realised profit, funding and cover are all that can have changed a wallet.
        assert BALANCE + follower.profit == Decimal(desks[name].wallet()["balance"]), name
    numbers = (0, 1, 2, *venue.accounts.by_number)
    legs = [p for n in numbers for p in venue.exchange.positions(n, 0)]
    assert sum(p.qty_lots for p in legs) == 0
    assert abs(conserved(venue) + sum(p.unrealised_units for p in legs) - money) <= len(legs)
