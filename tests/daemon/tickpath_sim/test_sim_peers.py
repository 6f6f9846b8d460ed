"""Clients that others wrote, as judges: picows, websockets, ccxt."""
import asyncio
import json
import ssl

import picows
import pytest
from sim_harness import SPOT, BinanceFollower, as_numbers

from required import require_package

DIFFS = "/ws/btcusdt@depth@100ms"


def inject(sim, fault, count=1):
    """Arm a fault, let changes pass for it to act on, and one more."""
    before = len(sim.faults.log(fault))
    sim.faults.arm(fault, count=count)
    sim.faults.step(count + 1, "BTCUSDT")
    assert len(sim.faults.log(fault)) == before + count


def test_picows_follows_the_truth_hands_over_reserved_bits_and_refuses_oversize(start_sim):
    sim = start_sim(SPOT, "--start-after", "1", "--speed", "0.000001")
    sim.faults.pause()
    follower, reserved = BinanceFollower(sim, "BTCUSDT"), []

    class Listener(picows.WSListener):
        def on_ws_frame(self, transport, frame):
            if frame.msg_type == picows.WSMsgType.TEXT:
                reserved.append(frame.rsv2)
                follower.feed(json.loads(frame.get_payload_as_bytes()))

    async def connected():
        transport, _ = await picows.ws_connect(Listener, sim.addresses["ws_url"] + DIFFS)
        return transport

    async def main():
        transport = await connected()
        await asyncio.to_thread(follower.snapshot, 5000)
        await asyncio.to_thread(sim.faults.step, 100)
        while follower.last < sim.faults.truth("BTCUSDT")["sequence"]:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(inject, sim, "reserved_bits")
        await asyncio.to_thread(inject, sim, "oversize")
        with pytest.raises(picows.WSProtocolError, match="exceeding max allowed size"):
            await asyncio.wait_for(transport.wait_disconnected(), 10)
        return int(transport.close_handshake.sent.code)
    code = asyncio.run(main())
    assert follower.gaps == 0 and follower.applied > 0
    # picows leaves the reserved bits to the listener.
    assert sum(reserved) == 1 and code == 1009


def test_websockets_follows_over_tls_and_judges_the_protocol(start_sim, require_tool):
    websockets = require_package("websockets", "dev")
    require_tool("openssl", "openssl")
    sim = start_sim(SPOT, "--start-after", "1", "--speed", "0.000001", "--tls", "--ping-interval-s", "0.1", "--pong-timeout-s", "1",
                    "--messages-per-s", "0")
    sim.faults.pause()
    context = ssl.create_default_context(cafile=sim.addresses["ca_file"])
    faults = {"bad_utf8": 1007, "reserved_bits": 1002, "deflate_bomb": 1002, "oversize": 1009}

    async def main():
        codes, whole = {}, []
        async with websockets.connect(sim.addresses["ws_url"] + DIFFS, ssl=context, max_size=10 << 20) as client:
            await asyncio.to_thread(inject, sim, "fragment", 3)
            for _ in range(4):
                whole.append(json.loads(await client.recv()))
        for fault in faults:
            async with websockets.connect(sim.addresses["ws_url"] + DIFFS, ssl=context, max_size=10 << 20) as client:
                await asyncio.to_thread(inject, sim, fault)
                with pytest.raises(websockets.ConnectionClosed) as failure:
                    while True:
                        await asyncio.wait_for(client.recv(), 10)
                codes[fault] = failure.value.sent.code
        return codes, whole
    codes, whole = asyncio.run(main())
    assert codes == faults
    assert [a["u"] + 1 for a in whole[:-1]] == [b["U"] for b in whole[1:]]


def test_ccxt_builds_the_books_of_the_truth_and_sees_every_trade(start_sim):
    ccxt = require_package("ccxt.pro", "research")
    sim = start_sim(SPOT, "--start-after", "2", "--speed", "20x", "--rest-weight-per-min", "0")
    ws, rest = sim.addresses["ws_url"], sim.addresses["rest_url"]

    async def main():
        exchange = ccxt.binance({"options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}, "newUpdates": True})
        exchange.urls["api"]["public"] = rest + "/api/v3"
        exchange.urls["api"]["ws"]["spot"] = ws + "/ws"
        trades, compared = [], 0
        try:
            await exchange.load_markets()
            assert exchange.market("BTC/USDT")["precision"]["price"] == 0.01

            async def watch_trades():
                while len(trades) < 150:
                    trades.extend(await exchange.watch_trades("BTC/USDT"))

            async def watch_book(count):
                for _ in range(count):
                    book = await exchange.watch_order_book("BTC/USDT")
                return book
            await asyncio.wait_for(asyncio.gather(watch_trades(), watch_book(40)), 60)
            for _ in range(3):
                sim.faults.pause()
                # What was on its way arrives, and changes nothing once it has.
                truth, end = sim.faults.truth("BTCUSDT"), asyncio.get_running_loop().time() + 10
                while (book := exchange.orderbooks["BTC/USDT"])["nonce"] != truth["sequence"]:
                    assert asyncio.get_running_loop().time() < end, (book["nonce"], truth["sequence"])
                    await asyncio.sleep(0.02)
                for side in ("bids", "asks"):
                    ours = [(float(p), float(q)) for p, q in as_numbers(truth[side])]
                    assert [tuple(row[:2]) for row in book[side][:10]] == ours
                compared += 1
                sim.faults.resume()
                await asyncio.wait_for(watch_book(20), 30)
        finally:
            await exchange.close()
        return trades, compared
    trades, compared = asyncio.run(main())
    ids = [int(trade["id"]) for trade in trades]
    assert compared == 3 and ids == list(range(ids[0], ids[0] + len(ids)))
