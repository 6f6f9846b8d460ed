"""OKX: scanner and JSON tape, side by side on mutated messages: whatever the scanner takes, the tape decodes the same."""
import json
import random

import pytest
from decode_pair import DecoderPair, mutated, reformed, revalued
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.capture import read_capture
from tickpath.types import Status
from tickpath.venues.okx_facts import scan_facts

pytestmark = pytest.mark.sampled

INSTRUMENTS = [("BTC-USDT", "0.1", "0.00000001"), ("UNI-USD-SWAP", "0.001", "1"), ("FUN-BTC", "0.000000001", "0.01"),
               ("BTC-USD-210924-66000-C", "0.0005", "1")]
# Recorded, shortened, but for those with seqId, which the recordings do not have.
SEEDS = [
    b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["30243.5","1.2112","0","4"],["30247.5","0","0","0"]],"bids":[["30175.3","0.06523858","0","12"]],"ts":"1652459225453","checksum":-652563973}]}',
    b'{"arg":{"channel":"books-l2-tbt","instId":"BTC-USD-210924-66000-C"},"action":"snapshot","data":[{"asks":[["0.0085","300","0","1"]],"bids":[["0.0065","5","0","1"],["0.0005","10","0","123"]],"ts":"1626995750044","checksum":1431042442}]}',
    b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[],"bids":[],"ts":"1765201257005","checksum":0,"seqId":9690930615,"prevSeqId":9690930615}]}',
    b'{"arg":{"channel":"books50-l2-tbt","instId":"UNI-USD-SWAP"},"action":"snapshot","data":[{"asks":[["5.148","60","0","1"]],"bids":[],"ts":"1765201257005","checksum":0,"prevSeqId":-1,"seqId":9690930615}]}',
    b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["8476.9","415","0","13"]],"bids":[["8476.8","256","0","12"]],"ts":"1597026383085","seqId":123456}]}',
    b'{"arg":{"channel":"books5","instId":"FUN-BTC"},"data":[{"asks":[["0.000000455","142796.14","0","1"]],"bids":[["0.000000452","0.5","0","1"]],"ts":"1597026383085"}]}',
    b'{"arg":{"channel":"trades","instId":"FUN-BTC"},"data":[{"instId":"FUN-BTC","tradeId":"3435655","px":"0.000000454","sz":"11.83","side":"sell","ts":"1626995753055"}]}',
    b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897","count":"3","source":"0","seqId":77},{"instId":"BTC-USDT","tradeId":"130639475","px":"42219","sz":"1","side":"sell","ts":"1630048897897","count":"1"}]}',
    b'{"arg":{"channel":"trades-all","instId":"UNI-USD-SWAP"},"data":[{"instId":"UNI-USD-SWAP","tradeId":"12883020","px":"5.123","sz":"100","side":"sell","ts":"1652459215150"}]}',
    b'{"arg":{"channel":"tickers","instId":"UNI-USD-SWAP"},"data":[{"instType":"SWAP","instId":"UNI-USD-SWAP","last":"5.123","lastSz":"100","askPx":"5.142","askSz":"25","bidPx":"5.134","bidSz":"96","open24h":"4.799","high24h":"5.458","low24h":"4.537","sodUtc0":"4.654","sodUtc8":"5.204","volCcy24h":"577730.7823","vol24h":"289425","ts":"1652459223143"}]}',
    b'{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT","instId":"BTC-USDT","last":"","lastSz":"","askPx":"9999.9","askSz":"11","bidPx":"8888.8","bidSz":"0.00000005","open24h":"","high24h":"","low24h":"","sodUtc0":"","sodUtc8":"","volCcy24h":"","vol24h":"","ts":"1597026383085"}]}',
]
OTHERS = [
    b'{"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1597026360000","8533.1","8553.7","8527.2","8548.3","45.2","5","6","0"]]}',
    b'{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkPx":"5.123","side":"buy","sz":"13","ts":"1692266434010"}],"instId":"UNI-USD-SWAP"}]}',
    b'{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}',
]


@pytest.fixture(scope="module")
def both():
    return DecoderPair("okx", INSTRUMENTS, SEEDS[7], SEEDS[1])


def test_the_scanner_takes_every_seed(both):
    for seed in SEEDS:
        assert both.check(seed), seed
    for other in OTHERS:
        assert not both.check(other)


def test_they_agree_on_changed_bytes(both):
    r = random.Random(20261121)
    assert sum(both.check(mutated(r, r.choice(SEEDS), SEEDS + OTHERS)) for _ in range(examples(40_000))) > examples(2_000)


def test_they_agree_on_changed_numbers(both):
    r = random.Random(20261122)
    assert sum(both.check(revalued(r, r.choice(SEEDS))) for _ in range(examples(20_000))) > examples(3_000)


def test_they_agree_on_every_byte_replaced(both):
    r = random.Random(3)
    for seed in SEEDS:
        for at in range(len(seed)):
            for c in {*b'09"\\{},:\x00\xff', r.randrange(256), seed[at] ^ 1 << r.randrange(8)}:
                both.check(seed[:at] + bytes([c]) + seed[at + 1:])


def test_they_agree_on_every_truncation_and_none_is_taken(both):
    for seed in SEEDS:
        for n in range(len(seed)):
            assert not both.check(seed[:n])
            assert both.status(seed[:n]) == Status.STATUS_MALFORMED


def test_bytes_behind_a_frame_never_count(both):
    # Frames lie one behind the other in a socket's buffer. Of three frames a batch of two decodes the first two; the third,
    # which would make a whole message of the second, only lies behind them.
    for decoder in (both.fast, both.slow):
        for seed in SEEDS:
            assert len(decoder.time_cycles([seed, seed, b"}}"], batch=2)) == 1
            for n in range(1, len(seed)):
                with pytest.raises(ValueError, match="found one that is refused"):
                    decoder.time_cycles([seed, seed[:n], seed[n:]], batch=2)


def test_another_form_of_the_same_message_changes_nothing(both):
    r = random.Random(5)
    for seed in SEEDS:
        expected = both.outcome(both.slow, seed)[0]
        for _ in range(40):
            other = reformed(r, seed)
            both.check(other)
            assert both.outcome(both.fast, other)[0] == expected, other


def test_they_agree_up_to_the_largest_count_of_levels(both):
    text = b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":[%s],"bids":[%s],"ts":"1652459225453","checksum":5}]}'
    row = b'["30243.5","1","0","4"]'
    for asks, bids in ((65533, 1), (65533, 2), (65534, 0), (65534, 1), (65535, 0), (0, 65534)):
        fits = asks + bids <= 65534
        assert both.check(text % (b",".join([row] * asks), b",".join([row] * bids))) == fits


NUMBER = st.decimals(min_value=0, max_value=10 ** 12, places=12, allow_nan=False)


@settings(max_examples=examples(400), deadline=None)
@given(st.integers(0, len(SEEDS) - 1), st.lists(NUMBER, min_size=8, max_size=8), st.lists(st.integers(0, 13), min_size=8, max_size=8),
       st.integers(-2 ** 65, 2 ** 65))
def test_they_agree_on_any_numbers(both, which, numbers, places, big):
    message = json.loads(SEEDS[which])
    texts = iter(f"{n:.{p}f}" for n, p in zip(numbers, places, strict=True))
    (element,) = message["data"][:1]
    for key in ("px", "sz", "askPx", "askSz", "bidPx", "bidSz"):
        if key in element:
            element[key] = next(texts)
    for row in element.get("asks", []) + element.get("bids", []):
        row[:2] = next(texts, "1"), next(texts, "1")
    for key in ("seqId", "prevSeqId", "checksum"):
        if key in element and len(str(big)) % 3 == len(key) % 3:
            element[key] = big
    both.check(json.dumps(message, separators=(",", ":")).encode())


@pytest.mark.parametrize("name", ["cryptofeed_OKEX_20210722", "cryptofeed_OKX_20220513"])
def test_they_agree_on_the_recordings_and_on_mutants_of_them(shared_data, name):
    frames = list(read_capture(shared_data(f"ws/okx/{name}.jsonl.zst")))
    facts = {}
    for frame in frames:
        scan_facts(frame, facts)
    carried = {key[1]: found for key, found in sorted(facts.items(), key=str) if key[0] is not None}
    instruments = [(symbol, found.tick_size, found.lot_size) for symbol, found in carried.items()]
    data = [frame.data for frame in frames if frame.source == "ws"]
    trades = [d for d in data if b'"trades"' in d[:40] and b"event" not in d]
    snapshots = [d for d in data if b'"action":"snapshot"' in d]
    pair = DecoderPair("okx", instruments, snapshots[0], trades[0])
    r = random.Random(name)
    for d in data:
        # Every book, trade and ticker takes the scanner.
        assert pair.check(d) == (b'"event"' not in d)
        if len(d) < 4000:
            pair.check(mutated(r, d, trades))
            pair.check(revalued(r, d))
