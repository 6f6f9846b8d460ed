"""Scanner and simdjson, side by side on mutated real messages: whatever the scanner takes, simdjson decodes the same."""
import gzip
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.shm.ring import records
from tickpath.types import EventType, Status
from tickpath.venues.decoders import MessageDecoder

pytestmark = pytest.mark.sampled

INSTRUMENTS = [("BTCUSDT", "0.01", "0.000001"), ("ETHUSDT", "0.01", "0.0001")]
SEEDS = [
    b'{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}',
    b'{"u":400900217,"s":"ETHUSDT","b":"25.35000000","B":"31.21000000","a":"25.36000000","A":"40.66000000"}',
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}',
    b'{"e":"aggTrade","E":1672515782136,"s":"BTCUSDT","a":12345,"p":"0.01000000","q":"100.00000000","f":100,"l":105,"T":1672515782136,"m":false,"M":true}',
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT","U":50093239203,"u":50093239207,"b":[["55653.87000000","0.00000000"]],"a":[["61838.04000000","0.32332000"],["61844.30000000","0.40163000"]]}}',
    b'{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT","U":1,"u":2,"b":[],"a":[]}',
]
# Reports as the venue documents them: new, filled, cancelled by another id, a market order's fill, expired by prevention;
# bare and in each envelope, with and without the fields that only some accounts see.
TAIL = b'"O":1723161254442,"Z":"3091.88150000","Y":"3091.88150000","Q":"0.00000000","W":1723161254442,"V":"EXPIRE_MAKER"'
REPORTS = [
    b'{"e":"executionReport","E":1723161255343,"s":"BTCUSDT","c":"tp000000000000000a","S":"BUY","o":"LIMIT","f":"GTC","q":"0.05000000","p":"61837.63000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"NEW","X":"NEW","r":"NONE","i":34293153000,"l":"0.00000000","z":"0.00000000","L":"0.00000000","n":"0","N":null,"T":1723161255342,"t":-1,"I":78641984000,"w":true,"m":false,"M":false,' + TAIL + b'}',
    b'{"event":{"e":"executionReport","E":1723161255343,"s":"BTCUSDT","c":"tp00000000000000v1","S":"SELL","o":"LIMIT_MAKER","f":"GTC","q":"0.05000000","p":"61837.63000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"TRADE","X":"FILLED","r":"NONE","i":34293153001,"l":"0.05000000","z":"0.05000000","L":"61837.63000000","n":"0.00003710","N":"BNB","T":1723161255342,"t":4512345678,"I":78641984001,"w":false,"m":true,"M":true,' + TAIL + b'}}',
    b'{"subscriptionId":3,"event":{"e":"executionReport","E":1723161255343,"s":"ETHUSDT","c":"electron_2b0e9b5e0c1c4d2d8b3c9d0a5f31","S":"BUY","o":"STOP_LOSS_LIMIT","f":"IOC","q":"1.50000000","p":"2671.55000000","P":"2670.00000000","F":"0.50000000","g":17,"C":"tp0000000000000010","x":"CANCELED","X":"CANCELED","r":"NONE","i":8459382,"l":"0.00000000","z":"0.25000000","L":"0.00000000","n":"0","N":null,"T":1723161255342,"t":-1,"I":17,"w":false,"m":false,"M":false,"O":1723161254442,"Z":"667.88750000","Y":"0.00000000","Q":"0.00000000","V":"NONE","D":1723161254443,"j":4,"J":1000000,"d":-4}}',
    b'{"stream":"xs@account","data":{"e":"executionReport","E":1723161255343,"s":"BTCUSDT","c":"tp0000000000000002","S":"BUY","o":"MARKET","f":"FOK","q":"0.5","p":"0.0","P":"0","F":"0","g":-1,"C":"","x":"TRADE","X":"PARTIALLY_FILLED","r":"NONE","i":1,"l":"0.25","z":"12.250000","L":"61837.6","n":"0.1","N":null,"T":1723161255342,"t":9,"I":2,"w":false,"m":false,"M":true}}',
    b'{"e":"executionReport","E":1723161255343,"s":"BTCUSDT","c":"tp0000000000000003","S":"SELL","o":"LIMIT","f":"GTC","q":"0.05000000","p":"61837.63000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"EXPIRED","X":"EXPIRED_IN_MATCH","r":"STP","i":34293153000,"l":"0.00000000","z":"0.00000000","L":"0.00000000","n":"0","N":null,"T":1723161255342,"t":-1,"v":3,"I":78641984000,"w":false,"m":false,"M":false,"O":1723161254442,"Z":"0.00000000","Y":"0.00000000","Q":"0.00000000","W":1723161254442,"V":"EXPIRE_TAKER","u":1,"A":"0.1","B":"0.2","a":5,"b":"ONE","k":true,"U":null}',
]
SEEDS += REPORTS


@pytest.fixture(scope="module")
def both():
    return tuple(MessageDecoder(INSTRUMENTS, scanner=scanner, id_prefix="tp0000000000") for scanner in (True, False))


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
    scanned = sum(check(both, mutate(r, r.choice(SEEDS))) for _ in range(examples(60_000)))
    assert scanned > examples(3_000)                # mutants that are still exact Binance text keep the scanner under test


WORDS = [b"NEW", b"TRADE", b"CANCELED", b"REJECTED", b"EXPIRED", b"TRADE_PREVENTION", b"REPLACED", b"NEWS", b"NE", b"BUY", b"SELL",
         b"SELLS", b"BUYS", b"true", b"false", b"null", b"truf", b"falsee", b"-1", b"-0", b"-01", b"007", b"0", b"1.5", b"1e5", b"-"]
NUMBERS = [b"-0.05000000", b"1e-2", b"5E-2", b"1e400", b"00.05000000", b"0061837.63000000", b"0.050000000", b"0.05", b"0.", b".05",
           b"61837", b"92233720368547758.07000000", b"99999999999.00000000", b"9999999.00000000", b"99999999.00000000",
           b"123456789012345678901234567890.12345678", b"0.00000001", b"0.01234567", b"", b"0.0000000a", b"0,05000000", b"+1.00000000"]
INTEGERS = [b"0", b"01", b"-1", b"9999999999999999", b"10000000000000000", b"18446744073709551615", b"18446744073709551616",
            b"1723161255342000", b"9000000000000", b"100000000000000", b"1.0", b"1e3", b'"5"', b"null"]


def mutate_report(r, data):
    """One or two changes that keep most of a report's form: values, fields, order, names."""
    for _ in range(r.randrange(1, 3)):
        fields = data.split(b",")
        at = r.randrange(len(fields))
        key, colon, value = fields[at].rpartition(b":")
        k = r.randrange(9)
        if k == 0 and value.startswith(b'"'):
            fields[at] = key + colon + b'"' + r.choice(NUMBERS) + b'"'
        elif k == 1:
            fields[at] = key + colon + r.choice(INTEGERS)
        elif k == 2:
            fields[at] = key + colon + r.choice([b'"%s"' % w for w in WORDS] + WORDS)
        elif k == 3:
            fields[at:at] = [r.choice([b'"Q":"7"', b'"zz":1', b'"G":-5', b'"H":"x"', b'"h":null', b'"y":tru', b'"y":true', b'"3":1', b'"":0',
                                       b'"K":{"a":[1]}', b'"K":[1]', b'"a":[["1","2"]]', b'"data":{}', b'"event":{}', b'"e":"trade"', b'"D":1.5',
                                       b'"j":01', b'"j":-0', b'"j":12345678901234567', b'"d" :1', b'"y":"\\u0041"', b'"y":"}"', b'"y":"\x7f"', b'"y":"\xc3\xa9"'])]
        elif k == 4:
            other = r.randrange(len(fields))
            fields[at], fields[other] = fields[other], fields[at]
        elif k == 5:
            fields[at] = key + colon + value.replace(b'"', r.choice([b"", b"\\", b'""', b' "', b"'"]), 1)
        elif k == 6:
            del fields[at]
        elif k == 7 and value.startswith(b'"') and len(value) > 2:
            inside = r.randrange(1, len(value) - 1)
            fields[at] = key + colon + value[:inside] + bytes([r.randrange(256)]) * r.choice([1, 1, 40]) + value[inside + 1:]
        else:
            fields[at] = key + colon + bytes(r.choice(b"0123456789") if 48 <= c <= 57 and r.random() < 0.5 else c for c in value)
        data = b",".join(fields)
    return data


def test_scanner_and_simdjson_agree_on_mutated_reports(both):
    r = random.Random(20261122)
    scanned = sum(check(both, mutate_report(r, r.choice(REPORTS))) for _ in range(examples(40_000)))
    assert scanned > examples(8_000)
    assert sum(check(both, mutate(r, r.choice(REPORTS))) for _ in range(examples(20_000))) > examples(2_000)


def test_scanner_and_simdjson_agree_on_every_changed_byte_of_a_report(both):
    r = random.Random(3)
    for seed in REPORTS:
        for at in range(len(seed)):
            for c in {*b'0 9"\\{},:\x00\xff', r.randrange(256), seed[at] ^ 1 << r.randrange(8)}:
                check(both, seed[:at] + bytes([c]) + seed[at + 1:])


def test_bytes_behind_a_frame_never_count(both):
    # Frames lie one behind the other in a socket's buffer; a cut one must not be read on into its own continuation. Of three
    # frames a batch of two decodes the first two, and the third only lies behind them.
    for decoder in both:
        for seed in SEEDS:
            assert len(decoder.time_cycles([seed, seed, b"}}"], batch=2)) == 1
            for n in range(1, len(seed)):
                with pytest.raises(ValueError, match="found one that is refused"):
                    decoder.time_cycles([seed, seed[:n], seed[n:]], batch=2)


def test_a_report_decodes_to_the_numbers_of_its_text(both):
    status, _, slots, scanned, _, _ = both[0].decode(REPORTS[1], 7, 0)
    report = records(slots, EventType.EV_EXEC_REPORT)[0]
    assert (status, scanned) == (Status.STATUS_OK, True)
    found = [int(report[k]) for k in ("order_ordinal", "last_price_ticks", "last_qty_lots", "cum_qty_lots", "venue_order_id", "trade_id",
                                      "fee_e8", "exec_type", "side", "flags", "ts_venue_ns", "ts_recv_ns")]
    assert found == [31 * 32 + 1, 6183763, 50000, 50000, 34293153001, 4512345678, 3710, 4, 2, 1, 1723161255342 * 10 ** 6, 7]


def test_scanner_and_simdjson_agree_up_to_the_largest_count_of_levels(both):
    for count in (20478, 20479, 20480):
        rows = b",".join([b'["61837.63000000","1.00000000"]'] * count)
        check(both, b'{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT","U":1,"u":2,"b":[' + rows + b'],"a":[]}')


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


@settings(max_examples=examples(1500), deadline=None)
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
