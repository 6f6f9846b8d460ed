"""Frames of our own workers: what the encoder writes the decoder reads exactly, and anything else is refused whole."""
import struct
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickpath.shm.ring import records
from tickpath.types import EventType, Status
from tickpath.venues.ccxt_frame import HEADER, FrameEncoder, FrameError, mantissas
from tickpath.venues.decoders import MessageDecoder

TICK, LOT = "0.01", "0.00001"
RECV_NS = 1_700_000_000_000_000_000
BASE = 1 << 62
BIDS = [("61837.63", "0.001"), ("61837.6", "12")]
ASKS = [("61838.10000000", "1e-5")]


@pytest.fixture
def decoder():
    return MessageDecoder([("ETH/USDT", "0.01", "0.0001"), ("BTC/USDT", TICK, LOT)], kind="ccxt")


@pytest.fixture
def encoder():
    return FrameEncoder("BTC/USDT", TICK, LOT)



def test_snapshot_comes_back_exactly_and_as_old_as_its_request(decoder, encoder):
    frame = encoder.book(7, BIDS, ASKS, whole=True, ts_venue_ns=123, age_ns=5_000_000_000)
    status, kind, slots, _, levels, _ = decoder.decode(frame, RECV_NS)
    got = records(slots, EventType.EV_BOOK_DELTA)
    assert (status, levels) == (Status.STATUS_OK, 3)
    assert got["price_ticks"].tolist() == [6183763, 6183760, 6183810]
    assert got["qty_lots"].tolist() == [100, 1_200_000, 1]
    assert got["flags"].tolist() == [2 | 4, 2, 2 | 1 | 8]
    assert set(got["first_update_id"]) == set(got["last_update_id"]) == {BASE + 7}
    assert set(got["instrument"]) == {1} and set(got["ts_venue_ns"]) == {123}
    # A book that took five seconds to come is five seconds old.
    assert set(got["ts_recv_ns"]) == {RECV_NS - 5_000_000_000}


def test_diff_has_no_snapshot_flag_and_zero_deletes(decoder, encoder):
    _, _, slots, *_ = decoder.decode(encoder.book(8, [("61837.63", "0")], [], whole=False), RECV_NS)
    got = records(slots, EventType.EV_BOOK_DELTA)
    assert got["qty_lots"].tolist() == [0] and got["flags"].tolist() == [4 | 8] and got["ts_recv_ns"].tolist() == [RECV_NS]


def test_empty_diff_carries_its_sequence(decoder, encoder):
    status, _, slots, *_ = decoder.decode(encoder.book(9, [], [], whole=False), RECV_NS)
    assert status == Status.STATUS_OK and records(slots, EventType.EV_BOOK_DELTA)["last_update_id"].tolist() == [BASE + 9]


def test_rows_as_units_give_the_same_frame(encoder):
    units = encoder.units(BIDS), encoder.units(ASKS)
    assert encoder.book_of_units(3, *units, whole=True) == encoder.book(3, BIDS, ASKS, whole=True)


def test_trades_carry_price_side_and_id(decoder, encoder):
    status, _, slots, *_ = decoder.decode(encoder.trades(1, [("61837.63", "0.5", 11, 77, True), ("61837.64", "0.25", 12, 78, False)]),
                                          RECV_NS)
    got = records(slots, EventType.EV_TRADE)
    assert status == Status.STATUS_OK
    assert got["price_ticks"].tolist() == [6183763, 6183764] and got["qty_lots"].tolist() == [50000, 25000]
    assert got["flags"].tolist() == [1, 0] and got["trade_id"].tolist() == [11, 12] and got["ts_venue_ns"].tolist() == [77, 78]


def test_quote_is_as_new_as_the_book_it_names(decoder, encoder):
    status, _, slots, _, _, update_id = decoder.decode(encoder.quote(5, "61837.63", "1", "0", "0", age_ns=9), RECV_NS)
    got = records(slots, EventType.EV_QUOTE)[0]
    assert (status, update_id) == (Status.STATUS_OK, BASE + 5)
    assert got["bid_price_ticks"] == 6183763 and got["ask_price_ticks"] == -2 ** 63 and got["ts_recv_ns"] == RECV_NS - 9


def test_candles_are_labelled_by_their_close(decoder, encoder):
    frame = encoder.candles(1, [(60_000_000_000, 60_000_000_000, ("1", "3", "0.5", "2"), "10", True)])
    status, _, slots, *_ = decoder.decode(frame, RECV_NS)
    got = records(slots, EventType.EV_CANDLE)[0]
    assert status == Status.STATUS_OK
    assert got["ts_venue_ns"] == 120_000_000_000 and got["ts_open_ns"] == 60_000_000_000 and got["interval_ns"] == 60_000_000_000
    assert [got[f"{n}_ticks"] for n in ("open", "high", "low", "close")] == [100, 300, 50, 200]
    assert got["volume_lots"] == 1_000_000 and got["flags"] == 1


@pytest.mark.parametrize("bids, status", [
    ([("61837.635", "1")], Status.STATUS_OFF_GRID), ([("61837.63", "0.000001")], Status.STATUS_OFF_GRID),
    ([("92233720368547758.07", "1"), ("1", "1")], Status.STATUS_OK), ([("0", "1")], Status.STATUS_MALFORMED)])
def test_number_off_the_grid_is_refused_and_never_rounded(decoder, encoder, bids, status):
    assert decoder.decode(encoder.book(1, bids, [], whole=True), RECV_NS)[0] == status


def test_value_beyond_int64_is_an_error_where_it_is_written(encoder):
    with pytest.raises(FrameError, match="expected 0 to"):
        encoder.book(1, [("92233720368547758.08", "1")], [], whole=True)


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "abc", "", "1e-31", "1" * 70])
def test_text_that_is_no_number_for_a_frame_is_an_error(encoder, text):
    with pytest.raises(FrameError):
        encoder.book(1, [(text, "1")], [], whole=True)


def broken(frame, **fields):
    names = ("magic", "layout", "kind", "price_exponent", "qty_exponent", "count", "ask_count", "ts_venue_ns", "age_ns", "sequence",
             "symbol")
    values = dict(zip(names, HEADER.unpack(frame[:64]), strict=True)) | fields
    return HEADER.pack(*values.values()) + frame[64:]


@pytest.mark.parametrize("fields, status", [
    ({"magic": 1}, Status.STATUS_MALFORMED), ({"layout": 2}, Status.STATUS_UNSUPPORTED), ({"kind": 0}, Status.STATUS_UNSUPPORTED),
    ({"kind": 6}, Status.STATUS_UNSUPPORTED), ({"kind": 3}, Status.STATUS_MALFORMED), ({"kind": 4}, Status.STATUS_TOO_LARGE),
    ({"count": 1}, Status.STATUS_MALFORMED), ({"count": 2 ** 32 - 1}, Status.STATUS_TOO_LARGE),
    ({"ask_count": 2 ** 32 - 1}, Status.STATUS_TOO_LARGE), ({"ask_count": 16384}, Status.STATUS_MALFORMED),
    ({"sequence": 0}, Status.STATUS_MALFORMED), ({"sequence": 2 ** 61}, Status.STATUS_MALFORMED),
    ({"age_ns": -1}, Status.STATUS_MALFORMED), ({"age_ns": 2 ** 62}, Status.STATUS_MALFORMED),
    ({"ts_venue_ns": -5}, Status.STATUS_MALFORMED), ({"symbol": b"BTC/EUR"}, Status.STATUS_UNKNOWN_SYMBOL),
    ({"symbol": b""}, Status.STATUS_UNKNOWN_SYMBOL), ({"symbol": b"B" * 24}, Status.STATUS_UNKNOWN_SYMBOL),
    ({"price_exponent": -128}, Status.STATUS_OFF_GRID), ({"price_exponent": 127}, Status.STATUS_OVERFLOW)])
def test_hostile_header_is_refused_whole(decoder, encoder, fields, status):
    found = decoder.decode(broken(encoder.book(1, BIDS, ASKS, whole=True), **fields), RECV_NS)
    assert found[0] == status and len(found[2]) == 0


def test_frame_cut_anywhere_is_refused(decoder, encoder):
    frame = encoder.book(1, BIDS, ASKS, whole=True)
    for n in range(len(frame)):
        assert decoder.decode(frame[:n], RECV_NS)[0] == Status.STATUS_MALFORMED


def test_negative_mantissa_in_the_last_level_refuses_all(decoder, encoder):
    frame = encoder.book(1, BIDS, ASKS, whole=True)
    found = decoder.decode(frame[:-8] + struct.pack("<q", -1), RECV_NS)
    assert found[0] == Status.STATUS_MALFORMED and len(found[2]) == 0


DECODER = MessageDecoder([("BTC/USDT", TICK, LOT)], kind="ccxt")


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=256), at=st.integers(0, 250), start=st.booleans())
def test_any_bytes_are_taken_or_refused_and_never_crash(data, at, start):
    whole = FrameEncoder("BTC/USDT", TICK, LOT).book(1, BIDS, ASKS, whole=True)
    frame = whole[:at] + data if start else data
    status, _, slots, *_ = DECODER.decode(frame, RECV_NS)
    assert (len(slots) > 0) == (status == Status.STATUS_OK)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.decimals(min_value=0, max_value=10 ** 6, places=8, allow_nan=False), min_size=1, max_size=8))
def test_mantissas_are_exact_whatever_the_decimals(numbers):
    exponent, found = mantissas([str(n) for n in numbers], -2)
    assert [Decimal(n).scaleb(exponent) for n in found] == numbers
