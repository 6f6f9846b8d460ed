"""Bybit: scanner and JSON tape, side by side on mutated messages: whatever the scanner takes, the tape decodes the same."""
import json
import random

import pytest
from decode_pair import DecoderPair, mutated, reformed, revalued
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.capture import read_capture
from tickpath.types import Status
from tickpath.venues.bybit_facts import scan_facts

pytestmark = pytest.mark.sampled

INSTRUMENTS = [("BTCUSDT", "0.10", "0.000001"), ("ETHUSDT", "0.01", "0.00001"), ("DOGEUSDT", "0.00001", "1"),
               ("1000000BABYDOGEUSDT", "0.0000001", "100")]
# Recorded, shortened; the fifth has the form of 2023, without cts.
SEEDS = [
    b'{"topic":"orderbook.200.BTCUSDT","type":"delta","ts":1786310818130,"data":{"s":"BTCUSDT","b":[["65095.30","0.005"],["65094.60","0"]],"a":[["65116.60","0.076"]],"u":15076953,"seq":753843913870},"cts":1786310818129}',
    b'{"topic":"orderbook.200.ETHUSDT","type":"snapshot","ts":1786310817730,"data":{"s":"ETHUSDT","b":[["1922.42","157.37"],["1922.41","0.02"]],"a":[["1924.61","5.74"],["1924.63","0.27"]],"u":14768460,"seq":430879399576},"cts":1786310817629}',
    b'{"topic":"orderbook.50.BTCUSDT","ts":1786310816618,"type":"delta","data":{"s":"BTCUSDT","b":[],"a":[["65154.6","0.09948"],["65239","0.155135"],["65239.1","0"]],"u":62505425,"seq":112488545865},"cts":1786310816585}',
    b'{"topic":"orderbook.200.ETHUSDT","ts":1786310816553,"type":"snapshot","data":{"s":"ETHUSDT","b":[["1923.2","7.448"]],"a":[["1928.4","0.03411"]],"u":1,"seq":178477360627},"cts":1786310816504}',
    b'{"topic":"orderbook.1.1000000BABYDOGEUSDT","type":"delta","ts":1680673821137,"data":{"s":"1000000BABYDOGEUSDT","b":[["0.0012345","1200"]],"a":[],"u":7003306,"seq":50193543147}}',
    b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1786310819681,"data":[{"T":1786310819680,"s":"BTCUSDT","S":"Sell","v":"0.004","p":"65114.20","L":"MinusTick","i":"a9188a0a-82bc-50de-be60-03eedbe3cdd7","BT":false,"RPI":false,"seq":753843954913}]}',
    b'{"topic":"publicTrade.ETHUSDT","type":"snapshot","ts":1786310820347,"data":[{"T":1786310820346,"s":"ETHUSDT","S":"Buy","v":"0.01","p":"1922.50","L":"PlusTick","i":"19d7df56-4f10-5290-a969-d9d9f2c74cc3","BT":true},{"T":1786310820347,"s":"ETHUSDT","S":"Sell","v":"1.30","p":"1922.50","L":"ZeroPlusTick","i":"4d4ad26c-901f-5146-adc0-1db29b6b9ab6","BT":false,"RPI":true}]}',
    b'{"topic":"publicTrade.ETHUSDT","ts":1786310821917,"type":"snapshot","data":[{"i":"2280000001739247417","T":1786310821917,"p":"1923.28","v":"0.04537","S":"Sell","seq":178477362706,"s":"ETHUSDT","BT":false,"RPI":false},{"i":"17","T":1786310821918,"p":"1923.3","v":"1","S":"Buy","s":"ETHUSDT","BT":false}]}',
    b'{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","markPrice":"65117.43","openInterestValue":"3899995666.09","bid1Price":"65114.20","bid1Size":"6.054","ask1Price":"65114.30","ask1Size":"10.488","singleOpenInterestValue":"1949997833.04"},"cs":753843915209,"ts":1786310818183}',
    b'{"topic":"tickers.DOGEUSDT","type":"snapshot","data":{"symbol":"DOGEUSDT","tickDirection":"ZeroPlusTick","price24hPcnt":"-0.006899","lastPrice":"0.07053","markPrice":"0.07055","indexPrice":"0.07056","openInterest":"1391590942","nextFundingTime":"1786320000000","fundingRate":"-0.00005","bid1Price":"0.07053","bid1Size":"307807","ask1Price":"0.07054","ask1Size":"16396","preOpenPrice":"","curPreListingPhase":""},"cs":340051121752,"ts":1786310818834}',
    b'{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","fundingRate":"0.0001","nextFundingTime":"","indexPrice":""},"cs":1,"ts":1786310818183}',
    b'{"topic":"tickers.BTCUSDT","ts":1786310819126,"type":"snapshot","cs":112488546160,"data":{"symbol":"BTCUSDT","lastPrice":"65140.5","highPrice24h":"65305.6","usdIndexPrice":"65091.459221"}}',
]
OTHERS = [
    b'{"topic":"kline.1.BTCUSDT","data":[{"start":1786310760000,"end":1786310819999,"interval":"1","open":"65119.9","close":"65114.3","high":"65119.9","low":"65114.2","volume":"1.576","confirm":false}],"ts":1786310818440,"type":"snapshot"}',
    b'{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","bid1Price":"65114.20","bid1Size":"6.124"},"cs":753843922769,"ts":1786310818484}',
    b'{"success":true,"ret_msg":"","conn_id":"d8bu1olkndm7crnfs1e0-j6akw","req_id":"","op":"subscribe"}',
]


@pytest.fixture(scope="module")
def both():
    return DecoderPair("bybit", INSTRUMENTS, SEEDS[6], SEEDS[1])


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


def test_they_agree_on_tickers_of_any_fields_in_any_order(both):
    r = random.Random(9)
    keys = ["bid1Price", "bid1Size", "ask1Price", "ask1Size", "markPrice", "indexPrice", "openInterest", "fundingRate", "nextFundingTime",
            "lastPrice", "symbol", "bidPrice", "askSize", "turnover24h", "xbid1Price", "bid1PriceX", "", "mark", "deliveryFeeRate"]
    values = ["0.07053", "16396", "", "0", "-0.000212", "1786320000000", "1e-3", "x", "1234567890.12345678901", "-", "5.", "}", "12345678901234567"]
    scanned = 0
    for _ in range(examples(20_000)):
        fields = ",".join(f'"{r.choice(keys)}":"{r.choice(values if r.random() < 0.3 else values[:2])}"' for _ in range(r.randrange(1, 9)))
        scanned += both.check(b'{"topic":"tickers.DOGEUSDT","type":"delta","data":{"symbol":"DOGEUSDT",%s},"cs":1,"ts":1786310818183}' % fields.encode())
    assert scanned > examples(2_000)


def test_they_agree_up_to_the_largest_count_of_levels(both):
    text = b'{"topic":"orderbook.1000.BTCUSDT","type":"snapshot","ts":1786310818130,"data":{"s":"BTCUSDT","b":[%s],"a":[%s],"u":5,"seq":7}}'
    row = b'["65095.30","0.005"]'
    for bids, asks in ((65533, 1), (65533, 2), (65534, 0), (65535, 0), (0, 65534)):
        fits = asks + bids <= 65534
        assert both.check(text % (b",".join([row] * bids), b",".join([row] * asks))) == fits


NUMBER = st.decimals(min_value=0, max_value=10 ** 12, places=12, allow_nan=False)


@settings(max_examples=examples(400), deadline=None)
@given(st.integers(0, len(SEEDS) - 1), st.lists(NUMBER, min_size=8, max_size=8), st.lists(st.integers(0, 13), min_size=8, max_size=8),
       st.integers(-2 ** 65, 2 ** 65))
def test_they_agree_on_any_numbers(both, which, numbers, places, big):
    message = json.loads(SEEDS[which])
    texts = iter(f"{n:.{p}f}" for n, p in zip(numbers, places, strict=True))
    data = message["data"]
    for element in data if isinstance(data, list) else [data]:
        for key in ("p", "v", "bid1Price", "bid1Size", "ask1Price", "ask1Size", "markPrice", "fundingRate", "openInterest"):
            if key in element:
                element[key] = next(texts, "1")
        for row in element.get("b", []) + element.get("a", []):
            row[:2] = next(texts, "1"), next(texts, "1")
        for key in ("u", "seq", "T", "i", "nextFundingTime"):
            if key in element and len(str(big)) % 3 == len(key) % 3:
                element[key] = str(big) if isinstance(element[key], str) else big
    both.check(json.dumps(message, separators=(",", ":")).encode())


def test_they_agree_on_the_recording_and_on_mutants_of_it(shared_data):
    frames = list(read_capture(shared_data("ws/bybit/cryptofeed_BYBIT_20260809.jsonl.zst")))
    facts = {}
    for frame in frames:
        scan_facts(frame, facts)
    conns = {frame.conn for frame in frames if frame.source == "ws"}
    pairs = {}
    for conn in sorted(conns):
        own = [f.data for f in frames if f.conn == conn]
        instruments = [(symbol, found.tick_size, found.lot_size) for (c, symbol), found in facts.items() if c == conn]
        pairs[conn] = DecoderPair("bybit", instruments, next(d for d in own if b'"publicTrade' in d),
                                  next(d for d in own if b'"orderbook' in d and b'"snapshot"' in d))
    r = random.Random(1)
    for frame in frames:
        d = frame.data
        if frame.source == "rest":
            continue
        scanned = pairs[frame.conn].check(d)
        if b'"topic":"orderbook' in d or b'"topic":"publicTrade' in d:
            assert scanned
        if len(d) < 4000:
            pairs[frame.conn].check(mutated(r, d, SEEDS))
            pairs[frame.conn].check(revalued(r, d))
