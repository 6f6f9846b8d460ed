"""The matching core against the slow reference and against what must hold of any exchange, on random actions.

Where core and reference disagree, the test prints the shortest sequence of actions that shows it, ready to be pasted:
    from sim_actions import WORLDS, run;  run(WORLDS["plain"], ACTIONS)
"""
import random
from collections import defaultdict
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sim_actions import (
    ASSETS,
    FEES,
    HOUSE,
    INSURANCE,
    KINDS,
    MIDDLE,
    OWNER,
    PLAIN,
    SIDES,
    STPS,
    SYMBOL,
    TIFS,
    WORLDS,
    Mismatch,
    Pair,
    check,
    random_actions,
    readable,
    run,
    shrink,
)

from example_counts import examples
from tickpath.sim import exchange as face

BUY, SELL = SIDES["BUY"], SIDES["SELL"]
SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck)}


# ---- core == reference
@pytest.mark.sampled
@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("seed", range(3))
def test_core_and_reference_agree_event_for_event(name, seed):
    pair = check(name, random_actions(seed, examples(3_000), WORLDS[name]), compare_every=8)
    kinds = {e.kind for e in pair.log}
    assert kinds >= {"NEW", "TRADE", "CANCELED", "EXPIRED", "TRIGGERED", "PREVENTED", "AMENDED"}


@pytest.mark.soak
@pytest.mark.parametrize("name", WORLDS)
def test_core_and_reference_agree_over_a_million_actions(name):
    for seed in range(100, 100 + 25):
        check(name, random_actions(seed, 10_000, WORLDS[name]), compare_every=25)


ACCOUNTS, PRICES, LOTS = st.integers(0, 2), st.integers(MIDDLE - 4, MIDDLE + 4), st.integers(1, 12)
OPTIONS = {"stp": st.sampled_from(list(STPS))}


def submit(kinds, tifs, price=PRICES, lots=LOTS, **options):
    return st.tuples(st.just("submit"), ACCOUNTS, st.sampled_from(["BUY", "SELL"]), st.sampled_from(kinds), st.sampled_from(tifs), price,
                     lots, st.fixed_dictionaries(options, optional=OPTIONS))


STOPS = st.integers(MIDDLE - 5, MIDDLE + 5)
ACTIONS = st.lists(st.one_of(
    submit(["LIMIT"], ["GTC", "GTC", "IOC", "FOK"]),
    submit(["LIMIT_MAKER"], ["GTC"]),
    submit(["LIMIT"], ["GTC"], iceberg_lots=st.integers(1, 4)),
    submit(["LIMIT"], ["GTD"], expire_in=st.sampled_from([15, 90])),
    submit(["MARKET"], ["GTC"], price=st.just(0)),
    submit(["MARKET"], ["GTC"], price=st.just(0), lots=st.just(0), quote_units=st.integers(1, 30).map(lambda n: n * 37_000)),
    submit(["STOP_LIMIT", "TAKE_PROFIT_LIMIT"], ["GTC"], stop_ticks=STOPS),
    submit(["STOP", "TAKE_PROFIT"], ["GTC"], price=st.just(0), stop_ticks=STOPS),
    submit(["STOP_LIMIT", "TAKE_PROFIT_LIMIT"], ["GTC"], trailing_bips=st.sampled_from([100, 250])),
    st.tuples(st.just("cancel"), st.just(OWNER), st.integers(1, 40)),
    st.tuples(st.just("amend"), st.just(OWNER), st.integers(1, 40), LOTS),
    st.tuples(st.just("advance"), st.sampled_from([5, 80])),
), max_size=60)


@pytest.mark.parametrize("name", ["plain", "poor", "strict"])
def test_no_short_sequence_tells_core_from_reference(name):
    @settings(max_examples=examples(100), **SETTINGS)
    @given(ACTIONS)
    def agree(actions):
        try:
            run(WORLDS[name], actions)
        except Mismatch as mismatch:
            raise AssertionError(readable(name, actions, mismatch)) from None
    agree()


def test_a_failing_sequence_is_shrunk_to_what_shows_it(monkeypatch):
    # The comparison itself is broken here: trades at a price that only the last two orders have are said to differ.
    event = Pair.event

    def wrong(self, e):
        found = event(self, e)
        return found._replace(qty_lots=6) if found.kind == "TRADE" and found.price_ticks == 150 else found
    monkeypatch.setattr(Pair, "event", wrong)
    actions = random_actions(1, 400, PLAIN) + [("cancel_all", a) for a in range(3)]
    last = [("submit", 0, "SELL", "LIMIT", "GTC", 150, 5, {}), ("submit", 1, "BUY", "LIMIT", "GTC", 150, 5, {})]
    assert shrink(PLAIN, actions + last) == last
    with pytest.raises(AssertionError, match="(?s)shortest sequence found.*'SELL', 'LIMIT', 'GTC', 150, 5"):
        check("plain", actions + last)


# ---- what holds without a reference: on the core's own events
class Watch:
    """Follows one run by its events alone: resting orders, their place in time, what each has traded."""

    def __init__(self):
        self.orders, self.resting, self.arrivals, self.trades = {}, {}, 0, []

    def submitted(self, order_id, **facts):
        self.orders[order_id] = {"traded": 0, "value": 0, **facts}

    def read(self, events):
        for e in events:
            kind = face.SimEventKind(e.kind).name
            order = self.orders.setdefault(e.order_id, {"traded": 0, "value": 0})
            if kind == "TRADE":
                order["traded"] += e.qty_lots
                assert order["traded"] == e.cum_lots
                if e.is_maker:
                    self.first_in_line(e)
                    self.resting[e.order_id][2] -= e.qty_lots
                    if self.resting[e.order_id][2] == 0:
                        del self.resting[e.order_id]
                self.trades.append(e)
            elif kind in ("CANCELED", "EXPIRED"):
                self.resting.pop(e.order_id, None)

    def rests(self, order_id, side, price, lots):
        self.arrivals += 1
        self.resting[order_id] = [(price if side == SELL else -price, self.arrivals), side, lots]

    def first_in_line(self, e):
        """The maker is the best-priced and, at its price, the oldest of its side."""
        rank, side, _ = self.resting[e.order_id]
        assert rank == min(r for r, s, _ in self.resting.values() if s == side)


def exchange(**filters):
    """An exchange with one spot instrument of tick 0.01 and lot 0.001, and three rich accounts."""
    x = face.Exchange(seed=0)
    for asset in ASSETS:
        x.add_asset(asset, decimals=8)
    instrument = x.add_instrument(SYMBOL, kind="spot", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.001", **filters)
    accounts = [x.add_account(maker_bps="10", taker_bps="10") for _ in range(3)]
    for account in accounts:
        for asset in ASSETS:
            x.deposit(account, asset, 10 ** 15)
    x.drain()
    return x, instrument, accounts


@pytest.mark.sampled
def test_makers_trade_best_price_first_and_oldest_first():
    rng = random.Random(11)
    x, instrument, accounts = exchange()
    watch, alive = Watch(), []
    for n in range(examples(6_000)):
        account = rng.choice(accounts)
        if alive and rng.random() < 0.3:
            owner, order_id = alive.pop(rng.randrange(len(alive)))
            x.cancel(owner, order_id, now_ns=n)
            watch.read(x.drain())
            continue
        side, price, lots = rng.choice((BUY, SELL)), MIDDLE + rng.randint(-4, 4), rng.randint(1, 9)
        order_id, reason = x.submit(account, instrument, side, KINDS["LIMIT"], TIFS["GTC"], price, lots, now_ns=n)
        assert reason == 0
        watch.submitted(order_id, lots=lots)
        watch.read(x.drain())
        if (left := lots - watch.orders[order_id]["traded"]) > 0:
            watch.rests(order_id, side, price, left)
            alive.append((account, order_id))
    assert len(watch.trades) > 1_000
    # What the events say is open is what the book shows, level by level.
    levels = defaultdict(int)
    for (rank, _), side, lots in watch.resting.values():
        levels[side, abs(rank)] += lots
    bids, asks = x.depth(instrument, 100)
    assert {**{(BUY, p): q for p, q in bids}, **{(SELL, p): q for p, q in asks}} == dict(levels)


@pytest.mark.sampled
@pytest.mark.parametrize("name", WORLDS)
def test_money_and_quantity_are_conserved_to_the_last_unit(name):
    # state() compares each asset's sum over all accounts with the deposits, and finds negative balances, after every action.
    pair = check(name, random_actions(77, examples(1_500), WORLDS[name]))
    bought, sold, fees = defaultdict(int), defaultdict(int), defaultdict(int)
    for e in pair.log:
        if e.kind != "TRADE":
            continue
        (sold if e.is_maker else bought)[e.trade_id] += e.qty_lots
        fees[e.fee_asset] += e.fee_units
    assert bought and bought == sold
    for asset in ASSETS:
        assert sum(pair.core.balance(FEES, asset)) == fees[asset]
        assert sum(pair.core.balance(HOUSE, asset)) == sum(pair.core.balance(INSURANCE, asset)) == 0
    # When all is cancelled nothing stays locked.
    for n in range(3):
        pair.do(("cancel_all", n))
    pair.state()
    assert all(pair.core.balance(account, asset)[1] == 0 for account in pair.accounts for asset in ASSETS)


@pytest.mark.sampled
def test_no_order_trades_more_than_it_asked_for_nor_beyond_its_limit():
    actions = [a for a in random_actions(5, examples(3_000), PLAIN) if a[0] != "amend"]
    asked, done = {}, defaultdict(int)
    pair = Pair(PLAIN, compare_every=50)
    for action in actions:
        pair.do(action)
        asked.setdefault(len(pair.orders), action)         # orders are numbered as they are accepted
    for e in pair.log:
        if e.kind in ("TRADE", "PREVENTED"):
            done[e.order_id] += e.qty_lots
    for e in pair.log:
        _, _, side, kind, _, price, lots, options = asked[e.order_id]
        if e.kind == "TRADE" and "quote_units" not in options:
            assert done[e.order_id] <= lots
        if e.kind == "TRADE" and "quote_units" in options:
            assert e.cum_quote_units <= options["quote_units"]
        if e.kind == "TRADE" and price:
            assert e.price_ticks <= price if side == "BUY" else e.price_ticks >= price


@pytest.mark.sampled
def test_the_published_levels_and_trades_add_up_to_the_book_and_to_what_the_parties_were_told():
    pair = Pair(PLAIN, compare_every=10 ** 9, publish=True)
    levels, public, private = ({}, {}), {}, defaultdict(list)
    for action in random_actions(21, examples(3_000), PLAIN):
        pair.do(action)
        for e in pair.public:
            if face.SimEventKind(e.kind).name == "PUBLIC_TRADE":
                assert e.trade_id == len(public) + 1
                public[e.trade_id] = (e.price_ticks, e.qty_lots)
            elif e.qty_lots:
                levels[e.side - 1][e.price_ticks] = e.qty_lots
            else:
                levels[e.side - 1].pop(e.price_ticks, None)
        pair.public.clear()
        bids, asks = pair.core.depth(pair.instrument, 1_000)
        assert (dict(bids), dict(asks)) == levels, action
    for e in pair.log:
        if e.kind == "TRADE":
            private[e.trade_id].append((e.price_ticks, e.qty_lots))
    assert len(public) > 500 and {t: [f, f] for t, f in public.items()} == private


def test_the_same_actions_give_the_same_events():
    actions = random_actions(3, 600, PLAIN)
    first, second = (check("plain", actions, compare_every=1_000).raw for _ in range(2))
    assert len(first) > 600 and first == second


def test_a_run_over_an_array_is_the_same_as_one_call_after_another():
    rng = random.Random(9)
    rows = np.zeros(3_000, face.ACTION_DTYPE)
    submits = []
    for n, row in enumerate(rows):
        row["now_ns"] = n + 1
        if submits and rng.random() < 0.35:
            at = rng.choice(submits)
            row["kind"], row["target"], row["account"] = face.SimActionKind.CANCEL, at, rows["account"][at]
            continue
        row["kind"], row["account"], row["side"] = face.SimActionKind.SUBMIT, 3 + rng.randrange(3), rng.choice((BUY, SELL))
        market = rng.random() < 0.1
        row["order_type"], row["time_in_force"] = KINDS["MARKET" if market else "LIMIT"], TIFS["GTC"]
        row["price_ticks"], row["qty_lots"], row["stp"] = 0 if market else MIDDLE + rng.randint(-4, 4), rng.randint(1, 9), rng.randrange(5)
        submits.append(n)
    bulk, _, accounts = exchange()
    results = bulk.run(rows)
    single, instrument, _ = exchange()
    ids = {}
    for n, row in enumerate(rows):
        row = {k: row[k].item() for k in row.dtype.names if row[k].shape == ()}
        if row["kind"] == face.SimActionKind.CANCEL:
            reason = single.cancel(row["account"], ids[row["target"]], now_ns=row["now_ns"])
        else:
            ids[n], reason = single.submit(row["account"], instrument, row["side"], row["order_type"], row["time_in_force"],
                                           row["price_ticks"], row["qty_lots"], stp=row["stp"], now_ns=row["now_ns"])
        assert reason == results["reason"][n]
    assert bulk.drain() == single.drain()
    assert bulk.depth(instrument, 100) == single.depth(instrument, 100)
    assert all(bulk.balance(a, s) == single.balance(a, s) for a in (FEES, *accounts) for s in ASSETS)


# ---- filters: the last value that passes and the first that does not
FILTERS = [
    ({"min_price": "0.90"}, (90, 5), (89, 5), "PRICE_FILTER"),
    ({"max_price": "1.10"}, (110, 5), (111, 5), "PRICE_FILTER"),
    ({"min_qty": "0.003"}, (100, 3), (100, 2), "LOT_SIZE"),
    ({"max_qty": "0.008"}, (100, 8), (100, 9), "LOT_SIZE"),
    ({"min_notional": "0.004"}, (100, 4), (99, 4), "MIN_NOTIONAL"),
    ({"max_notional": "0.004"}, (100, 4), (101, 4), "MAX_NOTIONAL"),
]


@pytest.mark.parametrize(("filters", "good", "bad", "reason"), FILTERS, ids=[next(iter(f[0])) for f in FILTERS])
def test_a_filter_refuses_the_first_value_beyond_it_and_no_other(filters, good, bad, reason):
    x, instrument, (account, *_) = exchange(**filters)
    for (price, lots), wanted in ((good, "OK"), (bad, reason)):
        assert face.SimReason(x.check(account, instrument, BUY, KINDS["LIMIT"], TIFS["GTC"], price, lots, now_ns=1)).name == wanted
        assert face.SimReason(x.submit(account, instrument, BUY, KINDS["LIMIT"], TIFS["GTC"], price, lots, now_ns=1)[1]).name == wanted
    assert [face.SimEventKind(e.kind).name for e in x.drain()] == ["NEW"]


BANDS = [(BUY, "bid_up", "1.05", 105, 106), (BUY, "bid_down", "0.95", 95, 94), (SELL, "ask_up", "1.05", 105, 106),
         (SELL, "ask_down", "0.95", 95, 94)]


@pytest.mark.parametrize(("side", "name", "multiplier", "good", "bad"), BANDS, ids=[b[1] for b in BANDS])
def test_a_price_band_lies_around_the_last_price_and_needs_one(side, name, multiplier, good, bad):
    x, instrument, (account, other, _) = exchange(**{name: multiplier})

    def answer(price):
        return face.SimReason(x.check(account, instrument, side, KINDS["LIMIT"], TIFS["GTC"], price, 5, now_ns=1)).name
    assert answer(bad) == "OK"
    for who, way in ((account, BUY), (other, SELL)):
        assert x.submit(who, instrument, way, KINDS["LIMIT"], TIFS["GTC"], 100, 1, now_ns=1)[1] == 0
    assert (answer(good), answer(bad)) == ("OK", "PERCENT_PRICE")


def test_a_refused_order_changes_nothing_and_makes_no_event():
    x, instrument, (account, *_) = exchange(max_orders=1)
    assert x.submit(account, instrument, BUY, KINDS["LIMIT"], TIFS["GTC"], 100, 5, now_ns=1)[1] == 0
    x.drain()
    before = [x.balance(account, a) for a in ASSETS], x.depth(instrument, 5)
    for price, lots in ((99, 5), (10 ** 12, 10 ** 12)):
        order_id, reason = x.submit(account, instrument, BUY, KINDS["LIMIT"], TIFS["GTC"], price, lots, now_ns=2)
        assert order_id == 0 and reason != 0
    assert ([x.balance(account, a) for a in ASSETS], x.depth(instrument, 5)) == before and x.drain() == []


def test_a_withdrawal_takes_what_is_free_and_not_what_is_locked():
    x, instrument, (account, *_) = exchange()
    total = x.balance(account, "USDT")[0]
    x.submit(account, instrument, BUY, KINDS["LIMIT"], TIFS["GTC"], 100, 5, now_ns=1)
    locked = int(Decimal("0.005") * 10 ** 8)
    assert x.balance(account, "USDT") == (total - locked, locked)
    assert x.withdraw(account, "USDT", total - locked + 1) != 0 and x.withdraw(account, "USDT", total - locked) == 0
    assert x.balance(account, "USDT") == (0, locked)
