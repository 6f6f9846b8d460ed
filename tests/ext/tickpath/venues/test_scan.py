"""Steps that all scanners share: what they take, and what they must leave to the general way, which then decides."""
import pytest

from tickpath.shm.ring import records
from tickpath.types import EventType, Status
from tickpath.venues.decoders import MessageDecoder


def binance(symbol=b"BTCUSDT", price=b"61837.63000000", time=b"1723161255342"):
    return (b'{"stream":"x@trade","data":{"e":"trade","E":' + time + b',"s":"' + symbol + b'","t":5,"p":"' + price
            + b'","q":"0.02000000","T":' + time + b',"m":true,"M":true}}')


def usdm(symbol=b"BTCUSDT", price=b"61837.63", time=b"1723161255342"):
    return (b'{"stream":"x@trade","data":{"e":"trade","E":' + time + b',"T":' + time + b',"s":"' + symbol + b'","t":5,"p":"' + price
            + b'","q":"0.020","X":"MARKET","m":true}}')


def okx(symbol=b"BTCUSDT", price=b"61837.63", time=b"1723161255342"):
    return (b'{"arg":{"channel":"trades","instId":"' + symbol + b'"},"data":[{"instId":"' + symbol + b'","tradeId":"5","px":"'
            + price + b'","sz":"0.02","side":"buy","ts":"' + time + b'"}]}')


def bybit(symbol=b"BTCUSDT", price=b"61837.63", time=b"1723161255342"):
    return (b'{"topic":"publicTrade.' + symbol + b'","type":"snapshot","ts":' + time + b',"data":[{"T":' + time + b',"s":"' + symbol
            + b'","S":"Buy","v":"0.020","p":"' + price + b'","L":"PlusTick","i":"2a0da34e-61f7-4c36-88e5-c9dd15927b16",'
            b'"BT":false}]}')


def kraken(symbol=b"BTCUSDT", price=b"61837.63", time=None):
    return b'[337,[["' + price + b'","0.02000000","1618678142.557535","s","l",""]],"trade","' + symbol + b'"]'


MAKERS = {"binance_spot": binance, "binance_usdm": usdm, "okx": okx, "bybit": bybit, "kraken": kraken}
TIMED = [name for name in MAKERS if name != "kraken"]


def both(kind, frame, symbol="BTCUSDT"):
    """(what the decoder says, what it says without its scanner, whether the scanner took it); records as bytes."""
    fast = MessageDecoder([(symbol, "0.01", "0.001")], kind=kind).decode(frame, 7)
    slow = MessageDecoder([(symbol, "0.01", "0.001")], kind=kind, scanner=False).decode(frame, 7)
    return (fast[0], fast[2].tobytes()), (slow[0], slow[2].tobytes()), fast[3]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("symbol", ["A", "BTCUSDT", "FIFTEENLETTERSX", "SIXTEENLETTERSXY", "SEVENTEENLETTERSX", "ABCDEFGHIJKLMNOPQRSTUVWX"])
def test_a_symbol_of_any_length_up_to_24_is_found_by_the_scanner(kind, symbol):
    fast, slow, scanned = both(kind, MAKERS[kind](symbol.encode()), symbol)
    assert fast == slow
    assert fast[0] == Status.STATUS_OK
    # Kraken's stands last, and is sought in the frame's last 34 bytes only.
    assert scanned or (kind == "kraken" and len(symbol) > 17)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", [b"BTCUSDT\0", b"BTCUSDT\0\0", b"BTCUSD", b"BTCUSDTX", b"BTCUSD\\u0054", b"", b"ABCDEFGHIJKLMNOPQRSTUVWXY"])
def test_a_name_that_only_begins_like_a_symbol_is_none_of_ours(kind, name):
    fast, slow, scanned = both(kind, MAKERS[kind](name))
    assert fast == slow
    assert not scanned
    assert fast[0] != Status.STATUS_OK


@pytest.mark.parametrize("kind", TIMED)
@pytest.mark.parametrize(("text", "scanned"), [
    (b"1000000000000", True), (b"1723161255342", True), (b"8999999999999", True), (b"9000000000000", False), (b"172316125534", True),
    (b"17231612553420", False), (b"1723161255342000", True), (b"01723161255342", False), (b"172316125534x", False), (b"", False),
])
def test_a_time_of_13_digits_or_others_is_read_as_the_general_way_reads_it(kind, text, scanned):
    fast, slow, found = both(kind, MAKERS[kind](time=text))
    assert fast == slow
    assert found is scanned
    if len(text) == 13 and scanned:
        decoder = MessageDecoder([("BTCUSDT", "0.01", "0.001")], kind=kind)
        assert decoder.decode(MAKERS[kind](time=text))[2]["ts_venue_ns"][0] == int(text) * 10 ** 6


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(("price", "ticks"), [
    (b"1", 100), (b"1.5", 150), (b"12345678.25", 1234567825), (b"123456789.25", 12345678925), (b"0.01000000", 1), (b"1.500000000", 150),
    (b"12345678.25000000", 1234567825), (b"1.505", None), (b"1.", None), (b".5", None), (b"1.5.0", None), (b"1x5", None), (b"", None),
    (b"0.00", None),
])
def test_a_price_of_any_form_becomes_the_ticks_that_the_general_way_gives(kind, price, ticks):
    fast, slow, _ = both(kind, MAKERS[kind](price=price))
    assert fast == slow
    if ticks is None:
        assert fast[0] != Status.STATUS_OK
    else:
        slots = MessageDecoder([("BTCUSDT", "0.01", "0.001")], kind=kind).decode(MAKERS[kind](price=price))[2]
        assert records(slots, EventType.EV_TRADE)["price_ticks"].tolist() == [ticks]
