"""Streams that are sent at a pace, by a clock that tests move: hours pass at once, and nothing depends on the machine."""
import argparse
import json
from datetime import UTC, datetime

import pytest

from tickpath.sim.exchange import SimOrderType, SimTif
from tickpath.types import Side
from tickpath_sim.protocols.binance_own import own_protocol
from tickpath_sim.server import Options, SimServer, Timings
from tickpath_sim.trading import flow
from tickpath_sim.trading.spot import SpotVenue, spot_rates
from tickpath_sim.trading.symbols import default_symbols
from tickpath_sim.trading.usdm import UsdmVenue, usdm_rates, usdm_specs

# Noon of a day at the end of a month.
NOON_MS = int(datetime(2026, 2, 28, 12, tzinfo=UTC).timestamp()) * 1000
BUY, SELL = int(Side.SIDE_BUY), int(Side.SIDE_SELL)
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


class Heard:
    """A connection that keeps what it is sent. The server and the session are real."""
    closing, number, messages, sent_bytes = False, 1, 0, 0

    def __init__(self, server, names):
        self.server, self.found = server, []
        self.session = server.protocol.session(self, "/stream", {"streams": "/".join(names)})
        self.session.on_open()

    def listen(self, key):
        self.server.listen(key, self.session)

    def forget(self, key):
        self.server.forget(key, self.session)

    def write_message(self, data):
        # The frame's head is 2 or 4 bytes, by the length.
        self.found.append(json.loads(data[4 if data[1] == 126 else 2:]))

    def take(self, stream=None):
        """What came since the last call, of one stream where that is given."""
        found, self.found = self.found, []
        return [m["data"] for m in found if stream in (None, m["stream"])]


class Clocked:
    """A venue whose clock stands until it is moved, with two rich accounts."""

    def __init__(self, kind):
        made = (SpotVenue(default_symbols(), [], spot_rates(), publish=True) if kind == "spot"
                else UsdmVenue(usdm_specs(), [], usdm_rates(0, 0, 0), publish=True))
        self.venue, self.now_ms = made, NOON_MS
        made.now_ns = lambda: self.now_ms * 10**6
        self.server = SimServer(own_protocol(kind, made.by_instrument), [], 0, Options(), Timings(), made)
        flow.attach(self.server, argparse.Namespace(flow=None, seed=None))
        self.market, self.exchange = made.market, made.exchange
        balances = {"USDT": "100000000", "BTC": "1000"} if kind == "spot" else {"USDT": "100000000"}
        self.accounts = [made.add_account(name, balances, "0", "0").number for name in ("maker", "taker")]
        if kind == "usdm":
            made.tick(made.now_ns())

    def hear(self, *names):
        return Heard(self.server, names)

    def to(self, now_ms, step_ms=20):
        """Let time pass, and do what is due at each step."""
        while self.now_ms < now_ms:
            self.now_ms = min(now_ms, self.now_ms + step_ms)
            self.venue.tick(self.now_ms * 10**6)

    def trade(self, price_ticks, lots, *, buyer_takes=True):
        """A trade of the two accounts."""
        sides = (SELL, BUY) if buyer_takes else (BUY, SELL)
        for account, side in zip(self.accounts, sides, strict=True):
            order_id, reason = self.exchange.submit(account, 0, side, SimOrderType.LIMIT, SimTif.GTC, price_ticks, lots,
                                                    now_ns=self.now_ms * 10**6)
            assert reason == 0
            self.venue.settle()
        return order_id


@pytest.fixture
def spot():
    return Clocked("spot")


@pytest.fixture
def usdm():
    return Clocked("usdm")


def brief(k):
    return (k["t"] - NOON_MS) // MINUTE_MS, k["x"], k["n"], k["o"], k["c"]


def test_a_candle_is_closed_once_and_quiet_minutes_are_flat(spot):
    client = spot.hear("btcusdt@kline_1m")
    spot.to(NOON_MS + 30_000)
    assert client.take() == []
    spot.trade(6_000_000, 100_000)
    spot.trade(6_000_100, 100_000)
    spot.to(NOON_MS + 3 * MINUTE_MS + 5000)
    low, high = "60000.00000000", "60001.00000000"
    assert [brief(data["k"]) for data in client.take()] == [
        (0, False, 2, low, high), (0, True, 2, low, high), (1, False, 0, high, high), (1, True, 0, high, high),
        (2, False, 0, high, high), (2, True, 0, high, high), (3, False, 0, high, high)]


def test_a_candle_is_closed_at_its_end_not_at_the_next_beat(spot):
    client = spot.hear("btcusdt@kline_1h")
    spot.trade(6_000_000, 100_000)
    spot.to(NOON_MS + HOUR_MS - 40, 10_000)
    client.take()
    spot.to(NOON_MS + HOUR_MS)
    closed = client.take()
    assert [(data["E"], data["k"]["x"], data["k"]["T"]) for data in closed] == [
        (NOON_MS + HOUR_MS, True, NOON_MS + HOUR_MS - 1)] + [
        (NOON_MS + HOUR_MS, False, NOON_MS + 2 * HOUR_MS - 1)] * (len(closed) - 1)


def test_minutes_that_the_clock_jumps_over_are_closed_all_the_same(spot):
    client = spot.hear("btcusdt@kline_1m")
    spot.trade(6_000_000, 100_000)
    spot.to(NOON_MS + 4000)
    spot.to(NOON_MS + 10 * MINUTE_MS, 10 * MINUTE_MS)
    assert [(data["k"]["t"] - NOON_MS) // MINUTE_MS for data in client.take() if data["k"]["x"]] == list(range(10))


def test_months_and_foreign_days_end_when_they_end(spot):
    client = spot.hear("btcusdt@kline_1M", "btcusdt@kline_1d@+08:00")
    spot.trade(6_000_000, 100_000)
    spot.to(NOON_MS + 13 * HOUR_MS, MINUTE_MS)
    closed = {data["k"]["i"]: data["k"]["T"] for data in client.take() if data["k"]["x"]}
    # Midnight of UTC+8 is at 16:00 of UTC.
    assert closed == {"1M": NOON_MS + 12 * HOUR_MS - 1, "1d": NOON_MS + 4 * HOUR_MS - 1}


def test_tickers_come_each_second_and_only_when_there_is_something_new(spot):
    client = spot.hear("btcusdt@ticker", "btcusdt@miniTicker", "!ticker@arr", "btcusdt@avgPrice")
    spot.to(NOON_MS + 3000)
    assert client.take() == []
    spot.trade(6_000_000, 100_000)
    spot.to(NOON_MS + 3980)
    assert client.take() == []
    spot.to(NOON_MS + 4000)
    first = client.take()
    assert sorted(data["e"] if isinstance(data, dict) else data[0]["e"] for data in first) == [
        "24hrMiniTicker", "24hrTicker", "24hrTicker", "avgPrice"]
    spot.to(NOON_MS + 9000)
    assert client.take() == []


def test_the_average_forgets_what_is_older_than_five_minutes(spot):
    client = spot.hear("btcusdt@avgPrice")
    spot.trade(6_000_000, 100_000)
    spot.to(NOON_MS + 2 * MINUTE_MS, 1000)
    spot.trade(6_000_200, 300_000)
    spot.to(NOON_MS + 9 * MINUTE_MS, 1000)
    assert [data["w"] for data in client.take()] == ["60000.00000000", "60001.50000000", "60002.00000000"]


def test_a_day_later_the_window_holds_only_the_new_trades(spot):
    spot.trade(6_000_000, 100_000)
    spot.to(NOON_MS + 25 * HOUR_MS, MINUTE_MS)
    client = spot.hear("btcusdt@ticker", "btcusdt@ticker_1h")
    spot.trade(6_100_000, 200_000)
    spot.to(spot.now_ms + 1000)
    day, hour = sorted(client.take(), key=lambda data: data["e"], reverse=True)
    assert (day["o"], day["x"], day["n"], day["v"]) == ("61000.00000000", "60000.00000000", 1, "2.00000000")
    assert (hour["e"], day["F"], hour["F"]) == ("24hrTicker", 2, 2) or (hour["e"], hour["F"]) == ("1hTicker", 2)


def test_who_comes_in_the_middle_of_a_slow_window_gets_a_change_that_begins_there(spot):
    early = spot.hear("btcusdt@depth")
    spot.to(NOON_MS + 1020)
    spot.exchange.submit(spot.accounts[0], 0, BUY, SimOrderType.LIMIT, SimTif.GTC, 5_000_000, 100_000, now_ns=spot.now_ms * 10**6)
    spot.venue.settle()
    spot.to(NOON_MS + 1500)
    late = spot.hear("btcusdt@depth")
    snapshot_id, bids, _ = spot.market.depth("BTCUSDT", 5)
    assert bids == [["50000.00000000", "1.00000000"]]
    spot.exchange.submit(spot.accounts[0], 0, BUY, SimOrderType.LIMIT, SimTif.GTC, 5_000_100, 100_000, now_ns=spot.now_ms * 10**6)
    spot.venue.settle()
    spot.to(NOON_MS + 2000)
    (first,), (second,) = early.take(), late.take()
    # One stream for both: its window began when the first of them came, and holds both changes.
    assert first == second
    assert (first["U"], first["u"]) == (2, snapshot_id + 1)
    assert first["b"] == [["50001.00000000", "1.00000000"], ["50000.00000000", "1.00000000"]]


def test_a_stream_that_nobody_heard_begins_where_the_book_stands(spot):
    for price_ticks in (5_000_000, 5_000_100):
        spot.exchange.submit(spot.accounts[0], 0, BUY, SimOrderType.LIMIT, SimTif.GTC, price_ticks, 100_000,
                             now_ns=spot.now_ms * 10**6)
        spot.venue.settle()
    spot.to(NOON_MS + 5000)
    client = spot.hear("btcusdt@depth", "btcusdt@depth@100ms")
    spot.to(NOON_MS + 5020)
    spot.exchange.submit(spot.accounts[0], 0, BUY, SimOrderType.LIMIT, SimTif.GTC, 5_000_200, 100_000, now_ns=spot.now_ms * 10**6)
    spot.venue.settle()
    spot.to(NOON_MS + 6000)
    assert [(data["U"], data["u"]) for data in client.take()] == [(4, 4), (4, 4)]


def test_mark_prices_keep_their_two_paces(usdm):
    usdm.trade(600_000, 100)
    usdm.to(NOON_MS + 3000)
    names = ("btcusdt@markPrice", "btcusdt@markPrice@1s", "!markPrice@arr", "!markPrice@arr@1s")
    client = usdm.hear(*names)
    usdm.to(NOON_MS + 9000)
    assert [sum(m["stream"] == name for m in client.found) for name in names] == [2, 6, 2, 6]
    assert {m["data"]["p"] for m in client.found if m["stream"] == names[0]} == {"60000.00000000"}


def test_a_liquidation_is_told_once_to_who_listens_and_not_to_who_comes_later(usdm):
    clients = [usdm.hear("btcusdt@forceOrder"), usdm.hear("!forceOrder@arr")]
    usdm.to(NOON_MS + 1000)
    usdm.market.publish_liquidation("BTCUSDT", '{"s":"BTCUSDT"}', usdm.now_ms)
    usdm.to(NOON_MS + 5000)
    later = usdm.hear("btcusdt@forceOrder")
    usdm.to(NOON_MS + 9000)
    expected = {"e": "forceOrder", "E": NOON_MS + 1000, "o": {"s": "BTCUSDT"}}
    assert [client.take() for client in (*clients, later)] == [[expected], [expected], []]


def test_futures_aggregates_wait_for_the_end_of_their_tenth_of_a_second(usdm):
    client = usdm.hear("btcusdt@aggTrade", "btcusdt@trade")
    usdm.to(NOON_MS + 20)
    usdm.trade(600_000, 100)
    usdm.to(NOON_MS + 60)
    usdm.trade(600_000, 200)
    usdm.to(NOON_MS + 80)
    assert [data["e"] for data in client.take()] == ["trade", "trade"]
    usdm.to(NOON_MS + 100)
    (aggregate,) = client.take()
    assert (aggregate["e"], aggregate["q"], aggregate["f"], aggregate["l"], aggregate["T"]) == (
        "aggTrade", "0.300", 1, 2, NOON_MS + 20)


def test_what_was_put_aside_while_nobody_listened_is_there_when_somebody_asks(spot):
    for n in range(5):
        spot.trade(6_000_000 + n, 100_000)
    assert spot.market.depth("BTCUSDT", 5)[1:] == ([], [])
    assert [t.price_e8 for t in spot.market.tape("BTCUSDT").trades] == [(6_000_000 + n) * 10**6 for n in range(5)]
    # Five orders came to rest and were taken: ten changes of a level.
    assert spot.market.depth("BTCUSDT", 5)[0] == 11
    client = spot.hear("btcusdt@trade", "btcusdt@bookTicker")
    spot.to(NOON_MS + 1000)
    assert client.take() == []
