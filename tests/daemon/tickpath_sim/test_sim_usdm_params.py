"""Orders of USD-M futures from their parameters: what is taken, and with which code the rest is refused."""
import pytest

from tickpath_sim.trading.errors import VenueError
from tickpath_sim.trading.symbols import Asset, Symbol
from tickpath_sim.trading.usdm_contracts import DEFAULTS, Contract, text_of
from tickpath_sim.trading.usdm_params import parse_order

NOW_MS = 1_790_000_000_000
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "61000.00"}
STOP = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP", "quantity": "0.010", "price": "60000", "stopPrice": "60100"}
CLOSE = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "stopPrice": "60000", "closePosition": "true"}
TRAIL = {"symbol": "BTCUSDT", "side": "SELL", "type": "TRAILING_STOP_MARKET", "quantity": "1", "callbackRate": "0.3"}
BIDS, ASKS = [610000 - n for n in range(6)], [610010 + n for n in range(20)]


def contract_of(name="BTCUSDT"):
    terms = DEFAULTS[name]
    return Contract(Symbol(name, 0, Asset(terms.base, 0), Asset(terms.quote, 1), terms.tick_size, terms.lot_size,
                           price_places=2, qty_places=3), terms)


def parse(params, *, hedge=False, algo=False):
    return parse_order(params, contract_of(), hedge=hedge, now_ms=NOW_MS, algo=algo,
                       best_levels=lambda bids, count: (BIDS if bids else ASKS)[:count])


def test_a_limit_order_comes_out_in_ticks_and_lots():
    intent = parse(LIMIT)
    assert (intent.buy, intent.type, intent.tif, intent.price_ticks, intent.qty_lots) == (True, "LIMIT", "GTC", 610000, 10)
    assert (intent.position_side, intent.stp, intent.mark, intent.reduce_only) == ("BOTH", "EXPIRE_MAKER", False, False)


def test_each_conditional_type_keeps_what_it_is_triggered_by():
    assert parse(STOP).stop_ticks == 601000
    trail = parse({**TRAIL, "activationPrice": "62000.1"})
    assert (trail.callback_bips, trail.callback_text, trail.activation_ticks) == (30, "0.3", 620001)
    close = parse({**CLOSE, "workingType": "MARK_PRICE"})
    assert (close.close_position, close.qty_lots, close.mark) == (True, 0, True)


def test_the_algo_call_has_names_of_its_own():
    intent = parse({**{k: v for k, v in STOP.items() if k != "stopPrice"}, "triggerPrice": "60100", "clientAlgoId": "a-1"}, algo=True)
    assert (intent.stop_ticks, intent.client_order_id) == (601000, "a-1")
    with pytest.raises(VenueError) as refused:
        parse(LIMIT, algo=True)
    assert refused.value.code == -1116


@pytest.mark.parametrize(("match", "side", "ticks"), [
    ("OPPONENT", "BUY", 610010), ("OPPONENT_5", "BUY", 610014), ("QUEUE", "BUY", 610000), ("QUEUE_5", "SELL", 610014),
    ("OPPONENT_5", "SELL", 609996)])
def test_a_price_match_takes_the_level_of_the_book(match, side, ticks):
    params = {**{k: v for k, v in LIMIT.items() if k != "price"}, "priceMatch": match, "side": side}
    assert parse(params).price_ticks == ticks


REFUSALS = [
    (LIMIT, {"side": None}, -1102), (LIMIT, {"side": "HOLD"}, -1117), (LIMIT, {"type": None}, -1102), (LIMIT, {"type": "OCO"}, -1116),
    (LIMIT, {"timeInForce": None}, -1102), (LIMIT, {"timeInForce": "DAY"}, -1115), (LIMIT, {"quantity": None}, -1102),
    (LIMIT, {"quantity": "ten"}, -1102), (LIMIT, {"quantity": "0"}, -4003), (LIMIT, {"quantity": "-1"}, -4003),
    (LIMIT, {"quantity": "0.0001"}, -1111), (LIMIT, {"quantity": "0.000000001"}, -1111), (LIMIT, {"quantity": "1001"}, -4005),
    (LIMIT, {"quantity": "1e2"}, -1102), (LIMIT, {"price": None}, -1102), (LIMIT, {"price": "-5"}, -4001),
    (LIMIT, {"price": "0"}, -4001), (LIMIT, {"price": "61000.05"}, -4014), (LIMIT, {"price": "61000.001"}, -1111),
    (LIMIT, {"price": "500"}, -4013), (LIMIT, {"price": "9999999"}, -4002), (LIMIT, {"price": "NaN"}, -1102),
    (LIMIT, {"positionSide": "LONG"}, -4061), (LIMIT, {"positionSide": "UP"}, -4060), (LIMIT, {"reduceOnly": "maybe"}, -1130),
    (LIMIT, {"closePosition": "true"}, -4136), (LIMIT, {"stopPrice": "60000"}, -1106), (LIMIT, {"workingType": "INDEX"}, -4031),
    (LIMIT, {"newOrderRespType": "SOME"}, -1136), (LIMIT, {"selfTradePreventionMode": "DECREMENT"}, -5039),
    (LIMIT, {"newClientOrderId": "x" * 37}, -4015), (LIMIT, {"newClientOrderId": "a b"}, -4015),
    (LIMIT, {"timeInForce": "GTD"}, -1102), (LIMIT, {"timeInForce": "GTD", "goodTillDate": str(NOW_MS + 60_000)}, -5040),
    (LIMIT, {"priceMatch": "QUEUE"}, -1106), (LIMIT, {"price": None, "priceMatch": "BEST"}, -5037),
    (LIMIT, {"price": None, "priceMatch": "QUEUE_10"}, -5041),
    (LIMIT, {"type": "MARKET", "price": None}, -1106), (LIMIT, {"type": "MARKET", "timeInForce": None}, -1106),
    (LIMIT, {"type": "MARKET", "timeInForce": None, "price": None, "quantity": "121"}, -4005),
    (STOP, {"stopPrice": None}, -1102), (STOP, {"stopPrice": "-1"}, -4006), (STOP, {"stopPrice": "9999999"}, -4007),
    (STOP, {"price": None}, -1102), (CLOSE, {"quantity": "1"}, -4137), (CLOSE, {"reduceOnly": "true"}, -1106),
    (CLOSE, {"closePosition": None}, -1102), (TRAIL, {"callbackRate": None}, -1102), (TRAIL, {"callbackRate": "0.05"}, -2007),
    (TRAIL, {"callbackRate": "11"}, -2007), (TRAIL, {"activationPrice": "0"}, -4135), (TRAIL, {"priceMatch": "QUEUE"}, -5038)]


@pytest.mark.parametrize(("base", "change", "code"), REFUSALS, ids=[f"{n}{c}" for n, (_, _, c) in enumerate(REFUSALS)])
def test_what_does_not_fit_is_refused_with_the_venue_s_code(base, change, code):
    params = {name: text for name, text in {**base, **change}.items() if text is not None}
    with pytest.raises(VenueError) as refused:
        parse(params)
    assert refused.value.code == code
    assert refused.value.msg and refused.value.status == 400


def test_hedge_mode_wants_a_side_of_the_position_and_no_reduce_only():
    assert parse({**LIMIT, "positionSide": "SHORT"}, hedge=True).position_side == "SHORT"
    for change, code in (({}, -4061), ({"positionSide": "LONG", "reduceOnly": "false"}, -1106)):
        with pytest.raises(VenueError) as refused:
            parse({**LIMIT, **change}, hedge=True)
        assert refused.value.code == code


@pytest.mark.parametrize(("value", "scale", "places", "text"), [
    (-123456, 4, 2, "-12.34"), (5, 1, 3, "0.500"), (0, 8, 2, "0.00"), (-4, 2, 1, "0.0"), (12, 0, 0, "12"), (-99, 2, 0, "0")])
def test_money_is_cut_off_at_the_places_shown(value, scale, places, text):
    assert text_of(value, scale, places) == text
