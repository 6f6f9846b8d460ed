"""The market that the server makes of its own book: real servers with generated flow, read by the daemon's own decoder and book.

One server of each kind is started; what its streams said for a while is kept, and judged from several sides.
"""
import asyncio
import json
import re
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from urllib.parse import quote

import numpy as np
import pytest
from sim_harness import SPOT, USDM, FollowedBook, RawClient, Sim, as_numbers

from required import require_package
from tickpath.capture import read_capture
from tickpath.market.book import OrderBook
from tickpath.sim.exchange import SimEventKind
from tickpath.types import Status
from tickpath.venues.batch import MessageKind
from tickpath.venues.decoders import MessageDecoder
from tickpath_sim.trading.candles import open_ms_of
from tickpath_sim.trading.flow_traders import Flow, flow_exchange
from tickpath_sim.trading.flows import load_flow

KINDS = ("binance_spot", "binance_usdm")
DIFFS = {"binance_spot": ("btcusdt@depth@100ms", "btcusdt@depth"),
         "binance_usdm": ("btcusdt@depth@100ms", "btcusdt@depth@0ms", "btcusdt@depth", "btcusdt@depth@500ms")}
COMMON = ("btcusdt@bookTicker", "btcusdt@trade", "btcusdt@aggTrade", "btcusdt@kline_1m", "btcusdt@kline_1M", "btcusdt@miniTicker",
          "btcusdt@ticker", "btcusdt@depth5@100ms", "btcusdt@depth20@100ms", "!miniTicker@arr", "!ticker@arr")
OWN = {"binance_spot": ("btcusdt@kline_1s", "btcusdt@kline_1d@+08:00", "btcusdt@ticker_1h", "btcusdt@avgPrice",
                        "!ticker_4h@arr"),
       "binance_usdm": ("btcusdt@markPrice@1s", "!markPrice@arr@1s", "!bookTicker")}
INSTRUMENTS = {"binance_spot": [("BTCUSDT", "0.01", "0.00001")], "binance_usdm": [("BTCUSDT", "0.1", "0.001")]}
# Channels that the daemon has no use for.
UNREAD = re.compile(rb'\{"stream":"(![^"]+|[a-z]+@(miniTicker|ticker|ticker_1h|avgPrice))"')
PREFIX = {"binance_spot": "/api/v3", "binance_usdm": "/fapi/v1"}
RECORDED_S = 4.0
# So fast that every stream has much to say, so slow that nothing depends on the machine.
OPTIONS = ("--flow", "hawkes", "--seed", "3", "--speed", "8", "--no-limits")


class Recording:
    """What a server's streams said for some seconds, and its REST side during them and at the end."""

    def __init__(self, kind):
        self.kind, self.futures = kind, kind == "binance_usdm"
        self.sim = Sim(None, "--venue", kind, *OPTIONS)
        self.names = (*DIFFS[kind], *COMMON, *OWN[kind])
        self.client = self.sim.client("/stream?streams=" + "/".join(map(quote, self.names)))
        self.frames = []
        self.until(time.monotonic() + RECORDED_S / 3)
        self.snapshot_at = len(self.frames)
        self.snapshot = self.get("depth?symbol=BTCUSDT&limit=1000")
        self.until(time.monotonic() + 2 * RECORDED_S / 3)
        self.sim.faults.pause()
        # The last windows of the slowest stream.
        self.until(time.monotonic() + 1.3)
        self.final = self.get("depth?symbol=BTCUSDT&limit=1000")
        self.client.stop()
        self.messages = [(m["stream"], m["data"]) for m in map(json.loads, self.frames)]

    def until(self, end_mono):
        while (left := end_mono - time.monotonic()) > 0:
            try:
                self.frames.append(self.client.text(left))
            except TimeoutError:
                return

    def get(self, target):
        status, body, _ = self.sim.get(f"{PREFIX[self.kind]}/{target}")
        assert status == 200, body
        return body

    def of(self, name):
        return [data for stream, data in self.messages if stream == name]


@pytest.fixture(scope="module")
def recordings():
    """Of both kinds, made at the same time."""
    with ThreadPoolExecutor(len(KINDS)) as pool:
        made = dict(zip(KINDS, pool.map(Recording, KINDS), strict=True))
    yield made
    assert [one.sim.end() for one in made.values()] == [(0, "")] * len(KINDS)


@pytest.fixture(params=KINDS)
def recording(request, recordings):
    return recordings[request.param]


# ---- read by the daemon

def test_the_daemons_decoder_reads_every_message(recording):
    """Scanner and general reader, and both find the same."""
    decoders = [MessageDecoder(INSTRUMENTS[recording.kind], kind=recording.kind, scanner=scanner) for scanner in (True, False)]
    kinds, scanned = defaultdict(int), 0
    for frame in recording.frames:
        found = [decoder.decode(frame, 7) for decoder in decoders]
        if UNREAD.match(frame):
            # The other instrument of an array is none of this decoder's.
            assert {f[0] for f in found} <= {Status.STATUS_IGNORED, Status.STATUS_UNKNOWN_SYMBOL, Status.STATUS_OK}
            continue
        assert [f[0] for f in found] == [Status.STATUS_OK] * 2, frame
        assert found[0][1] == found[1][1]
        assert np.array_equal(found[0][2], found[1][2]), frame
        kinds[found[0][1]] += 1
        scanned += found[0][3]
    assert all(kinds[kind] > 5 for kind in (MessageKind.MESSAGE_QUOTE, MessageKind.MESSAGE_TRADE,
                                            MessageKind.MESSAGE_BOOK_DELTA, MessageKind.MESSAGE_SNAPSHOT))
    assert kinds[MessageKind.MESSAGE_BAR] > 1
    # The hottest messages are exactly in the form that the fast reader knows.
    assert scanned >= kinds[MessageKind.MESSAGE_QUOTE] + kinds[MessageKind.MESSAGE_TRADE]


@pytest.mark.parametrize("number", range(2))
def test_the_daemons_book_follows_without_a_gap_and_ends_as_rest_says(recording, number):
    decoder = MessageDecoder(INSTRUMENTS[recording.kind], kind=recording.kind)
    _, tick, lot = INSTRUMENTS[recording.kind][0]
    book = OrderBook(tick, lot)
    name = f'{{"stream":"{DIFFS[recording.kind][number]}"'.encode()
    for at, frame in enumerate(recording.frames):
        if at == recording.snapshot_at:
            status, _, slots, *_ = decoder.decode(json.dumps(recording.snapshot, separators=(",", ":")).encode(), 7, 0)
            assert status == Status.STATUS_OK
            book.apply(slots)
        if frame.startswith(name):
            book.apply(decoder.decode(frame, 7)[2])
    assert (book.counters["gaps"], book.counters["crossed"]) == (0, 0)
    assert book.last_update_id == recording.final["lastUpdateId"]
    expected = [{int(Decimal(p) / Decimal(tick)): int(Decimal(q) / Decimal(lot)) for p, q in recording.final[side]}
                for side in ("bids", "asks")]
    assert list(book.levels()) == expected
    assert min(len(side) for side in expected) > 10


# ---- the streams among themselves

def test_every_diff_stream_chains_and_leads_to_the_same_book(recording):
    snapshot_id = recording.snapshot["lastUpdateId"]
    for name in DIFFS[recording.kind]:
        book, last = FollowedBook(), None
        book.load(recording.snapshot["bids"], recording.snapshot["asks"])
        diffs = recording.of(name)
        for diff in diffs:
            assert last is None or diff["U"] == last + 1
            assert not recording.futures or diff["pu"] == diff["U"] - 1
            assert diff["U"] <= diff["u"]
            last = diff["u"]
            if diff["u"] > snapshot_id:
                book.apply(diff["b"], diff["a"])
                assert not book.is_crossed()
        assert diffs[0]["U"] <= snapshot_id + 1 <= last
        bids, asks = book.top(1000)
        assert as_numbers(bids) == as_numbers(recording.final["bids"]), name
        assert as_numbers(asks) == as_numbers(recording.final["asks"]), name


def test_diffs_keep_their_pace_and_no_window_is_longer(recording):
    for name, period_ms in (("btcusdt@depth@100ms", 100), ("btcusdt@depth", 250 if recording.futures else 1000)):
        times = np.array([diff["E"] for diff in recording.of(name)])
        # A busy machine may be late with one, and then the next comes sooner.
        assert np.median(np.diff(times)) == pytest.approx(period_ms, abs=25)
        assert len(set(times // period_ms)) == len(times)


def test_quotes_are_the_best_of_the_book_at_their_id(recording):
    quotes = {q["u"]: q for q in recording.of("btcusdt@bookTicker")}
    ids = sorted(quotes)
    book, checked = FollowedBook(), 0
    book.load(recording.snapshot["bids"], recording.snapshot["asks"])
    for diff in recording.of("btcusdt@depth@100ms"):
        if diff["u"] <= recording.snapshot["lastUpdateId"]:
            continue
        book.apply(diff["b"], diff["a"])
        known = [i for i in ids if i <= diff["u"]]
        (bid,), (ask,) = book.top(1)
        q = quotes[known[-1]]
        checked += 1
        assert [(q["b"], q["B"]), (q["a"], q["A"])] == [tuple(bid), tuple(ask)]
    assert checked > 20
    assert all(Decimal(q["b"]) < Decimal(q["a"]) for q in quotes.values())


def test_partial_books_are_the_top_of_the_book_at_their_id(recording):
    """Whoever follows the changes from the very first snapshot sees what the partial book says."""
    diffs = {diff["u"]: diff for diff in recording.of("btcusdt@depth@100ms")}
    for depth in (5, 20):
        book, checked = FollowedBook(), 0
        book.load(recording.snapshot["bids"], recording.snapshot["asks"])
        partials = {(p["u"] if recording.futures else p["lastUpdateId"]): p for p in recording.of(f"btcusdt@depth{depth}@100ms")}
        for last, diff in sorted(diffs.items()):
            if last <= recording.snapshot["lastUpdateId"]:
                continue
            book.apply(diff["b"], diff["a"])
            rows = partials[last]
            checked += 1
            assert [rows[side] for side in (("b", "a") if recording.futures else ("bids", "asks"))] == list(book.top(depth))
        assert checked > 20


def test_aggregates_are_the_sums_of_their_trades(recording):
    trades = {t["t"]: t for t in recording.of("btcusdt@trade")}
    aggregates = recording.of("btcusdt@aggTrade")
    for ids in ([a["a"] for a in aggregates], list(trades)):
        assert ids == list(range(ids[0], ids[0] + len(ids)))
    covered = 0
    for a in aggregates:
        parts = [t for n, t in trades.items() if a["f"] <= n <= a["l"] and (t["p"], t["m"]) == (a["p"], a["m"])]
        if a["f"] not in trades:
            # It began before we listened.
            continue
        covered += len(parts)
        assert sum(Decimal(t["q"]) for t in parts) == Decimal(a["q"])
        assert parts[0]["T"] == a["T"]
    assert len(trades) > 50
    assert covered >= len(trades) - 2


def test_candles_are_those_of_the_trades(recording):
    trades = recording.of("btcusdt@trade")
    name, length = ("btcusdt@kline_1s", "1s") if not recording.futures else ("btcusdt@kline_1m", "1m")
    candles = [data["k"] for data in recording.of(name)]
    assert candles
    checked = 0
    for k in candles:
        inside = [t for t in trades if k["t"] <= t["T"] <= k["T"] and t["t"] <= k["L"]]
        if not inside or inside[0]["t"] != k["f"]:
            # Flat, or older than what we heard.
            assert k["n"] or k["o"] == k["c"] == k["h"] == k["l"]
            continue
        checked += 1
        prices = [Decimal(t["p"]) for t in inside]
        assert [Decimal(k[field]) for field in "ohlc"] == [prices[0], max(prices), min(prices), prices[-1]]
        assert (Decimal(k["v"]), k["n"]) == (sum(Decimal(t["q"]) for t in inside), len(inside))
        assert Decimal(k["V"]) == sum(Decimal(t["q"]) for t in inside if not t["m"])
        assert Decimal(k["q"]) == sum(Decimal(t["q"]) * Decimal(t["p"]) for t in inside).quantize(Decimal(k["q"]))
    if not recording.futures:
        assert checked >= 3
        closed = [k["t"] for k in candles if k["x"]]
        assert len(closed) >= 3
        # Each second is closed once, none is left out, and nothing is said of it afterwards.
        assert closed == list(range(closed[0], closed[0] + 1000 * len(closed), 1000))
        for before, k in zip(candles, candles[1:], strict=False):
            assert k["t"] > before["t"] if before["x"] else k["t"] == before["t"]


def test_every_stream_that_was_asked_for_speaks(recording):
    silent = [name for name in recording.names if not recording.of(name)]
    # Of long candles a short time may show nothing; all else must have said something.
    assert silent == []


def test_tickers_say_what_rest_says(recording):
    body = recording.get("ticker/24hr?symbol=BTCUSDT")
    ticker = recording.of("btcusdt@ticker")[-1]
    mini = recording.of("btcusdt@miniTicker")[-1]
    last = recording.of("btcusdt@trade")[-1]
    if ticker["L"] == body["lastId"]:
        assert [ticker[field] for field in "cohlvqFLn"] == [body[name] for name in (
            "lastPrice", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume", "firstId", "lastId", "count")]
        assert [mini[field] for field in "cohlvq"] == [ticker[field] for field in "cohlvq"]
    assert (body["lastPrice"], body["lastQty"]) == (last["p"], last["q"])
    assert body["count"] == body["lastId"] - body["firstId"] + 1
    change = Decimal(body["lastPrice"]) - Decimal(body["openPrice"])
    assert Decimal(body["priceChange"]) == change
    assert {row["s"] for rows in recording.of("!ticker@arr") for row in rows} == {"BTCUSDT", "ETHUSDT"}


# ---- REST

def test_rest_gives_the_trades_candles_and_prices_of_the_streams(recording):
    trades = recording.of("btcusdt@trade")[-20:]
    rows = recording.get("trades?symbol=BTCUSDT&limit=20")
    assert [(r["id"], r["price"], r["qty"], r["time"], r["isBuyerMaker"]) for r in rows] == [
        (t["t"], t["p"], t["q"], t["T"], t["m"]) for t in trades]
    aggregates = recording.of("btcusdt@aggTrade")[-5:]
    rows = recording.get(f"aggTrades?symbol=BTCUSDT&fromId={aggregates[0]['a']}&limit=5")
    assert [(r["a"], r["p"], r["q"], r["f"], r["l"], r["T"]) for r in rows] == [
        (a["a"], a["p"], a["q"], a["f"], a["l"], a["T"]) for a in aggregates]
    assert recording.get("ticker/price?symbol=BTCUSDT")["price"] == trades[-1]["p"]
    book = recording.get("ticker/bookTicker?symbol=BTCUSDT")
    assert [book[name] for name in ("bidPrice", "bidQty", "askPrice", "askQty")] == [
        *recording.final["bids"][0], *recording.final["asks"][0]]
    for row in recording.get("klines?symbol=BTCUSDT&interval=1m&limit=3"):
        assert row[6] == row[0] + 59_999
        assert row[0] == open_ms_of("1m", row[0])
        assert Decimal(row[2]) >= max(Decimal(row[1]), Decimal(row[4])) >= Decimal(row[3])


def test_a_server_trades_what_the_same_seed_trades_in_process(recordings):
    """Pace, clock and clients that only look change nothing: price and quantity of each trade are the seed's."""
    recording = recordings["binance_spot"]
    spec = load_flow("hawkes", seed=3)
    exchange, desks = flow_exchange(spec, publish=True)
    flow, made = Flow(desks, spec), []
    rows = recording.get("trades?symbol=BTCUSDT&limit=1000")
    while len(made) < rows[-1]["id"]:
        flow.step(flow.next_ns())
        made += [(e.trade_id, e.price_ticks, e.qty_lots) for e in exchange.drain()
                 if e.kind == SimEventKind.PUBLIC_TRADE and e.instrument == 0]
    assert [made[r["id"] - 1] for r in rows] == [
        (r["id"], int(Decimal(r["price"]) * 100), int(Decimal(r["qty"]) * 100_000)) for r in rows]


@pytest.mark.parametrize(("target", "code"), [
    ("depth?symbol=NOPEUSDT", -1121), ("depth", -1102), ("klines?symbol=BTCUSDT&interval=7m", -1120),
    ("klines?symbol=BTCUSDT&interval=1m&startTime=2&endTime=1", None), ("trades?symbol=BTCUSDT&limit=abc", None),
    ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=5", None)])
def test_bad_requests_are_answered_with_the_venues_code(recording, target, code):
    status, body, _ = recording.sim.get(f"{PREFIX[recording.kind]}/{target}")
    assert status == 400
    assert body["code"] < 0
    assert code is None or body["code"] == code


# ---- forms

def recorded_forms(shared_data, kind):
    """{event: keys of a message in order} of the venue's recorded streams."""
    forms = {}
    captures = {"binance_spot": (SPOT, "ws/binance_spot/cryptofeed_BINANCE_20210814.jsonl.zst"),
                "binance_usdm": ("ws/binance_usdm/hftbacktest_btcusdt_20240808.gz", USDM)}[kind]
    for capture in captures:
        for count, frame in enumerate(read_capture(shared_data(capture))):
            if frame.source == "ws" and frame.data.startswith(b'{"stream"'):
                data = json.loads(frame.data)["data"]
                forms.setdefault(data.get("e", "bookTicker"), data)
            if count == 3000:
                break
    return forms


def test_messages_have_the_keys_and_decimals_of_the_venues_own(recording, shared_data):
    compared = set()
    for name, mine in recording.messages:
        event = None if isinstance(mine, list) else mine.get("e", "bookTicker" if "B" in mine else None)
        theirs = recorded_forms_once(shared_data, recording.kind).get(event)
        if theirs is None or event in compared or (event == "depthUpdate" and not (mine["b"] and mine["a"])):
            continue
        compared.add(event)
        assert list(mine) == list(theirs), name
        assert [type(v) for v in mine.values()] == [type(v) for v in theirs.values()]
        if event == "kline":
            assert list(mine["k"]) == list(theirs["k"])
    assert compared == {"depthUpdate", "bookTicker", "trade", "aggTrade", "kline"}
    price, qty = recording.final["bids"][0]
    assert [len(text.partition(".")[2]) for text in (price, qty)] == ([2, 3] if recording.futures else [8, 8])


_forms = {}


def recorded_forms_once(shared_data, kind):
    if kind not in _forms:
        _forms[kind] = recorded_forms(shared_data, kind)
    return _forms[kind]


# ---- faults and control go the same way (last: they disturb what was recorded)

def test_faults_of_market_data_work_on_generated_streams(recording):
    sim = recording.sim
    client = sim.client("/ws/btcusdt@depth@100ms")
    sim.faults.arm("drop_diff", symbol="BTCUSDT", count=1)
    sim.faults.step(3, "BTCUSDT")
    first, second = client.message(), client.message()
    assert sim.faults.log("drop_diff")[-1]["symbol"] == "BTCUSDT"
    assert second["U"] == first["u"] + 1
    # The first of the three was the one that is missing.
    assert first["U"] > recording.final["lastUpdateId"] + 1
    sim.faults.arm("old_snapshot", symbol="BTCUSDT")
    assert recording.get("depth?symbol=BTCUSDT&limit=5")["lastUpdateId"] < recording.snapshot["lastUpdateId"]
    assert recording.get("depth?symbol=BTCUSDT&limit=5")["lastUpdateId"] == second["u"]
    client.stop()


def test_a_flood_of_one_symbol_passes_streams_of_all_symbols_by(recording):
    sim = recording.sim
    client = sim.client("/stream?streams=!ticker@arr/btcusdt@trade")
    sim.faults.arm("flood", symbol="BTCUSDT", seconds=0.2, rate=500)
    assert client.message()["stream"] == "btcusdt@trade"
    assert sim.faults.disarm("flood")
    assert sim.faults.state()["playback"]["failure"] is None
    client.stop()


def test_a_paused_flow_stands_still_and_goes_on(recording):
    sim = recording.sim
    before = sim.faults.state()["playback"]
    time.sleep(0.15)
    still = sim.faults.state()["playback"]
    assert (still["flow_ns"], still["requests"]) == (before["flow_ns"], before["requests"])
    assert (still["paused"], still["flow"], still["refused"]) == (True, "hawkes", {})
    sim.faults.resume()
    sim.faults.wait(lambda state: state["playback"]["requests"] > before["requests"])
    sim.faults.pause()


def test_streams_that_the_venue_has_not_stay_silent(recording):
    client = RawClient(recording.sim.addresses["ws_url"], "/stream?streams=btcusdt@depth7/nopeusdt@trade/btcusdt@kline_7m/"
                                                          "!nothing@arr/btcusdt@depth@50ms")
    client.send({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    assert len(client.message()["result"]) == 5
    recording.sim.faults.step(2)
    assert client.quiet(0.3)
    client.stop()


# ---- ccxt's WebSocket classes, unmodified but for the URLs

def ccxt_client(recording):
    pro = require_package("ccxt.pro", "research")
    addresses = recording.sim.addresses
    if recording.futures:
        exchange = pro.binanceusdm({"enableRateLimit": False})
        api = exchange.urls["api"]
        for name in [name for name in api if name.startswith("fapi")]:
            api[name] = f"{addresses['rest_url']}/fapi/{name[-2:].lower() if name[-2] == 'V' else 'v1'}"
        api["ws"]["linear"] = addresses["ws_url"] + "/ws"
        return exchange, "BTC/USDT:USDT"
    exchange = pro.binance({"enableRateLimit": False, "options": {"fetchMarkets": {"types": ["spot"]}, "defaultType": "spot"}})
    exchange.urls["api"].update(public=f"{addresses['rest_url']}/api/v3")
    exchange.urls["api"]["ws"]["spot"] = addresses["ws_url"] + "/ws"
    return exchange, "BTC/USDT"


def test_ccxt_watches_book_trades_and_candles_and_ends_as_rest_says(recording):
    exchange, symbol = ccxt_client(recording)
    updates, trades, candles = 0, {}, {}

    async def follow(watch, take):
        while True:
            take(await watch())

    def count(book):
        nonlocal updates
        updates += 1
        assert book["bids"][0][0] < book["asks"][0][0]

    async def scenario():
        tasks = [asyncio.create_task(follow(*pair)) for pair in (
            (lambda: exchange.watch_order_book(symbol), count),
            (lambda: exchange.watch_trades(symbol), lambda rows: trades.update({t["id"]: t for t in rows})),
            (lambda: exchange.watch_ohlcv(symbol, "1m"), lambda rows: candles.update({row[0]: row for row in rows})))]
        end = time.monotonic() + 15
        while updates < 15 or len(trades) < 5 or not candles:
            assert time.monotonic() < end, (updates, len(trades), candles)
            assert not any(task.done() for task in tasks), [task.exception() for task in tasks if task.done()]
            await asyncio.sleep(0.05)
        recording.sim.faults.pause()
        # The windows that are still open.
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return exchange.orderbooks[symbol]

    async def whole():
        try:
            await exchange.load_markets()
            recording.sim.faults.resume()
            return await scenario()
        finally:
            await exchange.close()
    book = asyncio.run(whole())
    expected = recording.get("depth?symbol=BTCUSDT&limit=1000")
    assert book["nonce"] == expected["lastUpdateId"]
    for side in ("bids", "asks"):
        assert [row[:2] for row in book[side]][:50] == [[float(p), float(q)] for p, q in expected[side]][:50]
    if not recording.futures:
        # ccxt reads spot's trades one by one.
        rest = {str(r["id"]): (float(r["price"]), float(r["qty"])) for r in recording.get("trades?symbol=BTCUSDT&limit=1000")}
        assert all(rest[number] == (t["price"], t["amount"]) for number, t in trades.items())
