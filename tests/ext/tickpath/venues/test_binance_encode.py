"""Every encoded request parses back, with a JSON library, to what was meant."""
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.types import OrderType, Side, TimeInForce
from tickpath.venues.binance_encode import RequestEncoder

GRIDS = st.sampled_from([("BTCUSDT", "0.01", "0.00001"), ("SHIBUSDT", "0.00000001", "1"), ("X", "5", "0.1"),
                         ("ABCDEFGHIJKLMNOP", "0.025", "1000")])
CID = "tpabc0123456000001"


@settings(max_examples=examples(600))
@given(GRIDS, st.sampled_from([1, 2]), st.sampled_from([1, 2, 3]), st.sampled_from([1, 3, 4]), st.integers(1, 2 ** 62),
       st.integers(1, 2 ** 62), st.integers(0, 4_000_000_000_000_000_000))
def test_order_parses_back_to_what_was_meant(grid, side, kind, force, price, qty, now_ns):
    symbol, tick, lot = grid
    request = json.loads(RequestEncoder(symbol, tick, lot).order(CID, side, kind, force, price, qty, now_ns))
    assert request["id"] == CID and request["method"] == "order.place"
    p = request["params"]
    assert p.pop("symbol") == symbol
    assert p.pop("side") == ("BUY" if side == Side.SIDE_BUY else "SELL")
    assert Decimal(p.pop("quantity")) == qty * Decimal(lot)
    assert p.pop("newClientOrderId") == CID and p.pop("newOrderRespType") == "ACK"
    assert p.pop("timestamp") == now_ns // 1_000_000
    if kind == OrderType.ORDER_TYPE_MARKET:
        assert p == {"type": "MARKET"}
    elif kind == OrderType.ORDER_TYPE_LIMIT_MAKER:
        assert Decimal(p.pop("price")) == price * Decimal(tick)
        assert p == {"type": "LIMIT_MAKER"}
    else:
        assert Decimal(p.pop("price")) == price * Decimal(tick)
        assert p == {"type": "LIMIT", "timeInForce": {TimeInForce.TIME_IN_FORCE_GTC: "GTC",
                     TimeInForce.TIME_IN_FORCE_IOC: "IOC", TimeInForce.TIME_IN_FORCE_FOK: "FOK"}[force]}


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_cancel_names_the_order_by_our_id(now_ns):
    request = json.loads(RequestEncoder("BTCUSDT", "0.01", "0.00001").cancel(CID, now_ns))
    assert request == {"id": "tc" + CID[2:], "method": "order.cancel", "params": {
        "symbol": "BTCUSDT", "origClientOrderId": CID, "timestamp": now_ns // 1_000_000}}


def test_requests_carry_no_key_and_no_signature():
    text = RequestEncoder("BTCUSDT", "0.01", "0.00001").order(CID, 1, 2, 1, 1, 1, 0)
    assert b"apiKey" not in text and b"signature" not in text


def test_id_of_another_length_is_refused():
    with pytest.raises(ValueError, match="18 characters"):
        RequestEncoder("BTCUSDT", "0.01", "0.00001").cancel("tp1", 0)
