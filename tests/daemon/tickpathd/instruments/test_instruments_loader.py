"""load_instruments against a real server: fetched, kept, refreshed, and used without the network, with its age said."""
import json
import os
import time
from urllib.parse import parse_qs

import msgspec
import pytest

from tickpathd.instruments import bybit, coinbase
from tickpathd.instruments.cache import InstrumentCache
from tickpathd.instruments.facts import BodyError, InstrumentError
from tickpathd.instruments.fetch import FetchError, Throttled
from tickpathd.instruments.loader import load_instruments
from tickpathd.instruments.symbols import UnknownSymbol

SPOT = "/api/v3/exchangeInfo"


def exchange_info(*bases, tick="0.01000000", status="TRADING", odd=()):
    symbols = [{"symbol": base + "USDT", "status": status, "baseAsset": base, "quoteAsset": "USDT", "baseAssetPrecision": 8,
                "quoteAssetPrecision": 8, "filters": [{"filterType": "PRICE_FILTER", "tickSize": tick},
                                                      {"filterType": "LOT_SIZE", "stepSize": "0.00001000"}]} for base in bases]
    return json.dumps({"symbols": [*symbols, *odd]}).encode()


@pytest.fixture
def load(rest_server, tmp_path):
    """load(symbols, **options) of binance_spot at the server, kept in tmp_path, quick to give up."""
    def call(symbols=None, kind="binance_spot", **options):
        options = {"timeout_s": 2.0, "attempts": 1, **options}
        return load_instruments(kind, rest_server.url, symbols, tmp_path, **options)
    return call


def aged(tmp_path, rest_server, seconds, kind="binance_spot"):
    """Make what is kept older."""
    cache = InstrumentCache(tmp_path, kind, rest_server.url)
    kept = cache.load()
    made = msgspec.structs.replace(kept, fetched_ns=kept.fetched_ns - int(seconds * 10 ** 9))
    cache.table.write_bytes(msgspec.json.encode(made))


def test_the_first_load_asks_and_the_second_does_not(rest_server, load):
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info("BTC", "ETH"))]
    first = load(["BTC/USDT", "ETHUSDT"])
    assert (first.source, first.changes, first.warnings) == ("venue", [], [])
    assert first.facts["BTC/USDT"].tick_size == "0.01" and first.facts["ETHUSDT"].symbol == "ETH/USDT"
    second = load(["BTC/USDT"])
    assert second.source == "cache" and second.facts["BTC/USDT"] == first.facts["BTC/USDT"]
    assert 0 <= second.age_s < 60 and second.fetched_ns == first.fetched_ns
    assert rest_server.requests == [SPOT]
    assert list(load().facts) == ["BTC/USDT", "ETH/USDT"]


def test_a_refresh_tells_what_changed(rest_server, load):
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info("BTC", "ETH")),
                               rest_server.Answer(exchange_info("BTC", "NEW", tick="0.10000000", status="BREAK"))]
    load()
    second = load(max_age_s=0)
    assert second.source == "venue"
    assert [str(change) for change in second.changes] == ["BTC/USDT: tick_size 0.01 -> 0.1", "BTC/USDT: status TRADING -> HALTED",
                                                          "ETH/USDT: listed TRADING -> -", "NEW/USDT: listed - -> HALTED"]
    assert load().facts["BTC/USDT"].tick_size == "0.1"


def test_an_old_table_is_fetched_again(rest_server, load, tmp_path):
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info("BTC"))]
    load()
    aged(tmp_path, rest_server, 3601)
    assert load(max_age_s=7200).source == "cache"
    assert load(max_age_s=3600).source == "venue"
    aged(tmp_path, rest_server, -3600)                # the clock was set back: nobody knows how old it is
    assert load(max_age_s=10 ** 9).source == "venue"


@pytest.mark.parametrize("trouble", [{"status": 503}, {"drop": True}, {"body": b"<html>"}, {"body": b'{"code":-1003,"msg":"Way too many"}'},
                                     {"body": exchange_info()}, {"status": 418, "headers": {"Retry-After": "100"}}])
def test_without_an_answer_what_was_kept_is_used_and_its_age_said(rest_server, load, tmp_path, trouble):
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info("BTC")), rest_server.Answer(**trouble)]
    before = load()
    aged(tmp_path, rest_server, 3 * 86400 + 60)
    after = load(["BTC/USDT"])
    assert after.source == "cache" and after.facts["BTC/USDT"] == before.facts["BTC/USDT"] and after.age_s > 3 * 86400
    assert len(after.warnings) == 1 and after.warnings[0].endswith("; using the instruments kept 3 d ago")


def test_without_a_server_what_was_kept_is_used(rest_server, load, tmp_path):
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info("BTC"))]
    load()
    rest_server.stop()
    assert load(max_age_s=0).source == "cache"


@pytest.mark.parametrize("trouble, error", [({"status": 503}, FetchError), ({"body": b"<html>"}, BodyError), ({"drop": True}, FetchError)])
def test_without_an_answer_and_nothing_kept_it_is_an_error(rest_server, load, trouble, error):
    rest_server.paths[SPOT] = [rest_server.Answer(**trouble)]
    with pytest.raises(error):
        load()


def test_a_ban_is_kept_to_across_restarts(rest_server, load, tmp_path):
    rest_server.paths[SPOT] = [rest_server.Answer(b'{"msg":"banned"}', 418, {"Retry-After": "600"})]
    with pytest.raises(Throttled):
        load()
    for _ in range(3):
        with pytest.raises(FetchError, match="the venue wants silence for another 10 min"):
            load()
    assert len(rest_server.requests) == 1
    cache = InstrumentCache(tmp_path, "binance_spot", rest_server.url)
    cache.keep_silent(time.time_ns() - 1)
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info("BTC"))]
    assert load().source == "venue" and not cache.hold.exists()


def test_a_silence_of_years_is_a_clock_that_was_set_and_is_not_kept_to(rest_server, load, tmp_path):
    InstrumentCache(tmp_path, "binance_spot", rest_server.url).keep_silent(time.time_ns() + 10 ** 18)
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info("BTC"))]
    assert load().source == "venue"


def test_odd_instruments_are_counted_and_named_and_cost_themselves_only(rest_server, load):
    odd = [{"symbol": f"ODD{n}", "status": "TRADING"} for n in range(7)]
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info("BTC", odd=odd))]
    result = load(["BTC/USDT"])
    assert result.warnings == ["binance_spot instruments: 7 of 8 skipped: " + "; ".join(
        f"ODD{n}: baseAsset: expected text, found None" for n in range(5)) + "; and 2 more"]
    with pytest.raises(UnknownSymbol, match="ODD3.*skipped: baseAsset"):
        load(["ODD3"])


def test_a_list_that_shrank_is_used_and_said(rest_server, load):
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info(*"ABCDEFGHIJ")), rest_server.Answer(exchange_info("A"))]
    load()
    result = load(max_age_s=0)
    assert len(result.changes) == 9 and result.warnings == ["binance_spot instruments: expected about 10, as before, found 1"]


def test_requests_that_had_to_be_repeated_are_counted(rest_server, load):
    rest_server.paths[SPOT] = [rest_server.Answer(status=500), rest_server.Answer(exchange_info("BTC"))]
    assert load(attempts=2).warnings == ["binance_spot instruments: 1 request(s) had to be repeated"]


def test_an_unknown_symbol_is_told_the_nearest(rest_server, load):
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info("BTC", "ETH"))]
    with pytest.raises(UnknownSymbol, match="binance_spot symbol: expected one of BTC/USDT.*found 'BTC/USTD'"):
        load(["BTC/USTD"])


def test_a_disk_that_keeps_nothing_costs_a_warning(rest_server, tmp_path):
    (tmp_path / "file").write_text("")
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info("BTC"))]
    result = load_instruments("binance_spot", rest_server.url, None, tmp_path / "file" / "kept")
    assert result.source == "venue" and result.warnings[0].endswith("found Not a directory; the next start needs the network")


def test_damage_to_what_was_kept_is_said_and_fetched_again(rest_server, load, tmp_path):
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info("BTC"))]
    load()
    InstrumentCache(tmp_path, "binance_spot", rest_server.url).raw.write_bytes(b"junk")
    result = load()
    assert result.source == "venue" and len(result.warnings) == 1 and result.warnings[0].endswith("; it is fetched again")


def test_nothing_half_written_is_left_behind(rest_server, load, tmp_path):
    rest_server.paths[SPOT] = [rest_server.Answer(exchange_info("BTC"))]
    load()
    assert sorted(name.split(".", 1)[1] for name in os.listdir(tmp_path)) == ["lock", "raw.jsonl.zst", "table.json"]


def test_kinds_that_a_venue_does_not_list_are_refused(load):
    with pytest.raises(InstrumentError, match=r"kinds: expected some of \['spot'\] for binance_spot, found \['swap'\]"):
        load(kinds=("swap",))
    with pytest.raises(InstrumentError, match="binance_spot symbols: expected spot, found 'BTC/USDT:USDT'"):
        load(["BTC/USDT:USDT"])


def test_a_venue_behind_a_certificate_of_ones_own_needs_its_trust_anchor(rest_server_class, make_certificate, tmp_path):
    certificate = make_certificate("127.0.0.1")
    with rest_server_class(certificate) as server:
        server.paths[SPOT] = [server.Answer(exchange_info("BTC"))]
        with pytest.raises(FetchError, match="ca_file adds a trust anchor"):
            load_instruments("binance_spot", server.url, None, tmp_path)
        result = load_instruments("binance_spot", server.url, ["BTC/USDT"], tmp_path, ca_file=str(certificate[0]))
        assert result.source == "venue" and result.rest_url.startswith("https://")


# ---- each venue's requests

def bybit_item(name):
    return {"symbol": name, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": name[:-4], "quoteCoin": "USDT",
            "settleCoin": "USDT", "priceFilter": {"tickSize": "0.1"}, "lotSizeFilter": {"qtyStep": "0.001"}}


def test_bybit_pages_are_read_to_the_last_cursor(rest_server, load):
    names = [f"C{n}USDT" for n in range(25)]

    def page(query):
        asked = parse_qs(query)
        first = int(asked.get("cursor", ["0"])[0])
        listed = names[first:first + 10] if asked["category"] == ["linear"] and "status" not in asked else []
        cursor = str(first + 10) if listed and first + 10 < len(names) else ""
        return rest_server.Answer(json.dumps({"retCode": 0, "result": {
            "category": asked["category"][0], "list": [bybit_item(name) for name in listed], "nextPageCursor": cursor}}).encode())
    rest_server.paths["/v5/market/instruments-info"] = page
    result = load(kind="bybit", kinds=("swap",))
    assert [one.venue_symbol for one in result.table.facts] == names
    assert [parse_qs(r.partition("?")[2]).get("cursor") for r in rest_server.requests] == [None, ["10"], ["20"], None, None]
    # What is kept holds every page.
    assert load(kind="bybit", kinds=("swap",)).table == result.table


def test_a_cursor_that_never_ends_is_an_error(rest_server, load, monkeypatch):
    monkeypatch.setattr(bybit, "PAGES_MAX", 5)
    body = json.dumps({"retCode": 0, "result": {"category": "spot", "list": [], "nextPageCursor": "again"}}).encode()
    rest_server.paths["/v5/market/instruments-info"] = [rest_server.Answer(body)]
    with pytest.raises(BodyError, match="expected at most 5 pages"):
        load(kind="bybit", kinds=("spot",))


def test_okx_asks_for_each_type_and_for_options_by_underlying(rest_server, load):
    def instruments(query):
        asked = parse_qs(query)
        kind = asked["instType"][0]
        item = {"instId": f"{asked.get('uly', ['BTC-USDT'])[0]}-{kind}", "instType": kind, "uly": asked.get("uly", ["BTC-USDT"])[0],
                "settleCcy": "USDT", "ctVal": "1", "ctMult": "0.1", "tickSz": "0.1", "lotSz": "1", "expTime": "1774598400000", "stk": "5",
                "optType": "C", "state": "live"}
        return rest_server.Answer(json.dumps({"code": "0", "data": [item]}).encode())
    rest_server.paths["/api/v5/public/instruments"] = instruments
    rest_server.paths["/api/v5/public/underlying"] = [rest_server.Answer(b'{"code":"0","data":[["BTC-USD","ETH-USD"]]}')]
    assert {one.kind for one in load(kind="okx").table.facts} == {"spot", "swap", "future"}
    assert len(rest_server.requests) == 3
    # An option asked for by name adds its lists; what was loaded before stays loaded.
    result = load(["ETH/USD:USDT-260327-5-C"], kind="okx")
    assert {one.kind for one in result.table.facts} == {"spot", "swap", "future", "option"}
    assert rest_server.requests[-2:] == ["/api/v5/public/instruments?instType=OPTION&uly=BTC-USD",
                                         "/api/v5/public/instruments?instType=OPTION&uly=ETH-USD"]
    assert load(["ETH/USD:USDT-260327-5-C"], kind="okx").source == "cache"


def test_coinbase_pages_are_read_until_one_is_not_full(rest_server, load, monkeypatch):
    monkeypatch.setattr(coinbase, "PAGE_PRODUCTS", 2)
    products = [{"product_id": f"A{n}-USD", "base_currency_id": f"A{n}", "quote_currency_id": "USD", "product_type": "SPOT",
                 "price_increment": "0.01", "base_increment": "0.1", "status": "online"} for n in range(5)]

    def page(query):
        asked = parse_qs(query)
        first = int(asked["offset"][0])
        return rest_server.Answer(json.dumps({"products": products[first:first + 2] if asked["product_type"] == ["SPOT"] else []}).encode())
    rest_server.paths["/api/v3/brokerage/market/products"] = page
    assert len(load(kind="coinbase").table.facts) == 5
    assert len(rest_server.requests) == 4


@pytest.mark.parametrize("kind, path, capture, count", [
    ("binance_spot", SPOT, "ws/binance_spot/cryptofeed_BINANCE_20211012.jsonl.zst", 1695),
    ("binance_usdm", "/fapi/v1/exchangeInfo", "ws/binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst", 122),
    ("binance_coinm", "/dapi/v1/exchangeInfo", "ws/binance_coinm/cryptofeed_BINANCE_DELIVERY_20210722.jsonl.zst", 36),
    ("coinbase_exchange", "/products", "ws/coinbase/cryptofeed_COINBASE_EXCHANGE_20210417.jsonl.zst", 162),
    ("kraken", "/0/public/AssetPairs", "ws/kraken/cryptofeed_KRAKEN_20210417.jsonl.zst", 304)])
def test_a_recorded_venue_is_loaded_kept_and_loaded_again(rest_server, load, recorded_bodies, kind, path, capture, count):
    rest_server.paths[path] = [rest_server.Answer(recorded_bodies(capture)[0])]
    first, second = load(kind=kind), load(kind=kind)
    assert (first.source, second.source) == ("venue", "cache")
    assert len(first.table.facts) == count and second.table == first.table and first.warnings == []
    assert [request.partition("?")[0] for request in rest_server.requests] == [path]
