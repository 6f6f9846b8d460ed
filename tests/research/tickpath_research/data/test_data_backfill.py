"""The real ccxt client against a server that speaks Binance's REST over recorded candles and trades."""
import datetime
import time

import numpy as np
import pytest
from data_harness import stored_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from venue_server import Market, captured_trades

from example_counts import examples
from required import require_package
from tickpath.market import build_bars
from tickpath_research.data.check import find_gaps
from tickpath_research.data.layout import DataError, Disagreement, UsageError, parse_time, time_text
from tickpath_research.data.processed import read_table, trade_events
from tickpath_research.data.source import Source

require_package("ccxt", "research")
require_package("pyarrow", "research")

MINUTE, HOUR = 60_000, 3_600_000
JULY_28, JULY_30, AUGUST_2 = "2024-07-28T00:00", "2024-07-30T00:00", "2024-08-02T00:00"


def between(rows, since, until, key=0):
    begin, end = parse_time(since), parse_time(until)
    return [r for r in rows if begin <= r[key] < end]


# ---- what comes is what the venue has

def test_stored_candles_are_the_recorded_ones_to_the_last_digit(btc, serve, filler):
    server = serve(btc)
    store = filler(server)("BTC/USDT", JULY_28, AUGUST_2)
    assert stored_rows(store) == between(btc.candles["1m"], JULY_28, AUGUST_2)
    assert len(server.asked("/api/v3/klines")) == 8                  # 6 pages to the end of July, 2 of August
    assert not find_gaps(store).listed


def test_processed_candles_are_exact_and_right_aligned(btc, serve, filler):
    table = read_table(filler(serve(btc))("BTC/USDT", JULY_28, JULY_30))
    rows = between(btc.candles["1m"], JULY_28, JULY_30)
    assert table.column("ts_open_ns").to_pylist() == [r[0] * 1_000_000 for r in rows]
    assert table.column("ts_close_ns").to_pylist() == [(r[0] + MINUTE) * 1_000_000 for r in rows]
    scale = int(table.schema.metadata[b"tickpath.price_scale"])
    assert scale == 2
    assert table.column("high_ticks").to_pylist() == [round(float(r[2]) * 100) for r in rows]


def test_a_running_backfill_asks_for_nothing_twice(btc, serve, filler):
    server = serve(btc)
    fill = filler(server)
    fill("BTC/USDT", JULY_28, JULY_30)
    asked = len(server.asked("/api/v3/klines"))
    fill("BTC/USDT", JULY_28, JULY_30)
    assert len(server.asked("/api/v3/klines")) == asked and fill.result.rows_new == 0
    store = fill("BTC/USDT", "2024-07-27", AUGUST_2)
    assert stored_rows(store) == between(btc.candles["1m"], "2024-07-27", AUGUST_2)
    stored = {(parse_time(JULY_28), parse_time(JULY_30))}
    again = [q for q in server.asked("/api/v3/klines")[asked:]
             if any(a <= int(q["startTime"]) < b for a, b in stored)]
    assert [time_text(int(q["startTime"])) for q in again] == ["2024-07-29T23:57:00Z"]       # the overlap that must agree


def test_trades_come_in_order_of_id_each_once(xrp, serve, filler):
    server = serve(xrp)
    store = filler(server)("XRP/ETH", "2019-10-11", "2019-10-14", "trades")
    assert stored_rows(store) == [[t["T"], str(t["a"]), "sell" if t["m"] else "buy", t["p"], t["q"]] for t in xrp.trades]
    assert len(server.asked("/api/v3/aggTrades")) == 15              # one to find the first hour's, one to find the end
    assert not find_gaps(store).listed


def test_ids_that_change_their_length_within_a_millisecond_stay_in_order(serve, filler):
    market = Market("XRPETH", "XRP", "ETH")
    market.trades = [{"a": a, "p": "0.5", "q": "1", "f": a, "l": a, "T": 1_570_752_000_000 + (a > 1015), "m": False, "M": True}
                     for a in range(985, 1030)]
    server = serve(market)
    server.max_limit = 20
    store = filler(server)("XRP/ETH", "2019-10-11", "2019-10-12", "trades")
    assert [int(r[1]) for r in stored_rows(store)] == list(range(985, 1030))


# ---- candles from trades, end to end

def bars_against_candles(trades, candles, interval_ns):
    """Bars built from a store's trades, as rows that compare with a store's candles."""
    events = trade_events(trades)
    bars = build_bars(events, interval_ns)
    price_up, qty_up = (10 ** (int(candles.schema.metadata[name]) - int(trades.schema.metadata[name]))
                        for name in (b"tickpath.price_scale", b"tickpath.qty_scale"))
    found = np.stack([bars["ts_open_ns"], bars["ts_venue_ns"], *(bars[f"{n}_ticks"] * price_up for n in
                                                                 ("open", "high", "low", "close")),
                      bars["volume_lots"] * qty_up], axis=1)
    return found, np.stack([candles.column(i).to_numpy() for i in range(7)], axis=1)


def test_bars_built_from_stored_trades_are_the_stored_candles(xrp, serve, filler):
    fill = filler(serve(xrp))
    trades = read_table(fill("XRP/ETH", "2019-10-11", "2019-10-14", "trades"))
    assert trades.num_rows == 12_477
    for interval, minutes, count in (("1m", 1, 2469), ("5m", 5, 706)):
        candles = read_table(fill("XRP/ETH", "2019-10-11", "2019-10-14", interval=interval))
        bars, expected = bars_against_candles(trades, candles, minutes * 60_000_000_000)
        assert len(expected) == count
        assert np.array_equal(bars, expected)


def test_bars_of_captured_frames_are_the_candles_of_another_recording(btc, golden_dir, serve, filler):
    captures = [golden_dir / "binance_spot" / f"hftbacktest_btcusdt_2024080{day}.gz" for day in (8, 9)]
    btc.trades = captured_trades(*captures)
    fill = filler(serve(btc))
    begin, end = "2024-08-08T23:55", "2024-08-09T00:05"
    trades = read_table(fill("BTC/USDT", begin, end, "trades"))
    candles = read_table(fill("BTC/USDT", begin, end))
    bars, expected = bars_against_candles(trades, candles, 60_000_000_000)
    assert len(bars) == 10 and trades.num_rows > 15_000
    assert np.array_equal(bars, expected)


class Labelled:
    """Candles of trades, as the venue labels them: by open time, without the minutes that saw no trade."""

    def __init__(self, trades):
        self.rows = {}
        for ts_ms, price in trades:
            row = self.rows.setdefault(ts_ms - ts_ms % MINUTE, [str(price)] * 4 + ["0"])
            row[1], row[2] = str(max(int(row[1]), price)), str(min(int(row[2]), price))
            row[3], row[4] = str(price), str(int(row[4]) + 1)

    def __call__(self):
        return [[t, *row] for t, row in sorted(self.rows.items())]


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 600 * 1000), st.integers(1, 99)), min_size=1, max_size=60), st.data())
def test_nobody_is_shown_a_trade_that_has_not_happened_yet(serve, filler, tmp_path_factory, trades, data):
    begin = parse_time("2024-08-01")
    trades = sorted((begin + ms, price) for ms, price in trades)
    market = Market("BTCUSDT", "BTC", "USDT")
    market.candles["1m"] = Labelled(trades)()
    server = serve(market)
    store = filler(server, tmp_path_factory.mktemp("store"))("BTC/USDT", "2024-08-01", "2024-08-01T00:11")
    server.stop()
    edges = [t + d for t in range(begin, begin + 11 * MINUTE, MINUTE) for d in (-1, 0, 1)]
    now_ms = data.draw(st.sampled_from(edges) | st.integers(begin, begin + 11 * MINUTE))
    seen = read_table(store, until_ns=now_ms * 1_000_000)
    over = [r for r in market.candles["1m"] if r[0] + MINUTE <= now_ms]
    assert seen.column("ts_open_ns").to_pylist() == [r[0] * 1_000_000 for r in over]
    # Everything that is shown is made of trades before now, and of all of them but for the minute that is not over.
    counted = sum(seen.column("volume_lots").to_pylist())
    assert counted == sum(t < now_ms - now_ms % MINUTE for t, _ in trades)


# ---- gaps: outages are not what was never asked for

def test_recorded_outages_are_told_from_what_was_not_fetched(btc, serve, filler):
    fill = filler(serve(btc))
    fill("BTC/USDT", "2017-08-01", "2018-03-01", interval="1h")
    store = fill("BTC/USDT", "2018-06-01", "2019-01-01", interval="1h")
    gaps = find_gaps(store)
    opened = [r[0] for r in btc.candles["1h"]]
    outages = [(a + HOUR, b) for a, b in zip(opened, opened[1:], strict=False) if b - a != HOUR]
    spring = (parse_time("2018-03-01"), parse_time("2018-06-01"))
    expected = [("venue", a, b) for a, b in outages if b <= spring[0] or spring[1] <= a < parse_time("2019-01-01")]
    expected += [("before_first", parse_time("2017-08-01"), opened[0]), ("not_fetched", *spring)]
    assert [(g["kind"], parse_time(g["from"]), parse_time(g["to"])) for g in gaps.listed] == sorted(expected, key=lambda g: g[1])
    assert len(outages) == 28 and len(gaps.listed) == 10


def test_an_outage_over_whole_pages_is_asked_for_twice_and_then_crossed_in_one_step(btc, serve, filler):
    server = serve(btc)
    server.outages = [(parse_time(JULY_28), parse_time("2024-08-20T12:30"))]
    store = filler(server)("BTC/USDT", "2024-07-27T12:00", "2024-08-21")
    gaps = find_gaps(store).listed
    assert [(g["kind"], g["from"], g["to"]) for g in gaps] == [("venue", "2024-07-28T00:00:00Z", "2024-08-20T12:30:00Z")]
    assert gaps[0]["missing"] == 23 * 1440 + 750
    assert len(server.asked("/api/v3/klines")) < 12
    assert len(stored_rows(store)) == 720 + 690


@pytest.mark.parametrize("limit", [1, 7, 300])
def test_a_venue_that_gives_fewer_rows_than_asked_for_leaves_no_hole(btc, serve, filler, limit):
    server = serve(btc)
    server.max_limit = limit
    end = "2024-07-28T00:40" if limit == 1 else "2024-07-28T12:00"
    store = filler(server)("BTC/USDT", JULY_28, end)
    assert stored_rows(store) == between(btc.candles["1m"], JULY_28, end)


def test_one_empty_answer_is_not_taken_for_an_outage(btc, serve, filler):
    server = serve(btc)
    server.faults.extend([{"empty": True}])
    store = filler(server)("BTC/USDT", JULY_28, JULY_30)
    assert stored_rows(store) == between(btc.candles["1m"], JULY_28, JULY_30)


def test_a_venue_that_keeps_only_its_newest_candles_is_refused_and_says_from_when(btc, serve, filler):
    now = int(time.time() * 1000) // MINUTE * MINUTE
    btc.candles = {"1m": [[now - i * MINUTE, "1.0", "1.0", "1.0", "1.0", "1.0"] for i in range(720, -1, -1)]}
    server = serve(btc)
    server.newest_only = True
    with pytest.raises(DataError, match=f"the venue keeps no older ones. Use --since {time_text(now - 499 * MINUTE)[:16]}|"
                                        "the venue keeps no older ones. Use --since 20"):
        filler(server)("BTC/USDT", JULY_28, JULY_30)


# ---- failures that pass, and those that do not

def test_every_kind_of_failure_is_survived_and_said_once(btc, serve, filler):
    server = serve(btc)
    fill = filler(server)
    pauses = []
    source = fill.source("BTC/USDT")
    source._sleep = pauses.append
    server.faults.extend([{"status": 429, "retry_after": 3}, {"status": 429, "retry_after": 3}, {"status": 500}, {"status": 503},
                          {"cut": True}, {"cut": True}, {"cut_body": True}, {"text": "<html>Sign in to this network</html>"}])
    store = fill("BTC/USDT", JULY_28, JULY_30, source=source)
    assert stored_rows(store) == between(btc.candles["1m"], JULY_28, JULY_30)
    assert source.retry_count == 8 and len(pauses) == 8
    assert pauses[:2] == [3.0, 3.0] and all(p > 0 for p in pauses)
    told, failing, network, portal, back = fill.said
    assert "429" in told and "in 3 s, as it asks" in told
    assert "HTTP 500" in failing
    assert "no network" in network
    assert "expected JSON, found '<html>" in portal
    assert "answers again after" in back


def test_pauses_grow_and_differ(btc, serve, filler):
    server = serve(btc)
    fill = filler(server)
    source = fill.source("BTC/USDT")
    pauses = []
    source._sleep = pauses.append
    server.faults.extend([{"status": 500}] * 9)
    fill("BTC/USDT", JULY_28, "2024-07-28T01:00", source=source)
    assert len(set(pauses)) == 9 and max(pauses) <= 60
    assert all(0.5 * min(0.5 * 2**k, 60) <= p <= min(0.5 * 2**k, 60) for k, p in enumerate(pauses))


def test_patience_ends_with_one_line_and_what_came_is_stored(btc, serve, filler):
    server = serve(btc)
    fill = filler(server)
    source = fill.source("BTC/USDT", give_up_after_s=0.0)
    server.faults.extend([{}, {"status": 500}])
    with pytest.raises(DataError, match="binance: expected an answer within 0 s, found HTTP 500"):
        fill("BTC/USDT", JULY_28, JULY_30, source=source)
    store = fill("BTC/USDT", JULY_28, JULY_30)
    assert stored_rows(store) == between(btc.candles["1m"], JULY_28, JULY_30)
    assert fill.result.rows_new == 2880 - 1000


def test_a_ban_longer_than_our_patience_is_not_waited_for(btc, serve, filler):
    server = serve(btc)
    server.faults.append({"status": 418, "retry_after": 86_400})
    with pytest.raises(DataError, match="HTTP 418: too many requests, and to wait 86400 s"):
        filler(server)("BTC/USDT", JULY_28, JULY_30)


def test_a_request_that_is_wrong_is_not_repeated(btc, serve, filler):
    server = serve(btc)
    server.faults.append({"status": 403, "body": {"msg": "forbidden here"}})
    with pytest.raises(DataError, match="HTTP 403.*forbidden here"):
        filler(server)("BTC/USDT", JULY_28, JULY_30)
    assert len(server.asked("/api/v3/klines")) == 1


def test_a_candle_that_is_no_number_is_named(btc, serve, filler):
    btc.candles["1m"] = [["x", "1", "1"] if not r else r for r in between(btc.candles["1m"], JULY_28, JULY_30)]
    btc.candles["1m"][7] = [*btc.candles["1m"][7][:4], "NaN", "1"]
    with pytest.raises(DataError, match="candle of 2024-07-28T00:07:00Z: expected a number, found"):
        filler(serve(btc))("BTC/USDT", JULY_28, JULY_30)


def test_unknown_names_are_refused_before_anything_is_fetched(btc, serve, filler):
    server = serve(btc)
    with pytest.raises(UsageError, match="like BTC/USDT, found 'BTC/USD'"):
        filler(server).source("BTC/USD")
    with pytest.raises(UsageError, match="--exchange: expected one that ccxt knows"):
        Source("binanze", ["BTC/USDT"], url=server.url)
    with pytest.raises(UsageError, match="--interval: expected one of"):
        filler(server)("BTC/USDT", JULY_28, JULY_30, interval="10m")
    with pytest.raises(DataError, match="expected --since before --until"):
        filler(server)("BTC/USDT", JULY_30, JULY_28)


# ---- stored and fetched must tell one story

def test_a_candle_that_the_venue_changed_is_named_and_nothing_is_written(btc, serve, filler):
    server = serve(btc)
    fill = filler(server)
    before = stored_rows(fill("BTC/USDT", JULY_28, JULY_30))
    changed = [list(r) for r in btc.candles["1m"]]
    k = next(i for i, r in enumerate(changed) if r[0] == parse_time("2024-07-29T23:58"))
    changed[k][4] = "1.00000000"
    btc.candles["1m"] = changed
    with pytest.raises(Disagreement) as found:
        fill("BTC/USDT", JULY_28, AUGUST_2)
    text = str(found.value)
    assert "candle of 2024-07-29T23:58:00Z" in text and f"close {before[-2][4]}" in text and "close 1.00000000" in text
    store = fill("BTC/USDT", JULY_28, JULY_30)
    assert stored_rows(store) == before


def test_recheck_compares_everything_and_finds_what_was_changed_taken_out_or_added(btc, serve, filler):
    server = serve(btc)
    fill = filler(server)
    fill("BTC/USDT", JULY_28, JULY_30)
    fill("BTC/USDT", "2024-07-27", AUGUST_2, recheck=True)
    assert (fill.result.rows_compared, fill.result.rows_new) == (2880, 0)
    at = next(i for i, r in enumerate(btc.candles["1m"]) if r[0] == parse_time("2024-07-28T12:00"))
    whole = btc.candles["1m"]
    for changed, expected in (([*whole[:at], [*whole[at][:5], "9.00000000"], *whole[at + 1:]], "volume 9.00000000 at the venue"),
                              ([*whole[:at], *whole[at + 1:]], "found none at the venue")):
        btc.candles["1m"] = changed
        with pytest.raises(Disagreement, match="candle of 2024-07-28T12:00:00Z") as found:
            fill("BTC/USDT", "2024-07-27", AUGUST_2, recheck=True)
        assert expected in str(found.value)


def test_trades_must_agree_where_a_run_goes_on(xrp, serve, filler):
    server = serve(xrp)
    fill = filler(server)
    store = fill("XRP/ETH", "2019-10-11", "2019-10-12", "trades")
    last = stored_rows(store)[-1]
    changed = [dict(t, p="0.00999999") if str(t["a"]) == last[1] else t for t in xrp.trades]
    whole, xrp.trades = xrp.trades, changed
    with pytest.raises(Disagreement, match=f"trade {last[1]} of .*price {last[3]} .*price 0.00999999"):
        fill("XRP/ETH", "2019-10-11", "2019-10-13", "trades")
    xrp.trades = whole
    store = fill("XRP/ETH", "2019-10-11", "2019-10-13", "trades")
    assert stored_rows(store) == [r for r in [[t["T"], str(t["a"]), "sell" if t["m"] else "buy", t["p"], t["q"]]
                                              for t in xrp.trades] if r[0] < parse_time("2019-10-13")]


def test_ids_that_the_venue_left_out_are_listed(xrp, serve, filler):
    taken = xrp.trades[900:903]
    xrp.trades = xrp.trades[:900] + xrp.trades[903:]
    gaps = find_gaps(filler(serve(xrp))("XRP/ETH", "2019-10-11", "2019-10-12", "trades"))
    assert [(g["kind"], g["missing"]) for g in gaps.listed] == [("ids", 3)]
    assert parse_time(gaps.listed[0]["from"]) <= taken[0]["T"] <= parse_time(gaps.listed[0]["to"])


# ---- going on

def test_a_run_that_is_stopped_goes_on_where_it_was(xrp, serve, filler):
    server = serve(xrp)
    fill = filler(server)
    whole = stored_rows(filler(server, fill.root.with_name("whole"))("XRP/ETH", "2019-10-11", "2019-10-12", "trades"))
    for _ in range(3):
        fill("XRP/ETH", "2019-10-11", "2019-10-12", "trades", stop=lambda: True)
        assert fill.result.interrupted and fill.result.pages_new == 1
    store = fill("XRP/ETH", "2019-10-11", "2019-10-12", "trades")
    assert stored_rows(store) == whole and not find_gaps(store).listed


def test_venues_without_consecutive_ids_are_paged_by_time(xrp, serve, filler, monkeypatch):
    monkeypatch.setattr(Source, "is_paged_by_id", False)
    server = serve(xrp)
    server.max_limit = 100
    begin, end = "2019-10-11T00:00", "2019-10-11T12:00"
    store = filler(server)("XRP/ETH", begin, end, "trades")
    assert [r[1] for r in stored_rows(store)] == [str(t["a"]) for t in xrp.trades if t["T"] < parse_time(end)]
    assert not any("fromId" in q for q in server.asked("/api/v3/aggTrades"))


def test_a_venue_that_knows_no_end_of_a_window_loses_no_trade(xrp, serve, filler, monkeypatch):
    monkeypatch.setattr(Source, "is_paged_by_id", False)
    server = serve(xrp)
    server.ignores_end = True
    store = filler(server)("XRP/ETH", "2019-10-10T20:00", "2019-10-11T01:00", "trades")
    end = parse_time("2019-10-11T01:00")
    assert [r[1] for r in stored_rows(store)] == [str(t["a"]) for t in xrp.trades if t["T"] < end]
    assert [(g["kind"], g["to"]) for g in find_gaps(store).listed] == [("before_first", time_text(xrp.trades[0]["T"]))]


def test_a_venue_that_always_gives_its_newest_trades_is_refused(serve, filler, monkeypatch):
    monkeypatch.setattr(Source, "is_paged_by_id", False)
    market = Market("XRPETH", "XRP", "ETH")
    now = int(time.time() * 1000)
    market.trades = [{"a": a, "p": "0.5", "q": "1", "f": a, "l": a, "T": now - 5_000 * (2000 - a), "m": False, "M": True}
                     for a in range(2000)]
    server = serve(market)
    server.newest_only = True
    with pytest.raises(DataError, match=f"the venue keeps no older ones. Use --since {time_text(market.trades[1500]['T'])[:-6]}"):
        filler(server)("XRP/ETH", "2019-10-11", "2019-10-12", "trades")


def test_more_trades_in_a_millisecond_than_an_answer_holds_are_not_lost_in_silence(serve, filler, monkeypatch):
    monkeypatch.setattr(Source, "is_paged_by_id", False)
    market = Market("XRPETH", "XRP", "ETH")
    market.trades = [{"a": a, "p": "0.5", "q": "1", "f": a, "l": a, "T": 1_570_752_000_000, "m": False, "M": True}
                     for a in range(1, 700)]
    with pytest.raises(DataError, match="cannot be paged by time"):
        filler(serve(market))("XRP/ETH", "2019-10-11", "2019-10-12", "trades")


# ---- transport

@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(certificate file, key file) for 127.0.0.1, signed by itself."""
    import ipaddress

    x509 = require_package("cryptography.x509", "research")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=1))
                   .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
                   .add_extension(x509.BasicConstraints(ca=True, path_length=0), True).sign(key, hashes.SHA256()))
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                       serialization.NoEncryption()))
    return folder / "cert.pem", folder / "key.pem"


def test_a_server_of_ones_own_is_trusted_by_its_certificate_only(btc, serve, filler, certificate, tmp_path):
    server = serve(btc, tls=certificate)
    fill = filler(server)
    source = fill.source("BTC/USDT", ca_file=certificate[0])
    assert len(stored_rows(fill("BTC/USDT", JULY_28, JULY_30, source=source))) == 2880
    with pytest.raises(DataError, match="expected a certificate to trust, found .*; see --ca-file"):
        fill.source("BTC/USDT")
    with pytest.raises(UsageError, match="--ca-file: expected a PEM file"):
        fill.source("BTC/USDT", ca_file=tmp_path / "none.pem")
