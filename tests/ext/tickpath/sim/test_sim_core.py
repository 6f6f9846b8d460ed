"""Matching by price and time, what an order's time in force does, the book, events, ids, and many requests at once."""
import random

import numpy as np
import pytest
from sim_desk import BUY, FOK, GTC, IOC, SELL, Desk

from tickpath.sim.exchange import ACTION_DTYPE, Exchange, SimActionKind, SimEventKind, SimOrderType, SimReason, SimStatus, SimTif


@pytest.fixture
def desk():
    return Desk()


def test_the_better_price_trades_first_and_at_its_own_price(desk):
    dear = desk.order(SELL, 5, 103)
    cheap = desk.order(SELL, 5, 101)
    taker = desk.order(BUY, 7, 110, account=1)
    assert desk.fills(taker) == [(101, 5), (103, 2)]
    assert desk.status(cheap) == SimStatus.FILLED and desk.status(dear) == SimStatus.PARTIALLY_FILLED
    assert desk.depth() == ([], [(103, 3)])


def test_at_one_price_the_older_order_trades_first(desk):
    first = desk.order(BUY, 2, 100)
    second = desk.order(BUY, 2, 100, account=1)
    desk.order(SELL, 3, 100, account=2)
    assert desk.fills(first) == [(100, 2)] and desk.fills(second) == [(100, 1)]


def test_the_rest_of_a_limit_order_that_took_stands_in_the_book(desk):
    desk.order(SELL, 2, 100)
    taker = desk.order(BUY, 5, 101, account=1)
    assert desk.depth() == ([(101, 3)], [])
    view = desk.x.order(taker)
    assert (view.qty_lots, view.cum_lots, view.leaves_lots, view.status) == (5, 2, 3, SimStatus.PARTIALLY_FILLED)
    assert view.cum_quote_units == 2 * 100 * 10**5


def test_both_parties_of_a_trade_are_told_and_share_its_number(desk):
    maker = desk.order(SELL, 2, 100, ref=7)
    taker = desk.order(BUY, 2, 100, account=1, ref=8)
    one, other = [e for e in desk.events if e.kind == SimEventKind.TRADE]
    assert (one.order_id, one.ref, one.is_maker, one.counter_order_id) == (taker, 8, 0, maker)
    assert (other.order_id, other.ref, other.is_maker, other.counter_order_id) == (maker, 7, 1, taker)
    assert one.trade_id == other.trade_id == 1 and one.value == other.value == 200 * 10**5


def test_trades_are_numbered_without_a_gap_in_each_instrument(desk):
    ethusdt = desk.x.add_instrument("ETHUSDT", base="BNB", quote="USDT", tick_size="1", lot_size="1")
    desk.x.deposit(desk.accounts[0], "BNB", 10**10)
    numbers = {}
    for instrument in (desk.btcusdt, ethusdt, ethusdt, desk.btcusdt):
        desk.x.submit(desk.accounts[0], instrument, SELL, SimOrderType.LIMIT, GTC, 100, 1, now_ns=1)
        desk.x.submit(desk.accounts[1], instrument, BUY, SimOrderType.LIMIT, GTC, 100, 1, now_ns=1)
        numbers.setdefault(instrument, []).append(desk.x.drain()[-1].trade_id)
    assert numbers == {desk.btcusdt: [1, 2], ethusdt: [1, 2]}


def test_a_market_order_takes_what_is_there_and_the_rest_expires(desk):
    desk.order(SELL, 2, 100)
    desk.order(SELL, 2, 1_000)
    taker = desk.order(BUY, 5, account=1)
    assert desk.fills(taker) == [(100, 2), (1_000, 2)]
    assert desk.status(taker) == SimStatus.EXPIRED and desk.why(taker) == SimReason.NO_LIQUIDITY


def test_a_market_order_in_an_empty_book_is_accepted_and_expires(desk):
    taker = desk.order(BUY, 5)
    assert [SimEventKind(e.kind).name for e in desk.of(taker)] == ["NEW", "EXPIRED"]


def test_immediate_or_cancel_never_rests(desk):
    desk.order(SELL, 2, 100)
    taker = desk.order(BUY, 5, 100, account=1, tif=IOC)
    assert desk.fills(taker) == [(100, 2)] and desk.status(taker) == SimStatus.EXPIRED and desk.why(taker) == SimReason.IOC
    assert desk.depth() == ([], []) and desk.x.open_orders() == []


def test_fill_or_kill_trades_whole_or_not_at_all(desk):
    desk.order(SELL, 2, 100)
    desk.order(SELL, 2, 101)
    killed = desk.order(BUY, 5, 101, account=1, tif=FOK)
    assert desk.fills(killed) == [] and desk.status(killed) == SimStatus.EXPIRED and desk.why(killed) == SimReason.FOK
    beyond = desk.order(BUY, 3, 100, account=1, tif=FOK)
    assert desk.fills(beyond) == []
    filled = desk.order(BUY, 4, 101, account=1, tif=FOK)
    assert desk.fills(filled) == [(100, 2), (101, 2)] and desk.status(filled) == SimStatus.FILLED


def test_post_only_is_refused_when_it_would_take_and_rests_when_not(desk):
    desk.order(SELL, 2, 100)
    assert desk.refused(BUY, 1, 100, account=1, kind=SimOrderType.LIMIT_MAKER) == SimReason.WOULD_TAKE
    assert desk.refused(BUY, 1, 105, account=1, post_only=True) == SimReason.WOULD_TAKE
    desk.order(BUY, 1, 99, account=1, kind=SimOrderType.LIMIT_MAKER)
    assert desk.depth() == ([(99, 1)], [(100, 2)])


def test_a_cancelled_order_leaves_the_book_and_its_queue_closes_up(desk):
    orders = [desk.order(BUY, 1, 100, account=k) for k in range(3)]
    assert desk.cancel(orders[1], account=1) == SimReason.OK
    desk.order(SELL, 2, 100)
    assert desk.status(orders[0]) == desk.status(orders[2]) == SimStatus.FILLED
    assert desk.status(orders[1]) == SimStatus.CANCELED


def test_only_its_owner_can_cancel_an_order_and_only_once(desk):
    order = desk.order(BUY, 1, 100)
    assert desk.cancel(order, account=1) == SimReason.UNKNOWN_ORDER
    assert desk.cancel(order) == SimReason.OK
    assert desk.cancel(order) == SimReason.UNKNOWN_ORDER
    assert desk.cancel(0) == desk.cancel(2**63) == desk.cancel(5) == SimReason.UNKNOWN_ORDER


def test_ids_rise_and_a_place_used_again_has_another_id(desk):
    ids = []
    for _ in range(5):
        ids.append(desk.order(BUY, 1, 100))
        desk.cancel(ids[-1])
    assert ids == sorted(set(ids))
    assert desk.x.order(ids[0]) is None and desk.x.order(ids[-1]).status == SimStatus.CANCELED


def test_a_refused_order_leaves_no_event_and_takes_no_number(desk):
    before = desk.order(BUY, 1, 100)
    count = len(desk.events)
    assert desk.refused(BUY, 0, 100) == SimReason.LOT_SIZE
    assert len(desk.events) == count
    assert (desk.order(BUY, 1, 100) >> 24) == (before >> 24) + 1


def test_cancel_all_takes_one_accounts_orders_of_one_instrument(desk):
    ethusdt = desk.x.add_instrument("ETHUSDT", base="BNB", quote="USDT", tick_size="1", lot_size="1")
    mine = [desk.order(BUY, 1, 90 + k) for k in range(3)]
    desk.order(BUY, 1, 95, account=1)
    desk.x.submit(desk.accounts[0], ethusdt, BUY, SimOrderType.LIMIT, GTC, 5, 1, now_ns=9)
    assert desk.x.cancel_all(desk.accounts[0], desk.btcusdt, 10) == 3
    assert [e.order_id for e in desk.x.drain() if e.kind == SimEventKind.CANCELED] == mine
    assert [(o.account, o.instrument) for o in desk.x.open_orders()] == [(desk.accounts[1], 0), (desk.accounts[0], 1)]
    assert desk.x.cancel_all(desk.accounts[0], None, 10) == 1


def test_open_orders_come_oldest_first_and_survive_thousands_of_dead_ones(desk):
    kept = []
    for n in range(3_000):
        order = desk.order(BUY, 1, 50 + n % 20)
        if n % 500 == 0:
            kept.append(order)
        else:
            desk.cancel(order)
    assert [o.order_id for o in desk.x.open_orders(desk.accounts[0])] == kept
    assert desk.x.open_order_count(desk.accounts[0]) == desk.x.open_order_count(desk.accounts[0], 0) == len(kept)


def test_best_and_depth_follow_prices_that_lie_far_apart(desk):
    prices = [1, 63, 64, 65, 4_095, 4_096, 262_143, 262_144, 16_777_216, 2**33]
    rng = random.Random(1)
    orders = {}
    for price in rng.sample(prices, len(prices)):
        orders[price] = desk.order(SELL, 1, price, kind=SimOrderType.LIMIT)
    assert [p for p, _ in desk.depth()[1]] == prices
    for price in rng.sample(prices, len(prices)):
        assert desk.x.best(0) == (None, min(orders))
        desk.cancel(orders.pop(price))
        assert [p for p, _ in desk.depth()[1]] == sorted(orders)
    assert desk.x.best(0) == (None, None)


def test_bids_are_walked_downwards_over_the_same_distances(desk):
    prices = [1, 63, 64, 4_096, 300_000, 9_000_000]
    for price in prices:
        desk.order(BUY, 1, price)
    assert [p for p, _ in desk.depth()[0]] == prices[::-1]
    taker = desk.order(SELL, 6, 1, account=1)
    assert [p for p, _ in desk.fills(taker)] == prices[::-1]


def test_with_publish_the_book_can_be_rebuilt_from_level_events():
    desk = Desk(publish=True)
    rng = random.Random(3)
    live = []
    for _ in range(600):
        if live and rng.random() < 0.4:
            order, account = live.pop(rng.randrange(len(live)))
            desk.cancel(order, account)
        else:
            account = rng.randrange(3)
            live.append((desk.order(rng.choice((BUY, SELL)), rng.randint(1, 9), rng.randint(90, 110), account=account), account))
    books = {BUY: {}, SELL: {}}
    for e in desk.events:
        if e.kind == SimEventKind.LEVEL:
            books[e.side][e.price_ticks] = e.qty_lots
    bids, asks = desk.depth()
    assert sorted(((p, q) for p, q in books[BUY].items() if q), reverse=True) == bids
    assert sorted((p, q) for p, q in books[SELL].items() if q) == asks


def test_public_trades_name_buyer_and_seller():
    desk = Desk(publish=True)
    maker = desk.order(BUY, 1, 100)
    taker = desk.order(SELL, 1, 100, account=1)
    tape = [e for e in desk.events if e.kind == SimEventKind.PUBLIC_TRADE]
    assert [(e.order_id, e.counter_order_id, e.is_maker, e.price_ticks, e.qty_lots) for e in tape] == [(maker, taker, 1, 100, 1)]


def test_a_halted_instrument_takes_nothing_and_one_for_cancels_only_takes_cancels(desk):
    order = desk.order(BUY, 1, 100)
    desk.x.set_status(desk.btcusdt, "CANCEL_ONLY")
    assert desk.refused(BUY, 1, 100) == SimReason.CLOSED
    assert desk.amend(order, 1, 99) == SimReason.CLOSED
    assert desk.cancel(order) == SimReason.OK
    desk.x.set_status(desk.btcusdt, "TRADING")
    order = desk.order(BUY, 1, 100)
    desk.x.set_status(desk.btcusdt, "HALT")
    assert desk.cancel(order) == SimReason.CLOSED and desk.x.status(desk.btcusdt) == "HALT"


@pytest.mark.parametrize("options, reason", [
    ({"account": 0, "instrument": 9}, "UNKNOWN_INSTRUMENT"), ({"side": 3}, "BAD_REQUEST"), ({"side": 0}, "BAD_REQUEST"),
    ({"order_type": 0}, "BAD_REQUEST"), ({"order_type": 200}, "BAD_REQUEST"), ({"tif": 0}, "BAD_REQUEST"),
    ({"tif": SimTif.GTD}, "BAD_REQUEST"), ({"stp": 9}, "BAD_REQUEST"), ({"stop_ticks": 5}, "BAD_REQUEST"),
    ({"quote_units": 5}, "BAD_REQUEST"), ({"price_ticks": 0}, "PRICE_FILTER"), ({"price_ticks": -1}, "PRICE_FILTER"),
    ({"price_ticks": 2**62}, "PRICE_FILTER"), ({"qty_lots": 0}, "LOT_SIZE"), ({"qty_lots": -5}, "LOT_SIZE"),
    ({"qty_lots": 2**62}, "LOT_SIZE"), ({"price_ticks": 2**35, "qty_lots": 2**40}, "OVERFLOW"), ({"iceberg_lots": -1}, "BAD_REQUEST"),
    ({"reduce_only": True}, "BAD_REQUEST"), ({"order_type": SimOrderType.STOP_MARKET}, "BAD_REQUEST"),
    ({"post_only": True, "tif": IOC}, "BAD_REQUEST"), ({"iceberg_lots": 1, "tif": FOK}, "BAD_REQUEST"),
    ({"account": -3}, "UNKNOWN_ACCOUNT"), ({"account": 99}, "UNKNOWN_ACCOUNT"),
], ids=lambda value: value if isinstance(value, str) else "-".join(f"{k}={int(v)}" for k, v in value.items()))
def test_a_request_that_makes_no_sense_is_refused(desk, options, reason):
    request = {"account": 0, "instrument": 0, "side": BUY, "order_type": SimOrderType.LIMIT, "tif": GTC, "price_ticks": 100,
               "qty_lots": 5, **options}
    named = {k: request.pop(k) for k in ("account", "instrument", "side", "order_type", "tif", "price_ticks", "qty_lots")}
    named["account"] += desk.accounts[0]
    assert SimReason(desk.x.check(**named, **request, now_ns=5)).name == reason
    assert desk.x.submit(**named, **request, now_ns=5) == (0, SimReason[reason])
    assert desk.x.open_count == 0 and desk.x.drain() == []


def test_check_answers_as_submit_does_and_changes_nothing(desk):
    desk.order(SELL, 5, 100)
    before = [desk.x.balance(a, asset) for a in desk.accounts for asset in ("USDT", "BTC")], desk.depth(), desk.x.open_count
    for side, kind, price, qty in ((BUY, 2, 100, 5), (BUY, 1, 0, 3), (BUY, 3, 100, 1), (SELL, 2, 100, 10**12), (BUY, 3, 99, 1)):
        answer = desk.x.check(desk.accounts[1], 0, side, kind, GTC, price, qty, now_ns=3)
        other = Desk()
        other.order(SELL, 5, 100)
        assert answer == other.x.submit(other.accounts[1], 0, side, kind, GTC, price, qty, now_ns=3)[1]
    assert ([desk.x.balance(a, asset) for a in desk.accounts for asset in ("USDT", "BTC")], desk.depth(), desk.x.open_count) == before
    assert desk.x.drain() == []


def actions_of(requests):
    actions = np.zeros(len(requests), ACTION_DTYPE)
    for row, request in zip(actions, requests, strict=True):
        for field, value in request.items():
            row[field] = value
    return actions


def test_run_does_what_the_single_calls_do():
    rng = random.Random(5)
    desk, bulk = Desk(), Desk()
    requests, placed = [], []
    for n in range(4_000):
        account = rng.choice(desk.accounts)
        draw = rng.random()
        if draw < 0.6 or not placed:
            placed.append((n, account))
            requests.append({"kind": SimActionKind.SUBMIT, "account": account, "side": rng.choice((BUY, SELL)),
                             "order_type": SimOrderType.LIMIT, "time_in_force": rng.choice((GTC, GTC, GTC, IOC, FOK)),
                             "price_ticks": rng.randint(90, 110), "qty_lots": rng.randint(1, 9), "ref": n, "stp": rng.randint(0, 4)})
        else:
            target, account = rng.choice(placed)
            kind = SimActionKind.CANCEL if draw < 0.9 else SimActionKind.AMEND
            requests.append({"kind": kind, "account": account, "target": target, "qty_lots": rng.randint(1, 5)})
        requests[-1]["now_ns"] = n
    ids, answers = {}, []
    for n, q in enumerate(requests):
        if q["kind"] == SimActionKind.SUBMIT:
            ids[n], reason = desk.x.submit(q["account"], 0, q["side"], q["order_type"], q["time_in_force"], q["price_ticks"],
                                           q["qty_lots"], stp=q["stp"], ref=n, now_ns=n)
        elif q["kind"] == SimActionKind.CANCEL:
            reason = desk.x.cancel(q["account"], ids[q["target"]], n)
        else:
            reason = desk.x.amend(q["account"], ids[q["target"]], q["qty_lots"], n)
        answers.append(reason)
    results = bulk.x.run(actions_of(requests))
    assert results["reason"].tolist() == answers
    assert {n: results["order_id"][n] for n in ids} == ids
    events = desk.x.drain()
    assert bulk.x.drain() == events and bulk.depth() == desk.depth() and len(events) > 4_000
    quiet = Desk()
    quiet.x.run(actions_of(requests), keep_events=False)
    assert quiet.depth() == desk.depth() and quiet.x.drain() == []


def test_events_come_as_an_array_too(desk):
    desk.order(BUY, 1, 100)
    desk.x.submit(desk.accounts[1], 0, SELL, SimOrderType.LIMIT, GTC, 100, 1, now_ns=77)
    events = desk.x.drain_array()
    assert events["kind"].tolist() == [SimEventKind.NEW, SimEventKind.TRADE, SimEventKind.TRADE]
    assert events["ts_ns"].tolist() == [77, 77, 77] and np.all(np.diff(events["seq"]) == 1)
    assert desk.x.drain() == [] and len(desk.x.drain_array()) == 0


def test_a_deep_book_of_a_hundred_thousand_orders_is_as_right_as_a_small_one():
    rng = np.random.default_rng(4)
    desk, count = Desk(accounts=2, money=100_000_000), 100_000
    actions = np.zeros(count, ACTION_DTYPE)
    actions["kind"], actions["order_type"], actions["time_in_force"] = SimActionKind.SUBMIT, SimOrderType.LIMIT, GTC
    actions["account"] = rng.choice(desk.accounts, count)
    actions["side"] = rng.integers(1, 3, count)
    actions["price_ticks"] = np.where(actions["side"] == BUY, 50_000 - rng.integers(0, 30_000, count),
                                      50_001 + rng.integers(0, 30_000, count))
    actions["qty_lots"] = rng.integers(1, 50, count)
    placed = desk.x.run(actions, keep_events=False)
    assert (placed["reason"] == 0).all() and desk.x.open_count == count
    gone = np.zeros(count // 2, ACTION_DTYPE)
    victims = rng.permutation(count)[:count // 2]
    gone["kind"], gone["order_id"], gone["account"] = SimActionKind.CANCEL, placed["order_id"][victims], actions["account"][victims]
    assert (desk.x.run(gone, keep_events=False)["reason"] == 0).all()
    left = np.ones(count, bool)
    left[victims] = False
    for side, rows in zip((BUY, SELL), desk.x.depth(0, 10**6), strict=True):
        mine = left & (actions["side"] == side)
        prices, where = np.unique(actions["price_ticks"][mine], return_inverse=True)
        wanted = list(zip(prices.tolist(), np.bincount(where, actions["qty_lots"][mine]).astype(int).tolist(), strict=True))
        assert rows == (wanted[::-1] if side == BUY else wanted)
    assert desk.is_conserved()


def test_many_accounts_and_instruments_can_be_added_while_orders_stand():
    desk = Desk()
    order = desk.order(BUY, 1, 100)
    for n in range(40):
        desk.x.add_asset(f"A{n}")
        desk.x.add_instrument(f"A{n}USDT", base=f"A{n}", quote="USDT", tick_size="0.1", lot_size="0.1")
        desk.x.add_account()
    assert desk.x.order(order).leaves_lots == 1 and desk.money(0, "USDT")[1] == 100 * 10**5
    assert desk.x.open_order_count(desk.accounts[0], 0) == 1
    assert desk.cancel(order) == SimReason.OK and desk.money(0, "USDT")[1] == 0


@pytest.mark.parametrize("facts, text", [
    ({"tick_size": "0"}, "tick_size"), ({"lot_size": "-1"}, "lot_size"), ({"tick_size": "abc"}, "decimal number"),
    ({"kind": "future"}, "kind"), ({"min_price": "0.5"}, "min_price"), ({"lot_size": "0.0000000001"}, "decimals of BTC"),
])
def test_an_instrument_that_cannot_be_is_refused_in_words(facts, text):
    x = Exchange()
    x.add_asset("BTC")
    x.add_asset("USDT")
    with pytest.raises(ValueError, match=text):
        x.add_instrument("BTCUSDT", **{"base": "BTC", "quote": "USDT", "tick_size": "1", "lot_size": "0.001", **facts})
    assert x.instruments == []
