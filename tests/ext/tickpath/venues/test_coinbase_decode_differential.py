"""Scanner and general way, side by side on real and mutated messages: whatever the scanner takes, the tape decodes the same."""
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

INSTRUMENTS = [("BTC-USD", "0.01", "0.00000001"), ("ETH-USD", "0.05", "0.0001"), ("SKL-BTC", "0.00000001", "0.1"),
               ("PEPE-USD", "0.000000000001", "1"), ("A-LONG-SYMBOL-OF-24BYTES", "0.25", "0.5")]
ENVELOPE = b'"timestamp":"2026-08-09T21:05:48.506659391Z","sequence_num":15,"events":['
SCANNED = [
    b'{"channel":"l2_data",' + ENVELOPE + b'{"type":"update","product_id":"BTC-USD","updates":[{"side":"offer","event_time":"2026-08-09T21:05:48.264069Z","price_level":"65106.54","new_quantity":"0.15361938"},{"side":"bid","event_time":"2026-08-09T21:05:48.264069Z","price_level":"65061.5","new_quantity":"0"},{"side":"bid","event_time":"2026-08-09T21:05:48.264069Z","price_level":"65062","new_quantity":"12.5"}]}]}',
    b'{"channel":"l2_data",' + ENVELOPE + b'{"type":"snapshot","product_id":"ETH-USD","updates":[{"side":"bid","event_time":"2026-08-09T21:05:48.1Z","price_level":"1919.45","new_quantity":"1"},{"side":"bid","event_time":"2026-08-09T21:05:48.12Z","price_level":"1919.4","new_quantity":"3.25"},{"side":"offer","event_time":"2026-08-10T00:00:00Z","price_level":"1919.5","new_quantity":"0.0001"}]}]}',
    b'{"channel":"market_trades",' + ENVELOPE + b'{"type":"update","trades":[{"product_id":"BTC-USD","trade_id":"1068572091","price":"65083.67","size":"0.01034361","time":"2026-08-09T21:05:48.167634Z","side":"SELL"}]}]}',
    b'{"channel":"market_trades",' + ENVELOPE + b'{"type":"snapshot","trades":[{"product_id":"BTC-USD","trade_id":"3","price":"65083.67","size":"0.5","time":"2026-08-09T21:05:48.2Z","side":"BUY"},{"product_id":"ETH-USD","trade_id":"17","price":"1919.5","size":"2","time":"2026-08-09T21:05:48.2Z","side":"SELL"},{"product_id":"BTC-USD","trade_id":"2","price":"65083","size":"1","time":"2026-08-09T21:05:48.1Z","side":"BUY"}]}]}',
    b'{"channel":"ticker",' + ENVELOPE + b'{"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"65086.18","volume_24_h":"2867.54532609","low_24_h":"64675.22","high_24_h":"65252.99","low_52_w":"57717.55","high_52_w":"126296","price_percent_chg_24_h":"-0.09601107287722","best_bid":"65083.66","best_ask":"65083.67","best_bid_quantity":"0.20371215","best_ask_quantity":"0.24290402"}]}]}',
    b'{"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5"]],"time":"2021-04-17T16:43:37.075687Z"}',
    b'{"type":"l2update","product_id":"BTC-USD","time":"2022-08-04T15:25:05.010758Z","changes":[["buy","22356.270000","0.00000000"],["sell","22356.3","1.00000000"]]}',
    b'{"type":"l2update","product_id":"A-LONG-SYMBOL-OF-24BYTES","changes":[["buy","17.25","0.5"],["buy","17","0"],["sell","17.5","2"]],"time":"2021-04-17T16:43:37Z"}',
    b'{"type":"l2update","product_id":"PEPE-USD","changes":[["buy","0.000000000123","5000000"]],"time":"2021-04-17T16:43:37.075687123Z"}',
    b'{"type":"match","trade_id":280232,"maker_order_id":"2a0da34e-61f7-4c36-88e5-c9dd15927b16","taker_order_id":"3c82abaa-c01e-4608-be59-6a1e69742891","side":"sell","size":"985","price":"0.00001305","product_id":"SKL-BTC","sequence":177100030,"time":"2021-04-17T16:43:37.089723Z"}',
    b'{"type":"last_match","trade_id":82007,"maker_order_id":"9D2861BD-1703-47f2-a7f4-7723565a7f5c","taker_order_id":"dd068ce5-f175-4396-bae1-a1db56d209f5","side":"buy","size":"1008.2","price":"0.5752","product_id":"SKL-BTC","sequence":27883326,"time":"2021-04-17T16:43:29.571587Z"}',
    b'{"type":"ticker","sequence":333938798,"product_id":"BTC-USD","price":"14.7775","open_24h":"14.6647","volume_24h":"94381.28000000","low_24h":"14.3691","high_24h":"16.55","volume_30d":"2295579.57000000","best_bid":"14.7500","best_ask":"14.8000","side":"buy","time":"2021-04-17T16:43:30.244075Z","trade_id":881613,"last_size":"0.04"}',
    b'{"type":"ticker","sequence":37475248783,"product_id":"ETH-USD","price":"1285.22","open_24h":"1310.79","volume_24h":"245532.79269678","low_24h":"1280.52","high_24h":"1313.8","volume_30d":"9788783.60117027","best_bid":"1285.05","best_bid_size":"0.4669","best_ask":"1285.25","best_ask_size":"1.5664","side":"buy","time":"2022-10-19T23:28:22.061769Z","trade_id":370843401,"last_size":"11.4396987"}',
    b'{"type":"snapshot","product_id":"BTC-USD","asks":[["14.80","12.77"],["15","1"]],"bids":[["14.75","3.10"]]}',
    b'{"type":"snapshot","product_id":"BTC-USD","bids":[["10101.10","0.45054140"]],"asks":[["10102.55","0.57753524"]],"time":"2021-04-17T16:43:29.571587Z"}',
    b'{"type":"snapshot","product_id":"BTC-USD","asks":[],"bids":[],"time":"2021-04-17T16:43:29Z"}',
]
OTHERS = [
    b'{"channel":"l2_data",' + ENVELOPE + b'{"type":"update","product_id":"BTC-USD","updates":[]},{"type":"update","product_id":"ETH-USD","updates":[{"side":"bid","event_time":"1970-01-01T00:00:00Z","price_level":"1919.45","new_quantity":"1"}]}]}',
    b'{"channel":"candles",' + ENVELOPE + b'{"type":"update","candles":[{"start":"1786309500","high":"1919.6","low":"1919.25","open":"1919.55","close":"1919.4","volume":"36.3663","product_id":"ETH-USD"}]}]}',
    b'{"channel":"ticker_batch",' + ENVELOPE + b'{"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"65086.18","volume_24_h":"2867.54532609"}]}]}',
    b'{"channel":"heartbeats",' + ENVELOPE + b'{"current_time":"2026-08-09 21:05:48.854840045 +0000 UTC m=+41691.260485341","heartbeat_counter":41691}]}',
    b'{"channel":"subscriptions",' + ENVELOPE + b'{"subscriptions":{"market_trades":["BTC-USD","ETH-USD"]}}]}',
    b'{"channel":"status",' + ENVELOPE + b'{"type":"snapshot","products":[{"product_type":"SPOT","id":"BTC-USD","status":"online","status_message":""}]}]}',
    b'{"type":"open","order_id":"d50ec984-77a8-460a-b958-66f114b0de9b","side":"sell","price":"200.2","remaining_size":"1.00","product_id":"BTC-USD","sequence":10,"time":"2014-11-07T08:19:27.028459Z"}',
    b'{"type":"done","order_id":"d50ec984-77a8-460a-b958-66f114b0de9b","side":"sell","reason":"filled","price":"200.2","remaining_size":"0","product_id":"BTC-USD","sequence":12,"time":"2014-11-07T08:19:27.028459Z"}',
    b'{"type":"change","order_id":"d50ec984-77a8-460a-b958-66f114b0de9b","side":"sell","new_size":"5.23512","old_size":"12.234412","price":"400.23","product_id":"BTC-USD","sequence":80,"time":"2014-11-07T08:19:27.028459Z"}',
    b'{"bids":[["295.95","4.39088265",2]],"asks":[["296.00","1.5",1]],"sequence":3}',
    b'{"bids":[["295.95","0.05",  "3b0f1225-7f84-490b-a29f-0faef9de823a"]],"asks":[],"sequence":3}',
]
SEEDS = SCANNED + OTHERS


@pytest.fixture(scope="module")
def both():
    return tuple(MessageDecoder(INSTRUMENTS, kind="coinbase", scanner=scanner) for scanner in (True, False))


def outcome(decoder, data):
    """Everything a decoding leaves, the bytes of every slot among it."""
    status, kind, slots, scanned, levels, update_id = decoder.decode(data, 7, 0)
    time = decoder.ts_venue_ns if len(slots) else None
    return (status, kind if status == Status.STATUS_OK else None, slots.tobytes(), levels, update_id, decoder.skipped_count, time), scanned


def check(both, data):
    fast, scanned = outcome(both[0], data)
    slow, _ = outcome(both[1], data)
    assert fast == slow, (data, fast, slow)
    return scanned


@pytest.mark.parametrize("at", range(len(SEEDS)))
def test_the_scanner_takes_the_known_texts_and_leaves_the_others(both, at):
    assert check(both, SEEDS[at]) == (at < len(SCANNED))
    expected = Status.STATUS_IGNORED if b'"heartbeats"' in SEEDS[at] or b'"subscriptions"' in SEEDS[at] else Status.STATUS_OK
    assert outcome(both[0], SEEDS[at])[0][0] == (Status.STATUS_OFF_GRID if b'"0.5752"' in SEEDS[at] and b"SKL" not in SEEDS[at] else expected)


WORDS = [b"snapshot", b"update", b"bid", b"offer", b"offe", b"bidd", b"buy", b"sell", b"SELL", b"BUY", b"sells", b"BTC-USD", b"ETH-USD",
         b"SKL-BTC", b"BTC-EUR", b"", b"2026-08-09T21:05:48.264069Z", b"2026-08-09T24:05:48.264069Z", b"2026-08-09T21:60:48.264069Z",
         b"2026-08-09T21:05:61Z", b"2026-08-09T21:05:60Z", b"2026-08-09 21:05:48Z", b"2026-08-09T21:05:48", b"2026-08-09T21:05:48.Z",
         b"2026-08-09T21:05:48.1234567890Z", b"2026-08-09T21:05:48.12345678901234567Z", b"1970-01-01T00:00:00Z", b"2026-13-09T21:05:48Z",
         b"2026-08-09T2a:05:48Z", b"2026-08-09T21;05:48Z", b"2026-08-09T21:75:48Z", b"2026-08-09T1::05:48Z",
         b"2a0da34e-61f7-4c36-88e5-c9dd15927b1g", b"2A0DA34E-61F7-4C36-88E5-C9DD15927B16", b"2a0da34e061f7-4c36-88e5-c9dd15927b16",
         b"-2a0da34e-61f7-4c36-88e5-c9dd15927b1"]
NUMBERS = [b"-0.05", b"1e-2", b"5E-2", b"1e400", b"00.05", b"0065000.05", b"0.050000000", b"0.05", b"0.", b".05", b"65000", b"0", b"0.0",
           b"92233720368547758.07", b"99999999999.00000000", b"9999999999.00000000", b"9999999999.5", b"9999999.00000000", b"123456789012345",
           b"1234567890.1234", b"12345678901.123", b"1.123456789", b"123456789012345678901234567890.12345678", b"0.00000001", b"0.0000000a",
           b"0,05", b"+1.0", b"1.2.3", b"1..2", b"65000.1/", b"65000.1:", b"0.000000000001", b"1", b"0.1", b"17.25", b" 1", b"1 "]
INTEGERS = [b"0", b"01", b"-1", b"9999999999999999", b"10000000000000000", b"18446744073709551615", b"18446744073709551616", b"1.0", b"1e3",
            b'"5"', b"null", b"true"]


def mutate(r, data):
    """One to three changes: bytes, runs of bytes, and pieces that keep most of a message's form."""
    data = bytearray(data)
    for _ in range(r.randrange(1, 4)):
        if not data:
            break
        k, at = r.randrange(13), r.randrange(len(data))
        strings = [i for i, c in enumerate(data) if c == 34]
        if k == 0:
            data[at] = r.randrange(256)
        elif k == 1:
            del data[at]
        elif k == 2:
            data.insert(at, r.choice(b'0123456789.,:"{}[]-eE+\\ \n'))
        elif k == 3:
            del data[at:at + r.randrange(1, 30)]
        elif k == 4:
            data[at:at] = data[at:at + r.randrange(1, 90)]
        elif k == 5:
            data[at] = ord(r.choice('0123456789.,:"{}[]-eE+\\ '))
        elif k == 6:
            other = r.choice(SEEDS)
            data[at:] = other[r.randrange(len(other)):]
        elif k < 9 and len(strings) > 3:
            # One string, value or key, for another.
            i = r.randrange(len(strings) - 1)
            data[strings[i] + 1:strings[i + 1]] = r.choice(WORDS if k == 7 else NUMBERS)
        elif k == 9:
            data[at] ^= 1 << r.randrange(8)
        elif k == 10 and data.count(b":") > 1:
            i = r.choice([i for i, c in enumerate(data) if c == 58])
            end = i + 1
            while end < len(data) and 48 <= data[end] <= 57:
                end += 1
            if end > i + 1:
                data[i + 1:end] = r.choice(INTEGERS)
        elif k == 11:
            fields = bytes(data).split(b",")
            i, j = r.randrange(len(fields)), r.randrange(len(fields))
            fields[i], fields[j] = fields[j], fields[i]
            data = bytearray(b",".join(fields))
        else:
            digits = [i for i, c in enumerate(data) if 48 <= c <= 57]
            if digits:
                data[r.choice(digits)] = ord(r.choice("0123456789"))
    return bytes(data)


def test_both_ways_agree_on_mutated_messages(both):
    r = random.Random(20260809)
    scanned = sum(check(both, mutate(r, r.choice(SEEDS))) for _ in range(examples(25_000)))
    assert scanned > examples(900)                # mutants that are still exact text keep the scanner under test


def test_both_ways_agree_on_every_changed_byte(both):
    r = random.Random(3)
    for seed in SCANNED:
        for at in range(len(seed)):
            for c in {*b'0 9"\\{},:\x00\xff', r.randrange(256), seed[at] ^ 1 << r.randrange(8)}:
                check(both, seed[:at] + bytes([c]) + seed[at + 1:])


def test_both_ways_agree_on_every_truncation(both):
    for seed in SEEDS:
        for n in range(len(seed)):
            check(both, seed[:n])
            assert outcome(both[0], seed[:n])[0][0] not in (Status.STATUS_OK, Status.STATUS_IGNORED)


def test_bytes_behind_a_frame_never_count(both):
    # Frames lie one behind the other in a socket's buffer; a cut one must not be read on into its own continuation. Of three
    # frames a batch of two decodes the first two, and the third only lies behind them.
    for decoder in both:
        for seed in SCANNED[:-1]:
            if outcome(decoder, seed)[0][0] != Status.STATUS_OK:
                continue
            for n in range(1, len(seed)):
                with pytest.raises(ValueError, match="found one that is refused"):
                    decoder.time_cycles([seed, seed[:n], seed[n:]], batch=2)


def test_a_frame_cut_behind_a_brace_inside_an_id_is_not_read_on(both):
    # The taker's id is stepped over as a whole: a frame that ends inside it, with a brace, goes on in the bytes behind.
    seed = SCANNED[9]
    at = seed.index(b"3c82abaa") + 8
    whole = seed[:at] + b"}" + seed[at + 1:]
    for decoder in both:
        assert len(decoder.time_cycles([whole], batch=1)) == 1
        with pytest.raises(ValueError, match="found one that is refused"):
            decoder.time_cycles([whole[:at + 1], whole[at + 1:]], batch=1)


def test_both_ways_agree_up_to_the_largest_count_of_levels(both):
    head = b'{"channel":"l2_data",' + ENVELOPE + b'{"type":"snapshot","product_id":"BTC-USD","updates":['
    row = b'{"side":"bid","event_time":"2026-08-09T21:05:48.264069Z","price_level":"65106.54","new_quantity":"0.15361938"}'
    wide = tuple(MessageDecoder(INSTRUMENTS, kind="coinbase", scanner=scanner, max_frame_bytes=8 << 20) for scanner in (True, False))
    for count, status in ((65535, Status.STATUS_OK), (65536, Status.STATUS_TOO_LARGE)):
        frame = head + b",".join([row] * count) + b"]}]}"
        assert check(wide, frame) == (status == Status.STATUS_OK)
        assert outcome(wide[0], frame)[0][0] == status
        changes = b'{"type":"l2update","product_id":"BTC-USD","changes":[' + b",".join([b'["buy","1.5","2"]'] * count)
        changes += b'],"time":"2021-04-17T16:43:37Z"}'
        assert check(wide, changes) == (status == Status.STATUS_OK)
    too_long = b'{"type":"l2update","product_id":"BTC-USD","changes":[],"time":"2021-04-17T16:43:37Z","x":"' + b"y" * (8 << 20) + b'"}'
    assert outcome(wide[0], too_long)[0][0] == Status.STATUS_TOO_LARGE


def test_both_ways_agree_when_the_last_event_finds_no_room(both):
    rows = b",".join([b'{"side":"bid","price_level":"1","new_quantity":"1"}'] * 65535)
    for empties, status in ((0, Status.STATUS_OK), (1, Status.STATUS_OK), (2, Status.STATUS_TOO_LARGE)):
        frame = b'{"channel":"l2_data",' + ENVELOPE + b'{"type":"update","product_id":"BTC-USD","updates":[' + rows + b"]}"
        frame += b',{"type":"update","product_id":"ETH-USD","updates":[]}' * empties + b"]}"
        assert not check(both, frame)
        assert outcome(both[0], frame)[0][0] == status


@pytest.mark.parametrize("name", ["cryptofeed_COINBASE_20260809", "cryptofeed_COINBASE_EXCHANGE_20210417"])
def test_both_ways_agree_on_the_recorded_frames(shared_data, name):
    # Grids of the coarsest kind too: a refusal must be the same refusal.
    symbols = ["BTC-USD", "ETH-USD", "SKL-USD", "SKL-BTC", "BAND-GBP", "NMR-EUR", "BAND-BTC", "YFI-BTC", "DASH-BTC", "NU-GBP", "CRV-EUR"]
    for tick, lot in (("0.00000001", "0.00000001"), ("0.01", "0.1"), ("0.000000000001", "0.00000001")):
        pair = [MessageDecoder([(s, tick, lot) for s in symbols], kind="coinbase", scanner=scanner, max_frame_bytes=16 << 20)
                for scanner in (True, False)]
        scanned = count = 0
        for frame in read_capture(shared_data(f"ws/coinbase/{name}.jsonl.zst")):
            # The 5 MB snapshot once is enough.
            if len(frame.data) < 1 << 20 or tick == "0.00000001":
                scanned += check(pair, frame.data)
                count += 1
        assert tick == "0.01" or scanned > 0.95 * count


NUMBER = st.decimals(min_value=0, max_value=10 ** 11, places=9, allow_nan=False)


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, len(SEEDS) - 1), st.lists(NUMBER, min_size=8, max_size=8), st.integers(0, 2 ** 65), st.randoms())
def test_both_ways_agree_on_any_numbers(both, which, numbers, big, r):
    message = json.loads(SEEDS[which])
    left = list(numbers)

    def change(value, key=""):
        if isinstance(value, dict):
            return {k: change(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [change(v, key) for v in value]
        if isinstance(value, str) and value.replace(".", "").isdigit() and left and r.random() < 0.5:
            number = left.pop()
            return f"{number:.{r.choice([0, 1, 2, 2, 8, 9])}f}" if r.random() < 0.8 else str(big)
        if isinstance(value, int) and not isinstance(value, bool) and r.random() < 0.3:
            return big
        return value

    check(both, json.dumps(change(message), separators=(",", ":")).encode())


def records(decoder, data):
    """The records of a frame in an order that does not depend on that of the text, without what marks first and last."""
    status, kind, slots, _, _, update_id = decoder.decode(data, 7, 0)
    rows = sorted(bytes(row[:30]) + bytes(row[32:]) for row in slots.view("u1").reshape(-1, 64)) if len(slots) else []
    return status, kind, rows, update_id


def test_swapped_key_order_and_unknown_fields_change_nothing(both):
    def turned(value):
        if isinstance(value, dict):
            return dict(reversed([*((k, turned(v)) for k, v in value.items()), ("zz", {"deep": [1, {"x": None}]}), ("Q", 1.5)]))
        return [turned(v) for v in value] if isinstance(value, list) else value

    for seed in SEEDS:
        other = json.dumps(turned(json.loads(seed)), indent=1).encode()
        assert not check(both, other)
        assert records(both[0], other) == records(both[0], seed), seed
