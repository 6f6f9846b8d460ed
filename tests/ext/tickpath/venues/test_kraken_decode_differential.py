"""Scanner and general way, side by side on mutated Kraken messages: whatever the scanner takes, the tape decodes the same."""
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.capture import read_capture
from tickpath.types import Status
from tickpath.venues.decoders import MessageDecoder
from tickpath.venues.kraken_facts import close_facts, scan_facts

pytestmark = pytest.mark.sampled

INSTRUMENTS = [("BTC/USD", "0.1", "0.00000001"), ("XMR/USD", "0.01", "0.00000001"), ("ADA/XBT", "0.00000001", "0.00000001"),
               ("SHIB/USD", "0.0000000001", "0.00001"), ("SEVENTEEN/LETTERS", "0.5", "0.001")]
V2 = [
    b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[],"asks":[{"price":64525.3,"qty":0.00309336}],"checksum":1848203113,"timestamp":"2026-07-19T17:54:39.768901Z"}]}',
    b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":64524.0,"qty":0.00000000},{"price":64521.2,"qty":0.00200000}],"asks":[{"price":64532.8,"qty":1.23479983}],"checksum":0,"timestamp":"2026-07-19T17:54:39.799885Z"}]}',
    b'{"channel":"book","type":"snapshot","data":[{"symbol":"XMR/USD","bids":[{"price":354.15,"qty":5.00000000}],"asks":[],"checksum":4294967295,"timestamp":"2026-07-19T17:55:00.753424Z"}]}',
    b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":118832.9,"qty":0.00409283,"ord_type":"market","trade_id":9622656,"timestamp":"2025-07-23T04:41:46.919844Z"},{"symbol":"XMR/USD","side":"sell","price":354.70,"qty":40.0,"ord_type":"limit","trade_id":9622657,"timestamp":"2025-07-23T04:41:46.919844Z"}]}',
    b'{"channel":"trade","type":"update","data":[{"symbol":"SEVENTEEN/LETTERS","side":"sell","price":18832.5,"qty":0.004,"ord_type":"limit","trade_id":1,"timestamp":"2025-07-23T04:41:46.919844Z"}]}',
    b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":83744.2,"bid_qty":0.56251979,"ask":83744.3,"ask_qty":0.00044780,"last":83744.3,"volume":3156.84782110,"vwap":84174.6,"low":83163.6,"high":85247.4,"change":-429.3,"change_pct":-0.51,"trades":135262,"timestamp":"2026-09-25T17:48:26.844359Z"}]}',
    b'{"channel":"ticker","type":"update","data":[{"symbol":"XMR/USD","bid":354.1,"bid_qty":740.0,"ask":354.2,"ask_qty":1361.44813783,"last":0.10035,"volume":997038.98383185,"vwap":0.10148,"low":0.09979,"high":0.10285,"change":0,"change_pct":-0.17}]}',
]
V1 = [
    b'[992,{"b":[["354.15000000","5.00000000","1618678133.365913"]],"c":"2583817756"},"book-1000","XMR/USD"]',
    b'[1360,{"a":[["0.000022900","13355.87450757","1618678123.481570"],["0.000022910","0.00000000","1618678123.481569","r"]],"c":"0"},"book-1000","ADA/XBT"]',
    b'[992,{"a":[["354.15000000","5.00000000","1618678145.920470"]]},{"b":[["354.10000000","0.00000000","1618678145.920708"]],"c":"4105471083"},"book-10","XMR/USD"]',
    b'[992,{"a":[["354.15000000","5.00000000","1618678145.920470"]],"b":[["354.10000000","0.00000000","1618678145.920708"]],"c":"4105471083"},"book-10","XMR/USD"]',
    b'[992,{"as":[["354.15000000","5.00000000","1618678145.920470"],["354.16000000","1.5","1618678145.920470"]],"bs":[["354.10000000","1.00000000","1618678145.920708"]]},"book-10","XMR/USD"]',
    b'[7,{"b":[["0.0000123457","500000.00001","1618678133.365913"]]},"book-25","SHIB/USD"]',
    b'[993,[["354.11000000","0.89594024","1618678142.557535","s","l",""],["354.12000000","1.0","1618678142.557536","b","m","x"]],"trade","XMR/USD"]',
    b'[996,{"a":["355.24000000",27,"27.19106411"],"b":["354.32000000",6,"6.87748868"],"c":["355.23000000","1.20454360"],"v":["178580000.85261084","33470.74135600"],"p":["355.33503706","349.16721624"],"t":[6481,10283],"l":["340.88000000","333.87000000"],"h":["368.00000000","368.00000000"],"o":["340.88000000","335.21000000"]},"ticker","XMR/USD"]',
    b'[325,["354.32000000","355.24000000","1633053779.916349","0.00917717","0.31670440"],"spread","XMR/USD"]',
]
# What the scanner never takes must not upset it either.
OTHERS = [
    b'{"channel":"heartbeat"}', b'{"event":"heartbeat"}', b'[42,["1542057314.748456","1542057360.000000","3586.7","3586.8","3586.6","3586.6","3586.68894","0.03373000",2],"ohlc-5","XMR/USD"]',
    b'{"channel":"level3","type":"update","data":[{"symbol":"XMR/USD","checksum":1,"bids":[{"event":"add","order_id":"OICVDM-VV6DH-2PCM5H","limit_price":354.1,"order_qty":1e-05,"timestamp":"2023-10-06T18:20:56.506266Z"}],"asks":[]}]}',
    b'{"channel":"ohlc","type":"update","timestamp":"2023-10-04T16:26:30.524394914Z","data":[{"symbol":"XMR/USD","open":354.1,"high":354.2,"low":354.0,"close":354.1,"trades":12,"volume":30927.68066226,"vwap":354.123,"interval_begin":"2023-10-04T16:25:00.000000000Z","interval":5,"timestamp":"2023-10-04T16:30:00.000000Z"}]}',
]
SEEDS = V2 + V1


@pytest.fixture(scope="module")
def both():
    return tuple(MessageDecoder(INSTRUMENTS, kind="kraken", scanner=scanner) for scanner in (True, False))


def outcome(decoder, data):
    status, kind, slots, scanned, levels, update_id = decoder.decode(data, 7)
    return (status, kind, slots.tobytes(), levels, update_id, decoder.skipped_count, decoder.ts_venue_ns), scanned


def check(both, data):
    fast, scanned = outcome(both[0], data)
    slow, _ = outcome(both[1], data)
    assert fast == slow, (data, fast, slow)
    assert not scanned or fast[0] == Status.STATUS_OK
    return scanned


def mutate(r, data):
    data = bytearray(data)
    for _ in range(r.randrange(1, 4)):
        if not data:
            break
        at = r.randrange(len(data))
        k = r.randrange(9)
        if k == 0:
            data[at] = r.randrange(256)
        elif k == 1:
            data[at] ^= 1 << r.randrange(8)
        elif k == 2:
            data.insert(at, r.randrange(256))
        elif k == 3:
            del data[at:at + r.randrange(1, 30)]
        elif k == 4:
            data[at:at] = data[at:at + r.randrange(1, 60)]
        elif k == 5:
            data[at] = ord(r.choice('0123456789.,:"{}[]-eE+\\ rsblmTZ'))
        elif k == 6:
            other = r.choice(SEEDS)
            data[at:] = other[r.randrange(len(other)):]
        else:
            digits = [i for i, c in enumerate(data) if 48 <= c <= 57]
            if digits:
                data[r.choice(digits)] = ord(r.choice("0123456789"))
    return bytes(data)


def test_the_scanner_takes_every_seed_and_none_of_the_others(both):
    assert all(check(both, seed) for seed in SEEDS) and not any(check(both, other) for other in OTHERS)


@pytest.mark.parametrize("minute", [b"\0" * 16, b"1970-01-01T00:00", b" " * 16, b"0" * 16, b"2026-07-19T17:54"])
def test_the_first_time_a_scanner_reads_is_as_good_as_any_other(minute):
    # The scanner remembers the minute it read last; what it remembers before there was one must not pass for a time.
    for seed in (V2[0], V2[3], V2[5]):
        fresh = tuple(MessageDecoder(INSTRUMENTS, kind="kraken", scanner=scanner) for scanner in (True, False))
        at = seed.rindex(b'"timestamp":"') + len(b'"timestamp":"')
        check(fresh, seed[:at] + minute + seed[at + 16:])


def test_both_agree_on_mutated_messages(both):
    r = random.Random(20261121)
    scanned = sum(check(both, mutate(r, r.choice(SEEDS))) for _ in range(examples(50_000)))
    assert scanned > examples(5_000)                # mutants that are still exact text keep the scanner under test
    for _ in range(examples(5_000)):
        check(both, mutate(r, r.choice(OTHERS)))


NUMBERS = [b"-0.05", b"1e-2", b"5E-2", b"1e400", b"00.05", b"0064525.3", b"0.050000000", b"0.0500000001", b"0.", b".05", b"64525", b"0", b"0.0", b"-0",
           b"92233720368547758.07", b"9999999999.1", b"99999999999.0", b"1234567890.12345678", b"123456.123456789", b"12345678.12345678",
           b"0.00000001", b"0.000000010", b"0.0000000100000000", b"0.00000001000000000", b"0.0000a", b"0,05", b"+1.0", b"", b"null", b'"1.5"', b"1.5.5"]
TIMES = [b"2026-07-19T17:54:60.768901Z", b"2026-07-19T17:54:61.768901Z", b"2026-07-19T17:54:39.76890Z", b"2026-07-19T17:54:39.7689011Z",
         b"2026-07-19T17:54:39Z", b"2026-07-19 17:54:39.768901Z", b"2026-07-19T24:54:39.768901Z", b"2026-02-31T17:54:39.768901Z",
         b"1969-07-19T17:54:39.768901Z", b"2026-07-19T17:54:39.768901z", b"2026-07-19T17:54:39,768901Z", b"2026-07-19T17:55:39.768901Z", b""]
SECONDS = [b"1618678133.36591", b"1618678133.3659130", b"1618678133", b"0.000000", b"0000000000.000001", b"0618678133.365913", b"9000000000.000000",
           b"8999999999.999999", b"9300000000.000000", b"99999999999.365913", b"-618678133.365913", b"1618678133,365913", b""]


def mutate_fields(r, data):
    """One or two changes that keep most of a message's form: numbers, times, order, names, whitespace."""
    for _ in range(r.randrange(1, 3)):
        k = r.randrange(8)
        if k == 0:
            spans = [m for m in _spans(data) if b"T" not in data[m[0]:m[1]] or b"-" not in data[m[0]:m[1]]]
            a, b = r.choice(spans)
            data = data[:a] + r.choice(NUMBERS) + data[b:]
        elif k == 1 and b"Z\"" in data:
            at = data.index(b'Z"') - 26
            data = data[:at] + r.choice(TIMES) + data[at + 27:]
        elif k == 1:
            at = data.find(b'"16')
            data = data[:at + 1] + r.choice(SECONDS) + data[at + 18:] if at >= 0 else data
        elif k == 2:
            fields = data.split(b",")
            i, j = r.randrange(len(fields)), r.randrange(len(fields))
            fields[i], fields[j] = fields[j], fields[i]
            data = b",".join(fields)
        elif k == 3:
            fields = data.split(b",")
            del fields[r.randrange(len(fields))]
            data = b",".join(fields)
        elif k == 4:
            at = r.choice([i for i, c in enumerate(data) if c in b',:{}[]'])
            data = data[:at + 1] + r.choice([b" ", b"\n", b"\t", b"  "]) + data[at + 1:]
        elif k == 5:
            words = [b"BTC/USD", b"XMR/USD", b"ADA/XBT", b"DOGE/USD", b"buy", b"sell", b"book-1000", b"book-10", b"trade", b"spread", b"update", b"snapshot"]
            found = [w for w in words if w in data]
            data = data.replace(r.choice(found), r.choice([*words, b"", b"XMR\\/USD", b"book-0", b"book-007", b"a" * 40]), 1) if found else data
        elif k == 6:
            fields = data.split(b",")
            at = r.randrange(len(fields))
            fields[at:at] = [r.choice([b'"x":1', b'"r"', b"null", b"{}", b"[]", b'""', b'"c":"5"', b'"b":[]', b'"checksum":5', b'"symbol":"XMR/USD"',
                                       b'"trades":5', b'["1.5","2.5","1618678133.365913"]', b'{"price":1.5,"qty":2.5}'])]
            data = b",".join(fields)
        else:
            data = bytes(r.choice(b"0123456789") if 48 <= c <= 57 and r.random() < 0.3 else c for c in data)
    return data


def _spans(data):
    """Places of the runs of digits and points."""
    spans, start = [], None
    for i, c in enumerate(data + b"x"):
        if 48 <= c <= 57 or c == 46:
            start = i if start is None else start
        elif start is not None:
            spans.append((start, i))
            start = None
    return spans


def test_both_agree_on_messages_with_changed_fields(both):
    r = random.Random(20261122)
    assert sum(check(both, mutate_fields(r, r.choice(SEEDS))) for _ in range(examples(40_000))) > examples(2_500)


def test_both_agree_on_every_changed_byte(both):
    r = random.Random(3)
    for seed in SEEDS:
        for at in range(len(seed)):
            for c in {*b'0 9"\\{},[]', r.randrange(256), seed[at] ^ 1 << r.randrange(8)}:
                check(both, seed[:at] + bytes([c]) + seed[at + 1:])


def test_both_agree_on_every_truncation(both):
    for seed in SEEDS + OTHERS:
        for n in range(len(seed)):
            check(both, seed[:n])
            assert outcome(both[0], seed[:n])[0][0] != Status.STATUS_OK


def test_bytes_behind_a_frame_never_count(both):
    # Frames lie one behind the other in a socket's buffer; a cut one must not be read on into its own continuation. Of three
    # frames a batch of two decodes the first two, and the third only lies behind them.
    for decoder in both:
        for seed in SEEDS:
            assert len(decoder.time_cycles([seed, seed, b"}]}"], batch=2)) == 1
            for n in range(1, len(seed)):
                with pytest.raises(ValueError, match="found one that is refused"):
                    decoder.time_cycles([seed, seed[:n], seed[n:]], batch=2)


def test_whole_messages_behind_a_shorter_one_are_not_read_on_to(both):
    # Each of these ends where a longer message of the same kind could go on.
    cut = b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":1.5,"qty":2.5,"ord_type":"limit","trade_id":1,"timestamp":"2025-07-23T04:41:46.919844Z"}'
    rest = cut[cut.index(b"{", 20):]
    for decoder in both:
        with pytest.raises(ValueError, match="found one that is refused"):
            decoder.time_cycles([SEEDS[0], cut, b"," + rest + b"]}"], batch=2)


def test_both_agree_up_to_the_largest_count_of_levels(both):
    for count in (65534, 65535, 65536):
        rows = b",".join([b'{"price":64525.3,"qty":0.00309336}'] * count)
        assert check(both, V2[0].replace(b'"bids":[]', b'"bids":[' + rows[:-1] + b"}]").replace(b'"asks":[{"price":64525.3,"qty":0.00309336}]', b'"asks":[]')) \
            == (count < 65536)
        rows = b",".join([b'["354.15","5.0","1618678133.365913"]'] * count)
        assert check(both, b'[992,{"b":[' + rows + b'],"c":"1"},"book-1000","XMR/USD"]') == (count < 65536)
    rows = b",".join([b'["354.1","0.5","1618678142.557535","s","l",""]'] * 65536)
    assert check(both, b'[992,[' + rows + b'],"trade","XMR/USD"]')
    assert not check(both, b'[992,[' + rows + b',["354.1","0.5","1618678142.557535","s","l",""]],"trade","XMR/USD"]')


@pytest.mark.parametrize("name", ["ws/kraken/cryptofeed_KRAKEN_20210417.jsonl.zst", "ws/kraken/kraken_v2_book10_BTCUSD_20260719T1754.jsonl.gz"])
def test_both_agree_on_the_recorded_captures_and_their_mutants(shared_data, name):
    facts = {}
    for frame in read_capture(shared_data(name)):
        scan_facts(frame, facts)
    instruments = sorted({(symbol, f.tick_size, f.lot_size) for (_, symbol), f in close_facts(facts).items()})
    pair = tuple(MessageDecoder(instruments, kind="kraken", scanner=scanner) for scanner in (True, False))
    r = random.Random(name)
    for frame in read_capture(shared_data(name)):
        check(pair, frame.data)
        if len(frame.data) < 2000:
            check(pair, mutate(r, frame.data))
            check(pair, frame.data[:r.randrange(len(frame.data))])


NUMBER = st.decimals(min_value=0, max_value=10 ** 12, places=12, allow_nan=False)


@settings(max_examples=examples(800), deadline=None)
@given(st.sampled_from(SEEDS), st.lists(NUMBER, min_size=1, max_size=4), st.lists(st.integers(0, 12), min_size=4, max_size=4), st.data())
def test_both_agree_on_any_numbers(both, seed, numbers, places, data):
    for number, digits in zip(numbers, places, strict=False):
        spans = _spans(seed)
        a, b = data.draw(st.sampled_from(spans))
        seed = seed[:a] + f"{number:.{digits}f}".encode() + seed[b:]
    check(both, seed)


def test_swapped_key_order_and_unknown_fields_change_nothing(both):
    def shuffled(value):
        if isinstance(value, dict):
            return {"zz": {"deep": [1, {"x": None}]}, **dict(reversed([(k, shuffled(v)) for k, v in value.items()]))}
        return [shuffled(v) for v in value] if isinstance(value, list) else value
    for seed in SEEDS:
        message = json.loads(seed, parse_float=str)
        # Numbers are kept as text here, which v1 sends quoted and v2 does not: both readers take a price either way.
        other = json.dumps(shuffled(message), indent=1).encode()
        assert outcome(both[0], other)[0] == outcome(both[0], seed)[0]
        assert not outcome(both[0], other)[1]
