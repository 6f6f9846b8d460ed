"""Public answers against recorded ones of the venue: the same fields, of the same types, with as many decimals."""
import gzip
import json

import pytest

from tickpath_sim.trading.accounts import DEMO
from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.flow import flow_of, load_flow
from tickpath_sim.trading.own_market import OwnMarket
from tickpath_sim.trading.public_answers import ANSWERS, weight_of
from tickpath_sim.trading.spot import SpotVenue, spot_rates
from tickpath_sim.trading.symbols import default_symbols
from tickpath_sim.trading.usdm import UsdmVenue, usdm_rates, usdm_specs

KINDS = ("spot", "usdm")
START_NS = 1_772_229_500 * 10**9
# Fields that the venue has added since the recording was made, or that have gone.
NEWER = {("spot", "avgPrice"): {"closeTime"}, ("usdm", "ticker/bookTicker"): {"lastUpdateId"}}
BOOK_ROWS = {"bids", "asks"}


class Market:
    """A venue with two minutes of generated flow in its tape, without a server."""

    def __init__(self, kind):
        self.venue = (SpotVenue(default_symbols(), DEMO, spot_rates(), publish=True) if kind == "spot"
                      else UsdmVenue(usdm_specs(), DEMO, usdm_rates(0, 0, 0), publish=True))
        self.view = self.venue.market = OwnMarket(self.venue)
        self.venue.event_listeners.append(self.view.on_events)
        flow = flow_of(self.venue, load_flow("hawkes", seed=11))
        flow.run(120 * 10**9, start_ns=START_NS, settle=self.venue.settle)
        assert flow.refused == {}
        self.now_ms = START_NS // 10**6 + 120_000

    def ask(self, name, **params):
        return ANSWERS[name](self.view, params, self.now_ms)


@pytest.fixture(scope="module")
def markets():
    return {kind: Market(kind) for kind in KINDS}


@pytest.fixture(scope="module")
def recorded(shared_data):
    """recorded(kind, name): a recorded answer, or its first element when it is a list of objects or rows."""
    routes = json.loads(gzip.decompress(shared_data("rest/binance/gct_http_mock.json.gz").read_bytes()))["routes"]

    def get(kind, name):
        for row in routes["/api/v3/" + name if kind == "spot" else "/fapi/v1/" + name]["GET"]:
            data = row["data"]
            if isinstance(data, dict) and "code" in data or data == []:
                continue
            return data[0] if isinstance(data, list) else data
        raise AssertionError(f"expected a recorded answer of {name}")
    return get


def decimals(text):
    return len(text.partition(".")[2])


SHAPES = [("spot", name) for name in ("depth", "trades", "historicalTrades", "aggTrades", "klines", "avgPrice", "ticker/24hr",
                                      "ticker/price", "ticker/bookTicker")] + [
    ("usdm", name) for name in ("depth", "trades", "aggTrades", "klines", "ticker/24hr", "ticker/price", "ticker/bookTicker")]


@pytest.mark.parametrize(("kind", "name"), SHAPES)
def test_an_answer_has_the_fields_types_and_decimals_of_a_recorded_one(markets, recorded, kind, name):
    params = {"interval": "5m"} if name == "klines" else {}
    mine, theirs = markets[kind].ask(name, symbol="BTCUSDT", **params), recorded(kind, name)
    mine = mine[-1] if isinstance(mine, list) else mine
    if isinstance(theirs, list):
        assert [type(v) for v in mine] == [type(v) for v in theirs]
        return
    assert set(mine) - NEWER.get((kind, name), set()) == set(theirs)
    for field, value in theirs.items():
        assert type(mine[field]) is type(value), field
        if field in BOOK_ROWS:
            assert [decimals(text) for text in mine[field][0]] == [decimals(text) for text in value[0]]
        elif isinstance(value, str) and field != "symbol":
            # Prices and quantities of USD-M have as many decimals as the instrument; these recordings are of BTCUSDT or like it.
            assert decimals(mine[field]) == decimals(value), field


@pytest.mark.parametrize("kind", KINDS)
def test_amounts_that_belong_together_agree(markets, kind):
    ask = markets[kind].ask
    for t in ask("trades", symbol="BTCUSDT", limit="100"):
        cut = 8 if kind == "spot" else 2
        exact = int(t["price"].replace(".", "")) * int(t["qty"].replace(".", ""))
        places = decimals(t["price"]) + decimals(t["qty"])
        assert int(t["quoteQty"].replace(".", "")) == exact // 10 ** (places - cut)
    day, month = ask("ticker/24hr", symbol="BTCUSDT"), ask("klines", symbol="BTCUSDT", interval="1M")[-1]
    assert (day["openPrice"], day["highPrice"], day["lowPrice"], day["lastPrice"], day["volume"], day["count"]) == (
        *month[1:6], month[8])
    assert day["count"] == day["lastId"] - day["firstId"] + 1
    assert sum(row[8] for row in ask("klines", symbol="BTCUSDT", interval="1m")) == day["count"]


def test_windows_and_days_of_spot_are_parts_of_what_was_traded(markets):
    ask = markets["spot"].ask
    whole = ask("ticker", symbol="BTCUSDT", windowSize="1h")
    part = ask("ticker", symbol="BTCUSDT", windowSize="1m")
    assert 0 < part["count"] < whole["count"]
    assert whole["openTime"] % 60_000 == 0
    assert part["lastId"] == whole["lastId"] == ask("ticker/tradingDay", symbol="BTCUSDT")["lastId"]
    assert ask("ticker", symbol="BTCUSDT", windowSize="7d")["count"] == whole["count"]
    mini = ask("ticker/24hr", symbol="BTCUSDT", type="MINI")
    assert list(mini) == ["symbol", "openPrice", "highPrice", "lowPrice", "lastPrice", "volume", "quoteVolume", "openTime",
                          "closeTime", "firstId", "lastId", "count"]


def test_a_symbol_alone_is_an_object_and_several_are_a_list(markets):
    ask = markets["spot"].ask
    assert ask("ticker/price", symbol="ETHUSDT")["symbol"] == "ETHUSDT"
    assert [row["symbol"] for row in ask("ticker/price", symbols='["ETHUSDT","BTCUSDT"]')] == ["ETHUSDT", "BTCUSDT"]
    assert len(ask("ticker/bookTicker")) == len(markets["spot"].venue.symbols)


def test_klines_by_time_begin_and_end_where_they_were_asked_to(markets):
    market = markets["spot"]
    seconds = market.ask("klines", symbol="BTCUSDT", interval="1s", limit="1000")
    start, end = seconds[10][0], seconds[19][0]
    rows = market.ask("klines", symbol="BTCUSDT", interval="1s", startTime=str(start), endTime=str(end))
    assert rows == seconds[10:20]
    assert market.ask("klines", symbol="BTCUSDT", interval="1s", startTime=str(start), limit="3") == seconds[10:13]
    assert market.ask("uiKlines", symbol="BTCUSDT", interval="1s", endTime=str(end), limit="2") == seconds[18:20]


def test_trades_by_id_and_aggregates_by_time_begin_where_they_were_asked_to(markets):
    market = markets["spot"]
    trades = market.ask("trades", symbol="BTCUSDT", limit="1000")
    assert market.ask("historicalTrades", symbol="BTCUSDT", fromId=str(trades[5]["id"]), limit="3") == trades[5:8]
    rows = market.ask("aggTrades", symbol="BTCUSDT", limit="1000")
    later = [row for row in rows if row["T"] >= rows[7]["T"]]
    assert market.ask("aggTrades", symbol="BTCUSDT", startTime=str(rows[7]["T"]), limit="4") == later[:4]
    assert market.ask("aggTrades", symbol="BTCUSDT", fromId=str(rows[7]["a"]), limit="4") == rows[7:11]


@pytest.mark.parametrize(("name", "params", "code"), [
    ("depth", {}, -1102), ("depth", {"symbol": ""}, -1102), ("depth", {"symbol": "NOPE"}, -1121),
    ("depth", {"symbol": "BTCUSDT", "limit": "0"}, -1130), ("depth", {"symbol": "BTCUSDT", "limit": "1e3"}, -1100),
    ("trades", {"symbol": "BTCUSDT", "limit": "-1"}, -1100), ("klines", {"symbol": "BTCUSDT"}, -1102),
    ("klines", {"symbol": "BTCUSDT", "interval": "2m"}, -1120),
    ("klines", {"symbol": "BTCUSDT", "interval": "1m", "startTime": "9", "endTime": "8"}, -1127),
    ("klines", {"symbol": "BTCUSDT", "interval": "1m", "timeZone": "15"}, -1130),
    ("klines", {"symbol": "BTCUSDT", "interval": "1m", "timeZone": "x"}, -1130),
    ("aggTrades", {"symbol": "BTCUSDT", "fromId": "1", "startTime": "1"}, -1128),
    ("ticker/24hr", {"symbol": "BTCUSDT", "symbols": '["BTCUSDT"]'}, -1128), ("ticker/24hr", {"symbols": "BTCUSDT"}, -1100),
    ("ticker/24hr", {"symbols": '["BTCUSDT","NOPE"]'}, -1121), ("ticker/24hr", {"symbols": "[]"}, -1100),
    ("ticker/24hr", {"symbols": json.dumps(["BTCUSDT"] * 101)}, -1101), ("ticker/24hr", {"symbols": '[{"a":1}]'}, -1100),
    ("ticker/24hr", {"symbol": "BTCUSDT", "type": "TINY"}, -1130), ("ticker", {}, -1128), ("ticker/tradingDay", {}, -1128),
    ("ticker", {"symbol": "BTCUSDT", "windowSize": "60m"}, -1130), ("ticker", {"symbol": "BTCUSDT", "windowSize": "0d"}, -1130)])
def test_what_a_client_may_not_ask_is_refused_with_the_venues_code(markets, name, params, code):
    with pytest.raises(VenueError) as caught:
        markets["spot"].ask(name, **params)
    assert caught.value.code == code


@pytest.mark.parametrize(("kind", "name", "params", "weight"), [
    ("spot", "depth", {}, 5), ("spot", "depth", {"limit": "101"}, 25), ("spot", "depth", {"limit": "5000"}, 250),
    ("spot", "trades", {}, 25), ("spot", "aggTrades", {}, 4), ("spot", "klines", {}, 2), ("spot", "ticker/24hr", {}, 80),
    ("spot", "ticker/24hr", {"symbol": "BTCUSDT"}, 2), ("spot", "ticker/24hr", {"symbols": json.dumps(["A"] * 21)}, 40),
    ("spot", "ticker", {"symbols": '["A","B"]'}, 8), ("spot", "ticker/price", {}, 4), ("spot", "ticker/price", {"symbol": "A"}, 2),
    ("usdm", "depth", {}, 10), ("usdm", "depth", {"limit": "50"}, 2), ("usdm", "klines", {"limit": "1500"}, 10),
    ("usdm", "ticker/24hr", {}, 40), ("usdm", "aggTrades", {}, 20), ("usdm", "depth", {"limit": "junk"}, 10)])
def test_weights_are_the_venues(kind, name, params, weight):
    assert weight_of(ANSWERS[name], params, kind) == weight
