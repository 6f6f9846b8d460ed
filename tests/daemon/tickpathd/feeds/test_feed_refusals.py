"""A subscription that the venue refuses: counted, said once, asked for again until it is taken, and no other stream suffers.

The feeds of a real engine, against a server that answers in each venue's words as told, and against the venue simulator.
"""
import asyncio
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from picows import WSListener, WSMsgType, ws_create_server

from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.ring import EventReader, EventWriter, records
from tickpath.types import BookState, EventType, FeedKind
from tickpathd.config import load_config
from tickpathd.engine_spec import engine_spec, paper_spec
from tickpathd.feeds import refusals
from tickpathd.feeds.feeds import Feeds
from tickpathd.feeds.protocol import ControlKind, Stream, protocol_of
from tickpathd.feeds.refusals import Refusals, streams_named

ROOT = Path(__file__).resolve().parents[4]
VENUES = ("binance_spot", "binance_usdm", "bybit", "coinbase", "kraken", "okx")
SPELLING = {"binance_spot": "{}{}", "binance_usdm": "{}{}", "bybit": "{}{}", "coinbase": "{}-{}", "kraken": "{}/{}", "okx": "{}-{}"}


def refusal(venue, request):
    """What the venue answers to a request with a symbol that it does not have, in the words of its documentation."""
    if venue.startswith("binance"):
        return {"error": {"code": 2, "msg": "Invalid request: unknown stream"}, "id": request["id"]}
    if venue == "coinbase":
        return {"type": "error", "message": "failure to subscribe"}
    if venue == "kraken":
        return {"error": "Currency pair not supported NOPE/USD", "method": "subscribe", "success": False, "symbol": "NOPE/USD",
                "time_in": "2026-11-21T00:00:00.000000Z", "time_out": "2026-11-21T00:00:00.000001Z"}
    if venue == "okx":
        return {"event": "error", "code": "60018", "msg": "Wrong URL or channel:books,instId:NOPE-USD doesn't exist.", "connId": "a"}
    return {"success": False, "ret_msg": "error:handler not found,topic:orderbook.200.NOPEUSD", "conn_id": "a", "req_id": "", "op": "subscribe"}


def acceptance(venue, request):
    if venue.startswith("binance"):
        return {"result": None, "id": request["id"]}
    if venue == "coinbase":
        return {"channel": "subscriptions", "client_id": "", "timestamp": "2026-11-21T00:00:00Z", "sequence_num": 0, "events": [{"subscriptions": {}}]}
    if venue == "kraken":
        return {"method": "subscribe", "result": {"channel": "book", "symbol": "BTC/USD"}, "success": True, "time_in": "", "time_out": ""}
    if venue == "okx":
        return {"event": "subscribe", "arg": {"channel": "books", "instId": "BTC-USD"}, "connId": "a"}
    return {"success": True, "ret_msg": "", "conn_id": "a", "req_id": "", "op": "subscribe"}


class StrictVenue(WSListener):
    """Refuses each request with the unknown symbol so many times, then takes it; keeps what it was asked."""

    def __init__(self, venue, refuse):
        self.venue, self.refuse, self.refused, self.taken = venue, refuse, 0, []

    def on_ws_connected(self, transport):
        pass

    def on_ws_frame(self, transport, frame):
        if frame.msg_type != WSMsgType.TEXT:
            return
        text = frame.get_payload_as_utf8_text()
        request = json.loads(text)
        if "nope" in text.lower() and self.refused < self.refuse:
            self.refused += 1
            transport.send(WSMsgType.TEXT, json.dumps(refusal(self.venue, request)).encode())
        else:
            self.taken.append(text)
            transport.send(WSMsgType.TEXT, json.dumps(acceptance(self.venue, request)).encode())


def new_feeds(tmp_path, venue, ws_url, bases, *, quote="USD", channels=("book", "trades", "quotes"), **instrument):
    """(Feeds, Session, event reader) of an engine with one instrument for each base asset."""
    items = "".join("[[instruments]]\nvenue = \"v\"\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in {
        "symbol": f"{base}/{quote}", "venue_symbol": SPELLING[venue].format(base, quote), "tick_size": "0.01", "lot_size": "0.00000001",
        "min_notional": "0", **instrument}.items()) for base in bases)
    path = tmp_path / "feeds.toml"
    path.write_text(f'[instance]\nname = "refusals"\n[venues.v]\nkind = "{venue}"\nws_url = "{ws_url}"\nresync_after_ms = 60000\n'
                    f'silent_after_ms = 60000\nchannels = {json.dumps(channels)}\ndepth = {10 if venue == "kraken" else 200}\n{items}')
    config = load_config([path], [])
    writer = EventWriter.local(1 << 18)
    session = Session(Engine(engine_spec(config, epoch=1, started_ns=0), writer), paper_spec(config))
    return Feeds(session, config, 16 << 20), session, EventReader(writer.buffer, 1)


async def until(condition, what, seconds=20):
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, f"expected {what}"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("venue", VENUES)
def test_a_refused_subscription_is_said_once_and_asked_for_until_it_is_taken(venue, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(refusals, "RETRY_MIN_S", 0.05)
    monkeypatch.setattr(refusals, "SETTLED_S", 0.5)
    server_side = StrictVenue(venue, refuse=4)

    async def main():
        server = await ws_create_server(lambda request: server_side, "127.0.0.1", 0)
        feeds, _, reader = new_feeds(tmp_path, venue, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", ["BTC", "NOPE"])
        try:
            feeds.start()
            await until(lambda: server_side.refused == 4, "four refusals")
            await until(lambda: any("nope" in text.lower() for text in server_side.taken), "the request again")
            await until(lambda: not feeds.lines[0].refusals_said, "the end of the refusals")
        finally:
            await feeds.stop()
            server.close()
        return feeds.counters, records(reader.read(1 << 16), EventType.EV_FEED)
    counters, events = asyncio.run(main())
    assert counters["subscriptions_refused"] == 4 and 1 <= counters["subscription_retries"] <= 4
    assert "lost_sockets" not in counters and "resubscriptions" not in counters
    assert (events["kind"] == FeedKind.FEED_REFUSED).sum() == 4
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2].split(":")[1].strip() for line in lines] == ["the venue refused a subscription",
                                                                                "the venue takes what it had refused"], lines
    # BTC's own streams were taken as well.
    assert any(SPELLING[venue].format("BTC", "USD").lower() in text.lower() for text in server_side.taken)


SIMULATED = {
    "kraken": ("kraken/kraken_v2_book10_BTCUSD_20260719T1754.jsonl.gz", "", {"tick_size": "0.1", "price_decimals": 1, "qty_decimals": 8, "channels": ["book"]}),
    "okx": ("okx/cryptofeed_OKX_20220513.jsonl.zst", "", {"tick_size": "0.1", "quote": "USDT"}),
    "bybit": ("bybit/cryptofeed_BYBIT_20260809.jsonl.zst", "/v5/public/spot", {"lot_size": "0.000001", "quote": "USDT"}),
}


@pytest.mark.parametrize("venue", SIMULATED)
def test_the_other_instruments_of_a_line_are_good_while_one_is_refused(venue, tmp_path, shared_data, monkeypatch, capsys):
    monkeypatch.setattr(refusals, "RETRY_MIN_S", 0.05)
    capture, path, instrument = SIMULATED[venue]
    sim = subprocess.Popen([sys.executable, "-m", "tickpath_sim.cli", "serve", "--port", "0", "--venue", venue, "--speed", "4", "--loop",
                            "--capture", str(shared_data(f"ws/{capture}"))], cwd=ROOT, stdout=subprocess.PIPE, text=True)

    async def main():
        feeds, session, _ = new_feeds(tmp_path, venue, json.loads(sim.stdout.readline())["ws_url"] + path, ["BTC", "NOPE"], **instrument)
        try:
            feeds.start()
            await until(lambda: session.gate(0)[0] == BookState.BOOK_GOOD, "the other book")
            await until(lambda: feeds.counters.get("subscriptions_refused", 0) >= 4, "four refusals")
            assert session.gate(0)[0] == BookState.BOOK_GOOD and session.gate(1)[0] == BookState.BOOK_SYNCING
        finally:
            await feeds.stop()
        return feeds.counters
    try:
        counters = asyncio.run(main())
    finally:
        sim.terminate()
        sim.communicate(timeout=20)
    assert counters["subscription_retries"] >= 1 and "lost_sockets" not in counters
    assert sum("refused a subscription" in line for line in capsys.readouterr().err.splitlines()) == 1


def test_a_stream_is_named_by_its_whole_symbol():
    streams = [Stream(n, symbol, "book") for n, symbol in enumerate(("BTC-USD", "BTC-USDT", "BTC/USD", "XBTUSD"))]

    def named(text):
        return [s.symbol for s in streams_named(text, streams)]
    assert named("channel:books,instId:BTC-USDT doesn't exist") == ["BTC-USDT"]
    assert named("Currency pair not supported BTC/USD") == ["BTC/USD"]
    assert named("handler not found,topic:orderbook.50.XBTUSD") == ["XBTUSD"]
    assert named("2 Invalid request") == named("") == []


def test_pauses_grow_to_their_limit_and_texts_that_never_repeat_are_not_echoed():
    said = []
    feeds = SimpleNamespace(count=lambda name: None, say=lambda line, text: said.append(text), gate=lambda instrument: (BookState.BOOK_GOOD, 0))
    line = SimpleNamespace(feeds=feeds, streams=[], instruments=[], refusals_said=set())
    found, pauses = Refusals(line, None), []
    for n in range(200):
        found.refused(f"error {n}")
        pauses.append(found.pause_s)
        found.due_s = None
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0] and pauses[-1] == refusals.RETRY_MAX_S
    assert len(said) == refusals.SAID_MAX


@pytest.mark.parametrize("venue, message, kind", [
    ("bybit", {"success": False, "ret_msg": "error:already subscribed,topic:publicTrade.BTCUSDT", "op": "subscribe"}, ControlKind.ACK),
    ("bybit", {"success": False, "ret_msg": "error:Params Error", "op": ""}, ControlKind.REFUSED),
    ("kraken", {"error": "Already subscribed", "method": "subscribe", "success": False, "symbol": "BTC/USD"}, ControlKind.ACK),
    ("kraken", {"error": "Malformed request", "success": False}, ControlKind.ERROR),
    ("coinbase", {"type": "error", "message": "authentication failure"}, ControlKind.REFUSED),
    ("okx", {"event": "error", "code": "60012", "msg": "Invalid request"}, ControlKind.REFUSED),
    ("binance_spot", {"code": 3, "msg": "Invalid JSON"}, ControlKind.REFUSED)])
def test_answers_are_told_apart(venue, message, kind):
    settings = SimpleNamespace(kind=venue, ws_url="", rest_url="", depth=100)
    assert protocol_of(settings).control(json.dumps(message).encode()).kind is kind


def test_usdm_streams_are_asked_for_where_they_are_served():
    settings = SimpleNamespace(kind="binance_usdm", ws_url="", rest_url="", depth=100)
    assert protocol_of(settings).url([]) == "wss://fstream.binance.com/public/stream"
