"""Scanner and simdjson, side by side on mutated real messages: whatever the scanner takes, simdjson decodes the same."""
import gzip
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickpath.types import Status
from tickpath.venues.binance_decode import MessageDecoder

INSTRUMENTS = [("BTCUSDT", "0.01", "0.000001"), ("ETHUSDT", "0.01", "0.0001")]
SEEDS = [
    b'{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}',
    b'{"u":400900217,"s":"ETHUSDT","b":"25.35000000","B":"31.21000000","a":"25.36000000","A":"40.66000000"}',
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}',
    b'{"e":"aggTrade","E":1672515782136,"s":"BTCUSDT","a":12345,"p":"0.01000000","q":"100.00000000","f":100,"l":105,"T":1672515782136,"m":false,"M":true}',
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT","U":50093239203,"u":50093239207,"b":[["55653.87000000","0.00000000"]],"a":[["61838.04000000","0.32332000"],["61844.30000000","0.40163000"]]}}',
    b'{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT","U":1,"u":2,"b":[],"a":[]}',
]


@pytest.fixture(scope="module")
def both():
    return MessageDecoder(INSTRUMENTS), MessageDecoder(INSTRUMENTS, scanner=False)


def outcome(decoder, data):
    status, kind, slots, scanned, levels, update_id = decoder.decode(data, 7, 0)
    return (status, slots.tobytes(), levels, update_id if len(slots) else 0, kind if status == Status.STATUS_OK else None), scanned


def check(both, data):
    fast, scanned = outcome(both[0], data)
    slow, _ = outcome(both[1], data)
    assert fast == slow, (data, fast, slow)
    return scanned


def mutate(r, data):
    data = bytearray(data)
    for _ in range(r.randrange(1, 4)):
        if not data:
            break
        k = r.randrange(8)
        at = r.randrange(len(data))
        if k == 0:
            data[at] = r.randrange(256)
        elif k == 1:
            del data[at]
        elif k == 2:
            data.insert(at, r.randrange(256))
        elif k == 3:
            del data[at:at + r.randrange(1, 30)]
        elif k == 4:
            data[at:at] = data[at:at + r.randrange(1, 30)]
        elif k == 5:
            data[at] = ord(r.choice('0123456789.,:"{}[]-eE+\\ '))
        elif k == 6:
            other = r.choice(SEEDS)
            cut = r.randrange(len(other))
            data[at:] = other[cut:]
        else:
            digits = [i for i, c in enumerate(data) if 48 <= c <= 57]
            if digits:
                data[r.choice(digits)] = ord(r.choice("0123456789"))
    return bytes(data)


def test_scanner_and_simdjson_agree_on_mutated_messages(both):
    r = random.Random(20261121)
    scanned = sum(check(both, mutate(r, r.choice(SEEDS))) for _ in range(60_000))
    assert scanned > 3_000                # mutants that are still exact Binance text keep the scanner under test


def test_scanner_and_simdjson_agree_on_every_truncation(both):
    for seed in SEEDS:
        assert check(both, seed)
        for n in range(len(seed)):
            check(both, seed[:n])
            assert outcome(both[0], seed[:n])[0][0] != Status.STATUS_OK


def test_scanner_and_simdjson_agree_on_the_recorded_capture(both, golden_dir):
    with gzip.open(golden_dir / "binance_spot" / "hftbacktest_btcusdt_20240808.gz") as f:
        for line in f:
            check(both, line.rstrip().split(b" ", 1)[1])


PRICE = st.decimals(min_value=0, max_value=10 ** 12, places=8, allow_nan=False)


@settings(max_examples=1500, deadline=None)
@given(st.integers(0, 5), st.lists(PRICE, min_size=4, max_size=4), st.integers(0, 2 ** 64), st.randoms())
def test_scanner_and_simdjson_agree_on_any_numbers(both, which, numbers, big, r):
    message = json.loads(SEEDS[which])
    data = message.get("data", message)
    for key, value in zip([k for k, v in data.items() if isinstance(v, str) and k not in ("e", "s")], numbers, strict=False):
        data[key] = f"{value:.{r.choice([0, 2, 8, 8, 8, 12])}f}"
    for key in ("u", "t", "E", "T"):
        if key in data and r.random() < 0.3:
            data[key] = big
    check(both, json.dumps(message, separators=(",", ":")).encode())


def test_swapped_key_order_and_unknown_fields_change_nothing(both):
    for seed in SEEDS:
        message = json.loads(seed)
        data = message.get("data", message)
        shuffled = dict(reversed(list({**data, "zz": {"deep": [1, {"x": None}]}, "Q": 1.5}.items())))
        other = json.dumps({"data": shuffled, "stream": "x"} if "data" in message else shuffled, indent=1).encode()
        assert outcome(both[0], other)[0] == outcome(both[0], seed)[0]
