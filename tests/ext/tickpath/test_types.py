"""The record layout, pinned from both sides: sizeof as the compiler sees it, offsets as NumPy does."""
import pytest

from tickpath import types
from tickpath.types import DTYPES, LAYOUT_HASH, SLOT_COUNTS, EventType, Reason, Status

TWO_SLOTS = {"EV_BAR", "EV_CANDLE", "EV_CONSOLIDATED", "EV_ORDER_DELTA", "EV_COMMAND", "EV_EXEC_REPORT", "EV_FILL", "EV_GRID",
             "EV_INTENT", "EV_LATENCY"}
HEADER = {"seq": (0, "<u8"), "ts_recv_ns": (8, "<i8"), "instrument": (24, "<u4"), "type": (28, "|u1"),
          "venue": (29, "|u1"), "flags": (30, "<u2")}
PAYLOAD = {
    EventType.EV_FRAME: {"frame_hash": 32, "frame_bytes": 40, "event_count": 44, "last_update_id": 48, "frame_no": 56},
    EventType.EV_BOOK_DELTA: {"price_ticks": 32, "qty_lots": 40, "first_update_id": 48, "last_update_id": 56},
    EventType.EV_TRADE: {"price_ticks": 32, "qty_lots": 40, "trade_id": 48, "trade_count": 56},
    EventType.EV_QUOTE: {"bid_price_ticks": 32, "bid_qty_lots": 40, "ask_price_ticks": 48, "ask_qty_lots": 56},
    EventType.EV_EXEC_REPORT: {"order_ordinal": 32, "last_price_ticks": 40, "last_qty_lots": 48, "cum_qty_lots": 56,
                               "venue_order_id": 96, "trade_id": 104, "fee_e8": 112, "venue_code": 120, "exec_type": 124},
    EventType.EV_COMMAND: {"kind": 32, "lane": 34, "role": 36, "reason": 38, "request_id": 40, "value": 48, "detail": 56,
                           "holds_seq": 96, "seen_seq": 104, "price_ticks": 112, "qty_lots": 120},
    EventType.EV_INTENT: {"order_ordinal": 32, "price_ticks": 40, "qty_lots": 48, "seen_seq": 56, "client_order_id": 96,
                          "side": 114, "order_type": 115, "time_in_force": 116, "strategy": 117},
    EventType.EV_FILL: {"order_ordinal": 32, "price_ticks": 40, "qty_lots": 48, "trade_id": 56, "fee_e8": 96,
                        "cum_qty_lots": 104, "position_lots": 112, "side": 120},
    EventType.EV_POSITION: {"position_lots": 32, "open_cost_ticklots": 40, "realised_ticklots": 48, "fees_e8": 56},
    EventType.EV_REFUSAL: {"order_ordinal": 32, "price_ticks": 40, "qty_lots": 48, "reason": 56, "side": 60},
    EventType.EV_ORDER_STATE: {"order_ordinal": 32, "cum_qty_lots": 40, "leaves_qty_lots": 48, "state": 56,
                               "prev_state": 57, "reason": 60},
    EventType.EV_BAR: {"open_ticks": 32, "close_ticks": 56, "ts_open_ns": 80, "volume_lots": 96, "interval_ns": 120},
    EventType.EV_CANDLE: {"open_ticks": 32, "close_ticks": 56, "ts_open_ns": 80, "volume_lots": 96, "interval_ns": 120},
    EventType.EV_REFERENCE: {"kind": 32, "scale": 36, "mantissa": 40, "ts_next_ns": 48},
    EventType.EV_LIQUIDATION: {"price_ticks": 32, "qty_lots": 40},
    EventType.EV_INSTRUMENT_STATUS: {"status": 32, "text": 40},
    EventType.EV_ORDER_DELTA: {"price_ticks": 32, "qty_lots": 40, "order_key_high": 48, "order_key_low": 56,
                               "update_id": 96, "action": 104, "checksum": 108},
    EventType.EV_FEED: {"kind": 32, "connection": 34, "value": 40, "detail": 48, "total": 56},
    EventType.EV_CONSOLIDATED: {"bid_price_ticks": 32, "ask_qty_lots": 56, "bid_members": 96, "cross_state": 99,
                                "cause_instrument": 100, "cross_since_ns": 104, "change_no": 120},
    EventType.EV_GRID: {"tick_mantissa": 32, "lot_mantissa": 40, "tick_scale": 48, "lot_scale": 52,
                        "min_notional_ticklots": 56, "qty_step_lots": 96, "price_decimals": 104, "qty_decimals": 108},
    EventType.EV_LATENCY: {"order_ordinal": 32, "receive_cycles": 48, "strategy_cycles": 96, "frame_to_order_cycles": 116},
}


def test_every_record_is_one_or_two_slots_of_64_bytes():
    for kind, dtype in DTYPES.items():
        expected = 128 if EventType(kind).name in TWO_SLOTS else 64
        assert dtype.itemsize == expected, EventType(kind).name
        assert SLOT_COUNTS[kind] == expected // 64


def test_sizes_seen_by_the_compiler_are_those_numpy_sees():
    sizes = types.cython_sizes()
    assert sorted(set(sizes.values())) == [64, 128]
    assert sum(sizes.values()) == sum(d.itemsize for k, d in DTYPES.items() if k != EventType.EV_CONT)


@pytest.mark.parametrize("kind", [k for k in DTYPES], ids=lambda k: EventType(k).name)
def test_header_fields_stand_where_every_reader_expects_them(kind):
    dtype = DTYPES[kind]
    for name, (offset, text) in HEADER.items():
        assert (dtype.fields[name][1], dtype.fields[name][0].str) == (offset, text)


@pytest.mark.parametrize("kind", PAYLOAD, ids=lambda k: k.name)
def test_payload_offsets_are_pinned(kind):
    for name, offset in PAYLOAD[kind].items():
        assert DTYPES[kind].fields[name][1] == offset, name


def test_second_slot_of_a_long_record_opens_with_a_header_of_its_own():
    for kind, dtype in DTYPES.items():
        if SLOT_COUNTS[kind] == 2:
            assert dtype.fields["seq2"][1] == 64
            assert dtype.fields["type2"][1] == 64 + 28


def test_zero_is_never_success():
    assert Status.STATUS_INVALID == 0 and Status.STATUS_OK != 0
    assert Reason.REASON_INVALID == 0 and Reason.REASON_OK != 0


def test_layout_hash_is_that_of_this_layout():
    # A change here is a change of every segment and journal on disk: raise LAYOUT_VERSION and say so in the changelog.
    assert LAYOUT_HASH == PINNED_LAYOUT_HASH


PINNED_LAYOUT_HASH = 0x79dbfbe7bb9e6afe
