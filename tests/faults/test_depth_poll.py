"""Each venue's own depth over REST, asked of the venue simulator and read exactly."""
from decimal import Decimal

import pytest
from feed_harness import Simulator

from process_harness import until
from tickpathd.config import Venue
from tickpathd.feeds.depth_poll import DepthError, depth_path, depth_weight, parse_depth
from tickpathd.gateway import Rest

CAPTURES = {
    "binance_spot": ("ws/binance_spot/hftbacktest_btcusdt_20240808.gz", ""),
    "binance_usdm": ("ws/binance_usdm/cryptofeed_BINANCE_FUTURES_20210722.jsonl.zst", ""),
    "coinbase": ("ws/coinbase/cryptofeed_COINBASE_20260809.jsonl.zst", ""),
    "kraken": ("ws/kraken/cryptofeed_KRAKEN_20210417.jsonl.zst", ""),
    "okx": ("ws/okx/cryptofeed_OKX_20220513.jsonl.zst", ""),
    "bybit": ("ws/bybit/cryptofeed_BYBIT_20260809.jsonl.zst", "/v5/public/linear"),
}


@pytest.mark.parametrize("kind", CAPTURES)
def test_book_over_rest_is_the_truth(shared_data, kind):
    capture, path = CAPTURES[kind]
    simulator = Simulator(kind, shared_data(capture), "--start-after", "0", "--speed", "50")
    try:
        symbol = until(lambda: next((s for s in symbols(simulator) if has_book(simulator, s)), None), "a book", 20)
        simulator.faults.pause()
        settings = Venue(kind=kind, ws_url=f"wss://x{path}", depth=10)
        rest = Rest(simulator.urls["rest_url"])
        status, _, body = rest.get(depth_path(settings, symbol.rpartition(":")[2]))
        assert status == 200, body
        answer, truth = parse_depth(kind, body), simulator.faults.truth(symbol)
        for ours, theirs in ((answer.bids, truth["bids"]), (answer.asks, truth["asks"])):
            assert len(ours) > 0
            assert [tuple(map(Decimal, row)) for row in ours[:10]] == [tuple(map(Decimal, map(str, row[:2]))) for row in theirs[:10]]
    finally:
        simulator.stop()


def symbols(simulator):
    return [s for s in simulator.faults._ask("GET", "/truth")["symbols"] if not s.startswith(("spot:", "inverse:"))]


def has_book(simulator, symbol):
    truth = simulator.faults.truth(symbol)
    return bool(truth["bids"] and truth["asks"])


@pytest.mark.parametrize("kind", CAPTURES)
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"bids":1,"asks":2}', b'{"result":{}}', b'{"data":[]}', b"\xff", b"[" * 100_000])
def test_answer_that_is_no_book_is_refused_with_its_beginning(kind, body):
    with pytest.raises(DepthError, match=f"expected a book of {kind}, found"):
        parse_depth(kind, body)


def test_deeper_polls_weigh_more_at_binance():
    assert [depth_weight(Venue(kind="binance_spot", depth=d))[0] for d in (50, 500, 1000)] == [5, 25, 50]
    assert depth_weight(Venue(kind="kraken")) == (1, 60)
