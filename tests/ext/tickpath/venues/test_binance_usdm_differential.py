"""Scanner and general way of the futures decoder, side by side on mutated messages: what one takes, the other decodes the same."""
import itertools
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.capture import read_capture
from tickpath.types import Status
from tickpath.venues.decoders import MessageDecoder

pytestmark = pytest.mark.sampled

# The third trades on a grid that is no power of ten, the fourth on one finer than the fast division holds.
USDM = [("BTCUSDT", "0.1", "0.001"), ("SUSHIUSDT", "0.001", "1"), ("BTCUSD_PERP", "0.25", "5"), ("XUSDT", "0.0000000001", "1")]
SPOT = [("BTCUSDT", "0.01", "0.00001"), ("ETHUSDT", "0.01", "0.0001")]
FUTURES_SEEDS = [
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}}',
    b'{"u":167006084895,"e":"bookTicker","s":"BTCUSD_PERP","ps":"BTCUSD","b":"427.75","B":"25","a":"428","A":"670","T":1626916403864,"E":1626916403871}',
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}',
    b'{"e":"trade","E":1723161256322,"T":1723161256322,"s":"XUSDT","t":5266583935,"p":"0.0000454123","q":"6","X":"MARKET","m":true}',
    b'{"stream":"sushiusdt@aggTrade","data":{"e":"aggTrade","E":1626992741575,"a":16599292,"s":"SUSHIUSDT","p":"1.01100","q":"10","f":23961322,"l":23961322,"T":1626992741421,"m":false}}',
    b'{"e":"aggTrade","E":1626992741575,"a":16599292,"s":"BTCUSDT","p":"61800.3","q":"10","nq":"9.5","f":23961322,"l":23961329,"T":1626992741421,"m":true}',
    b'{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":5123107832006,"u":5123107837557,"pu":5123107831937,"b":[["58710.20","0.014"],["61496.50","0.010"]],"a":[["61510.90","0.000"]]}}',
    b'{"stream":"btcusd_perp@depth@100ms","data":{"e":"depthUpdate","E":1626916403873,"T":1626916403864,"s":"BTCUSD_PERP","ps":"BTCUSD","U":167006084465,"u":167006084895,"pu":167006084238,"b":[["427.25","0"],["427.5","260"]],"a":[]}}',
    b'{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"SUSHIUSDT","U":5,"u":9,"pu":4,"b":[],"a":[["7.6150","1563"]]}',
    b'{"lastUpdateId":5123107852948,"E":1723161256501,"T":1723161256493,"bids":[["61800.20","2.909"],["61800.10","0.696"]],"asks":[["61800.3","5"]]}',
]
SPOT_SEEDS = [
    b'{"stream":"btcusdt@depth5","data":{"lastUpdateId":160,"bids":[["61837.63000000","3.78826000"]],"asks":[["61837.64000000","1.54698000"]]}}',
    b'{"lastUpdateId":50093239218,"bids":[["61837.63000000","3.78826000"],["61837.62000000","0.61700000"]],"asks":[]}',
    b'{"stream":"ethusdt@depth20@100ms","data":{"lastUpdateId":161,"bids":[],"asks":[["61837.64000000","1.5469"]]}}',
]
SEEDS = [(True, seed) for seed in FUTURES_SEEDS] + [(False, seed) for seed in SPOT_SEEDS]
NUMBERS = [b"0", b"1", b"-1", b"00.5", b"0.5", b".5", b"5.", b"0.000", b"61800.2", b"61800.20", b"61800.25", b"061800.2", b"1e5", b"6.18e4", b"9999999999.9",
           b"99999999999", b"9999999999.99999", b"12345678901234.5", b"1.000000000", b"0.00000001", b"0.000000001", b"123456789012345", b"1234567890123456",
           b"92233720368547758.07", b"", b"1.2.3", b"1,5", b"+1", b" 1", b"1 ", b"0x10", b"\xd9\xa3", b"100", b"1000000000", b"10000000000"]
STREAMS = [b"btcusdt@depth", b"btcusdt@depth5", b"btcusdt@depth@0ms", b"btcusdt@rpiDepth@500ms", b"x@depth5@100ms", b"btcusd_perp@depth20", b"btcusdt",
           b"@", b"", b"sushiusdt@depth@100ms", b"ETHUSDT@depth5", b"ethusdt@depth", b"abcdefghijklmno@x", b"abcdefghijklmnop@x", b"abcdefghijklmnopqrstuvwxyz@depth5"]


@pytest.fixture(scope="module")
def pairs():
    return {futures: tuple(MessageDecoder(instruments, kind=kind, scanner=scanner) for scanner in (True, False))
            for futures, instruments, kind in ((True, USDM, "binance_usdm"), (False, SPOT, "binance_spot"))}


def outcome(decoder, data):
    status, kind, slots, scanned, levels, update_id = decoder.decode(data, 7, 0)
    assert (status == Status.STATUS_OK) == (len(slots) > 0)
    ts_ns = decoder.ts_venue_ns if status == Status.STATUS_OK else None
    return (status, slots.tobytes(), levels if len(slots) else 0, update_id if len(slots) else 0, kind, ts_ns), scanned and len(slots) > 0


def check(pairs, futures, data):
    fast, scanned = outcome(pairs[futures][0], data)
    slow, _ = outcome(pairs[futures][1], data)
    assert fast == slow, (data, fast, slow)
    return scanned


def mutate(r, data):
    """One to three changes of bytes, of a number, of the stream's name or of the order of keys."""
    for _ in range(r.randrange(1, 4)):
        if not data:
            break
        at = r.randrange(len(data))
        k = r.randrange(12)
        if k == 0:
            data = data[:at] + bytes([r.randrange(256)]) + data[at + 1:]
        elif k == 1:
            data = data[:at] + data[at + r.randrange(1, 20):]
        elif k == 2:
            data = data[:at] + data[at:at + r.randrange(1, 30)] + data[at:]
        elif k == 3:
            data = data[:at] + bytes([ord(r.choice('0123456789.,:"{}[]-eE+\\ '))]) + data[at + r.randrange(2):]
        elif k == 4:
            other = r.choice(SEEDS)[1]
            data = data[:at] + other[r.randrange(len(other)):]
        elif k == 5:
            data = data[:at]
        elif k <= 8:
            parts = data.split(b'"')
            numbers = [i for i, part in enumerate(parts) if part[:1].isdigit()]
            if numbers:
                parts[r.choice(numbers)] = r.choice(NUMBERS) if k < 8 else b"%d" % r.choice([0, 1, 2 ** 63, 2 ** 64, 10 ** 16, r.randrange(10 ** 9)])
            data = b'"'.join(parts)
        elif k == 9:
            data = data.replace(data[11:data.find(b'"', 11)], r.choice(STREAMS), 1) if data.startswith(b'{"stream":"') else data
        elif k == 10:
            fields = data.split(b",")
            i, j = r.randrange(len(fields)), r.randrange(len(fields))
            fields[i], fields[j] = fields[j], fields[i]
            data = b",".join(fields)
        else:
            fields = data.split(b",")
            fields.insert(r.randrange(len(fields) + 1), r.choice([b'"st":1', b'"ps":"X"', b'"x":{"a":[1]}', b'"pu":3', b'"T":1', b'"e":"trade"', b' ']))
            data = b",".join(fields)
    return data


def test_seeds_take_the_scanner(pairs):
    assert all(check(pairs, *seed) for seed in SEEDS)


def test_scanner_and_general_way_agree_on_mutated_messages(pairs):
    r = random.Random(20261121)
    taken = 0
    for _ in range(examples(60_000)):
        futures, seed = r.choice(SEEDS)
        taken += check(pairs, futures, mutate(r, seed))
    assert taken > examples(4_000)                  # mutants that are still exact text keep the scanner under test


def test_scanner_and_general_way_agree_on_every_truncation_and_changed_byte(pairs):
    r = random.Random(3)
    for futures, seed in SEEDS:
        for at in range(len(seed)):
            assert not check(pairs, futures, seed[:at])
            assert pairs[futures][0].decode(seed[:at], 7, 0)[0] == Status.STATUS_MALFORMED
            for c in {*b'0 9"\\{},:\x00\xff', r.randrange(256), seed[at] ^ 1 << r.randrange(8)}:
                check(pairs, futures, seed[:at] + bytes([c]) + seed[at + 1:])


def test_bytes_behind_a_frame_never_count(pairs):
    # Of three frames a batch of two decodes the first two, and the third only lies behind them.
    for futures, seed in SEEDS:
        if b'{"lastUpdateId"' == seed[:15] or b'"lastUpdateId"' in seed:
            continue
        for decoder in pairs[futures]:
            assert len(decoder.time_cycles([seed, seed, b"}}"], batch=2)) == 1
            for n in range(1, len(seed)):
                with pytest.raises(ValueError, match="found one that is refused"):
                    decoder.time_cycles([seed, seed[:n], seed[n:]], batch=2)


def test_scanner_and_general_way_agree_on_every_number_at_every_place(pairs):
    for futures, seed in SEEDS:
        parts = seed.split(b'"')
        for i in [i for i, part in enumerate(parts) if part[:1].isdigit()]:
            for number in NUMBERS:
                check(pairs, futures, b'"'.join([*parts[:i], number, *parts[i + 1:]]))


def test_scanner_and_general_way_agree_on_every_stream_name(pairs):
    for futures, seed in SEEDS:
        message = json.loads(seed)
        bare = json.dumps(message.get("data", message), separators=(",", ":")).encode()
        for name in STREAMS:
            check(pairs, futures, b'{"stream":"' + name + b'","data":' + bare + b"}")


@pytest.mark.parametrize("count", (65534, 65535, 65536))
def test_scanner_and_general_way_agree_up_to_the_largest_count_of_levels(pairs, count):
    rows = b",".join([b'["61837.6","1"]'] * count)
    data = b'{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":5,"u":9,"pu":4,"b":[' + rows + b'],"a":[]}'
    check(pairs, True, data)
    expected = Status.STATUS_OK if count <= 65535 else Status.STATUS_TOO_LARGE
    assert pairs[True][0].decode(data)[0] == expected


DECIMAL = st.tuples(st.integers(0, 10 ** 12), st.integers(0, 12)).map(
    lambda v: f"{v[0] // 10 ** v[1]}.{v[0] % 10 ** v[1]:0{v[1]}d}" if v[1] else str(v[0]))


@settings(max_examples=examples(800), deadline=None)
@given(st.sampled_from(SEEDS), st.lists(DECIMAL, min_size=4, max_size=4), st.integers(0, 2 ** 64), st.randoms(use_true_random=False))
def test_scanner_and_general_way_agree_on_any_numbers(pairs, seed, numbers, big, r):
    message = json.loads(seed[1])
    data = message.get("data", message)
    for key, value in zip([k for k in data if k in ("b", "B", "a", "A", "p", "q")], numbers, strict=False):
        data[key] = [[numbers[2], value]] if isinstance(data[key], list) else value
    for key in ("u", "t", "E", "T", "pu", "U", "a", "lastUpdateId"):
        if isinstance(data.get(key), int) and r.random() < 0.3:
            data[key] = big
    check(pairs, seed[0], json.dumps(message, separators=(",", ":")).encode())


def test_swapped_key_order_and_unknown_fields_change_nothing(pairs):
    for futures, seed in SEEDS:
        message = json.loads(seed)
        data = message.get("data", message)
        shuffled = dict(reversed(list({**data, "zz": {"deep": [1, {"x": None}]}, "Q": 1.5}.items())))
        other = json.dumps({"data": shuffled, "stream": message["stream"]} if "data" in message else shuffled, indent=1).encode()
        assert outcome(pairs[futures][0], other)[0] == outcome(pairs[futures][0], seed)[0]


def test_scanner_and_general_way_agree_on_recorded_frames(pairs, shared_data):
    path = shared_data("ws/binance_usdm/hftbacktest_btcusdt_20240808.gz")
    assert sum(check(pairs, True, frame.data) for frame in itertools.islice(read_capture(path), 20_000)) == 20_000
