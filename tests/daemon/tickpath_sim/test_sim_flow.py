"""Generated order flow: its statistics, what it leaves in the book, and that a seed says everything."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tickpath.sim.exchange import SimActionKind, SimEventKind, SimOrderType, SimReason, SimTif
from tickpath.types import Side
from tickpath_sim.trading.flow_actions import generate_actions
from tickpath_sim.trading.flow_schedule import LIMIT, MARKET, QUOTE, Schedule
from tickpath_sim.trading.flow_times import HawkesTimes, poisson_times
from tickpath_sim.trading.flow_traders import Flow, flow_exchange
from tickpath_sim.trading.flows import FlowError, InstrumentFlow, load_flow

ROOT = Path(__file__).resolve().parents[3]
HOUR_S = 3600.0
SELL = int(Side.SIDE_SELL)


def generator(seed=3):
    return np.random.Generator(np.random.PCG64(seed))


def hawkes(base_hz=0.5, own=0.6, cross=0.15, decay_hz=4.0, seconds=HOUR_S, blocks=36, seed=3):
    process, step_s = HawkesTimes(generator(seed), base_hz, own, cross, decay_hz), seconds / blocks
    made = [process.block(n * step_s, (n + 1) * step_s) for n in range(blocks)]
    return np.concatenate([m[0] for m in made]), np.concatenate([m[1] for m in made])


def schedule(flow=None, *, seed=1, blocks=30):
    made = Schedule(flow or InstrumentFlow(), np.random.SeedSequence(seed), 0, 6_000_000, 1000)
    return np.concatenate([made.block() for _ in range(blocks)])


# ---- times

def test_poisson_times_have_the_rate_and_no_memory():
    times = poisson_times(generator(), 5.0, 0, HOUR_S)
    gaps = np.diff(times)
    assert abs(len(times) - 18_000) < 4 * 18_000 ** 0.5
    assert gaps.min() > 0
    # Exponential: the deviation is as large as the mean, and the next gap does not depend on the last.
    assert abs(gaps.std() / gaps.mean() - 1) < 0.05
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.03


def test_hawkes_times_have_the_rate_that_the_branching_ratio_gives():
    times, kinds = hawkes(seconds=4 * HOUR_S)
    expected = 0.5 / (1 - 0.75) * 4 * HOUR_S
    # Counts of a self-exciting process spread by 1 / (1 - branching ratio) more than a Poisson process's.
    for kind in (0, 1):
        assert abs((kinds == kind).sum() - expected) < 5 * expected ** 0.5 / 0.25
    assert np.all(np.diff(times) > 0)


def test_hawkes_residuals_are_those_of_a_poisson_process():
    """Ogata's residuals: between two events of a kind, the integral of its intensity is exponential with mean 1.

    The intensity is found by the recursion of exponential kernels, which the generator does not use.
    """
    base_hz, own, cross, decay_hz = 0.5, 0.6, 0.15, 4.0
    times, kinds = hawkes(base_hz, own, cross, decay_hz)
    excited, last, integral, residuals = [0.0, 0.0], 0.0, [0.0, 0.0], ([], [])
    for time, kind in zip(times.tolist(), kinds.tolist(), strict=True):
        fade = np.exp(-decay_hz * (time - last))
        for i in (0, 1):
            integral[i] += base_hz * (time - last) + excited[i] * (1 - fade) / decay_hz
            excited[i] *= fade
        residuals[kind].append(integral[kind])
        integral[kind] = 0.0
        excited[kind] += own * decay_hz
        excited[1 - kind] += cross * decay_hz
        last = time
    for found in residuals:
        ordered = np.sort(found)
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        # Kolmogorov and Smirnov's distance, at one in a thousand.
        assert np.abs(1 - np.exp(-ordered) - share).max() < 1.95 / len(ordered) ** 0.5


def test_hawkes_buys_cluster_more_with_buys_than_with_sells():
    times, kinds = hawkes(seconds=4 * HOUR_S)
    close = np.diff(times) < 0.1
    same = (kinds[1:] == kinds[:-1])[close]
    assert same.mean() > 0.6
    # Bursts: far more short gaps than a Poisson process of the same rate has.
    assert close.mean() > 1.5 * (1 - np.exp(-0.1 * len(times) / (4 * HOUR_S)))


def test_blocks_of_any_length_join_without_a_seam():
    """Children of one block's events come in later ones: the rate just after a border is the rate elsewhere."""
    times, _ = hawkes(seconds=HOUR_S, blocks=3600)
    fraction = times % 1.0
    counts = np.histogram(fraction, 10, (0, 1))[0]
    assert counts.max() < 1.25 * counts.min()


def test_a_process_that_would_explode_is_refused():
    with pytest.raises(ValueError, match="sum below 1"):
        HawkesTimes(generator(), 1.0, 0.7, 0.3, 1.0)


# ---- schedule

def test_the_schedule_is_a_function_of_the_seed():
    assert np.array_equal(schedule(seed=1), schedule(seed=1))
    assert not np.array_equal(schedule(seed=1)["t_ns"][:50], schedule(seed=2)["t_ns"][:50])


def test_one_kind_of_trader_does_not_disturb_another():
    calm, lively = schedule(InstrumentFlow(market_hz=0.1)), schedule(InstrumentFlow(market_hz=5.0))
    for kind in (LIMIT, QUOTE):
        assert np.array_equal(calm["t_ns"][calm["kind"] == kind], lively["t_ns"][lively["kind"] == kind])


def test_rates_sides_and_lifetimes_are_those_asked_for():
    flow = InstrumentFlow(limit_hz=8.0, market_hz=2.0, requote_hz=1.0, makers=3, cancel_hz=0.5, cancel_power=0.0)
    events = schedule(flow)
    seconds = 300.0
    for kind, rate in ((LIMIT, 16.0), (MARKET, 4.0), (QUOTE, 3.0)):
        assert abs((events["kind"] == kind).sum() - rate * seconds) < 5 * (rate * seconds) ** 0.5 + 3
    limits = events[events["kind"] == LIMIT]
    assert abs((limits["side"] == 1).mean() - 0.5) < 0.04
    assert abs(limits["lifetime_ns"].mean() / 2e9 - 1) < 0.06
    assert np.all(np.diff(events["t_ns"]) >= 0)


def test_near_prices_are_preferred_by_the_power_law():
    flow = InstrumentFlow(distance_power=1.0, distance_max=4, distance_bps=1.0, limit_hz=50.0)
    limits = schedule(flow)
    limits = limits[limits["kind"] == LIMIT]
    # 1 bp of 6,000,000 ticks; each unit is spread over its ticks.
    unit = 600
    shares = np.bincount((limits["distance_ticks"] - 1) // unit, minlength=4) / len(limits)
    assert np.allclose(shares, np.array([1, 1 / 2, 1 / 3, 1 / 4]) / (25 / 12), atol=0.01)
    assert limits["distance_ticks"].min() >= 1
    assert limits["distance_ticks"].max() <= 4 * unit


def test_sizes_are_log_normal_whole_lots():
    events = schedule(InstrumentFlow(qty_sigma=0.8, limit_hz=30.0))
    lots = events["qty_lots"][events["kind"] != QUOTE]
    assert lots.min() >= 1
    assert abs(np.median(lots) / 1000 - 1) < 0.04
    assert abs(np.log(lots).std() - 0.8) < 0.03


def test_the_fair_price_wanders_as_far_as_its_volatility_says():
    flow = InstrumentFlow(volatility_bps=2.0, reversion_hz=0.0, impact_bps=0.0, requote_hz=10.0)
    events = schedule(flow, blocks=120)
    quotes = events[events["kind"] == QUOTE]
    at = np.searchsorted(quotes["t_ns"], np.arange(0, 1200, 10) * 10**9)
    steps = np.diff(np.log(quotes["fair_ticks"][at[:-1]])) * 1e4
    assert abs(steps.std() / (2.0 * 10 ** 0.5) - 1) < 0.25


def test_a_fair_price_that_is_pulled_back_stays_near_the_start():
    events = schedule(InstrumentFlow(volatility_bps=5.0, reversion_hz=0.1), blocks=360)
    away = np.abs(np.log(events["fair_ticks"] / 6_000_000)) * 1e4
    # Deviation of an Ornstein-Uhlenbeck process: volatility / sqrt(2 * reversion).
    assert away.max() < 6 * 5.0 / (2 * 0.1) ** 0.5


# ---- files

def test_presets_are_flows_and_a_seed_may_be_given():
    assert [load_flow(name).instruments["BTCUSDT"].hawkes for name in ("poisson", "hawkes", "quiet")] == [False, True, False]
    assert load_flow("hawkes", seed=9).seed == 9
    assert list(load_flow("quiet", symbols=["SOLUSDT"]).instruments) == ["SOLUSDT"]


def test_a_file_of_ones_own_changes_what_it_names(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('model = "hawkes"\nseed = 4\n[instruments.ETHUSDT]\nstart_price = "2500"\nmarket_hz = 2.5\n')
    spec = load_flow(str(path))
    assert (spec.seed, list(spec.instruments)) == (4, ["ETHUSDT"])
    flow = spec.instruments["ETHUSDT"]
    assert (flow.start_price, flow.market_hz, flow.hawkes, flow.qty) == ("2500", 2.5, True, "0.2")


def test_the_example_is_a_flow():
    spec = load_flow(str(ROOT / "examples" / "order-flow.toml"))
    assert (spec.seed, list(spec.instruments)) == (7, ["BTCUSDT", "SOLUSDT"])
    exchange, desks = flow_exchange(spec)
    flow = Flow(desks, spec)
    flow.run(20 * 10**9)
    assert flow.refused == {}
    assert all(None not in exchange.best(desk.symbol.index) for desk in desks)


def test_the_command_says_in_a_line_why_it_cannot_have_a_flow(tmp_path):
    name, found = "listed.toml", "tickpath-sim: flow listed.toml: expected one of BTCUSDT, "
    (tmp_path / name).write_text("[instruments.NOPEUSDT]")
    done = subprocess.run([sys.executable, "-m", "tickpath_sim.cli", "serve", "--port", "0", "--flow", name], cwd=tmp_path,
                          capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert done.stderr.startswith(found)


@pytest.mark.parametrize(("text", "found"), [
    ('model = "brownian"', "expected one of poisson, hawkes, quiet, found 'brownian'"),
    ("[instruments.BTCUSDT]\nmarket_hz = -1.0", "market_hz: expected a rate above 0"),
    ("[instruments.BTCUSDT]\nspeed = 3", "unknown field `speed`"),
    ("[instruments.BTCUSDT]\nself_excitation = 0.9\ncross_excitation = 0.2", "expected a sum below 1, found 1.1"),
    ("[instruments", "flow file")])
def test_a_file_that_cannot_be_used_is_refused_with_what_was_expected(tmp_path, text, found):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(FlowError) as caught:
        load_flow(str(path))
    assert found in str(caught.value)


def test_a_name_that_is_neither_preset_nor_file_is_refused():
    with pytest.raises(FlowError, match="expected poisson, hawkes, quiet or a TOML file, found 'wild'"):
        load_flow("wild")


# ---- on an exchange

class Played:
    """A flow that was played for some time on an exchange of its own, looked at after each step."""

    def __init__(self, name, seed=7, seconds=120, **options):
        self.spec = load_flow(name, seed=seed)
        self.exchange, self.desks = flow_exchange(self.spec, publish=True, **options)
        self.flow = Flow(self.desks, self.spec)
        self.events, self.spreads, self.empty = [], [], 0
        self.flow.run(seconds * 10**9, settle=self.look)

    def look(self):
        self.events += self.exchange.drain()
        for number in range(len(self.desks)):
            bid, ask = self.exchange.best(number)
            if bid is None or ask is None:
                self.empty += 1
            else:
                self.spreads.append(ask - bid)

    def of_kind(self, kind, instrument=0):
        return [e for e in self.events if e.kind == kind and e.instrument == instrument]


@pytest.fixture(scope="module", params=["poisson", "hawkes", "quiet"])
def played(request):
    return Played(request.param)


def test_a_flow_keeps_a_two_sided_market_that_is_never_crossed(played):
    assert min(played.spreads) > 0
    # Before the first maker has quoted, each book is empty once.
    assert played.empty <= 2 * len(played.desks)
    for number in range(2):
        bids, asks = played.exchange.depth(number, 10)
        assert min(len(bids), len(asks)) >= 5


def test_the_exchange_takes_every_order_of_a_flow(played):
    assert played.flow.refused == {}


def test_prices_stay_where_the_flow_says(played):
    start = played.flow.traders[0].start_ticks
    prices = [e.price_ticks for e in played.of_kind(SimEventKind.PUBLIC_TRADE)]
    assert prices
    assert all(0.98 < price / start < 1.02 for price in prices)


def test_market_orders_make_the_trades(played):
    """As many takers as market orders; makers seldom cross."""
    flow = played.spec.instruments["BTCUSDT"]
    expected = 2 * flow.market_hz * 120 / (1 - (0.75 if flow.hawkes else 0))
    takers = {e.order_id if not e.is_maker else e.counter_order_id for e in played.of_kind(SimEventKind.PUBLIC_TRADE)}
    assert 0.4 * expected < len(takers) < 2.5 * expected + 15


def test_deposits_alone_change_what_there_is(played):
    accounts = range(played.exchange.account_count)
    for asset in ("BTC", "ETH", "USDT"):
        number = played.exchange.asset(asset)
        paid = sum(e.value for e in played.events if e.kind == SimEventKind.BALANCE and e.fee_asset == number)
        assert sum(sum(played.exchange.balance(account, asset)) for account in accounts) == paid


def test_the_same_seed_gives_the_same_events_and_another_seed_others():
    first, again, other = Played("hawkes", seconds=20), Played("hawkes", seconds=20), Played("hawkes", seed=8, seconds=20)
    assert first.events == again.events
    assert [e.price_ticks for e in first.events] != [e.price_ticks for e in other.events]


def test_an_instruments_flow_does_not_depend_on_what_stands_beside_it():
    both = load_flow("hawkes", seed=7)
    alone = both._replace(instruments={"ETHUSDT": both.instruments["ETHUSDT"]})
    trades = []
    for spec, number in ((both, 1), (alone, 0)):
        exchange, desks = flow_exchange(spec, publish=True)
        made = []

        def settle(exchange=exchange, made=made, number=number):
            made += [(e.ts_ns, e.price_ticks, e.qty_lots) for e in exchange.drain()
                     if e.kind == SimEventKind.PUBLIC_TRADE and e.instrument == number]
        Flow(desks, spec).run(30 * 10**9, settle=settle)
        trades.append(made)
    assert trades[0] == trades[1] != []


def test_what_runs_short_is_paid_in_and_said():
    """A taker that has almost nothing left is given its opening balance again within a second."""
    spec = load_flow("poisson", seed=3, symbols=["BTCUSDT"])
    exchange, desks = flow_exchange(spec)
    flow = Flow(desks, spec)
    flow.run(5 * 10**9)
    taker, usdt = desks[0].takers[0], desks[0].symbol.quote
    exchange.withdraw(taker, "USDT", exchange.balance(taker, "USDT")[0] - 1)
    exchange.drain()
    flow.run(7 * 10**9)
    paid = [e for e in exchange.drain() if e.kind == SimEventKind.BALANCE and e.account == taker]
    assert len(paid) == 1
    assert 2 * sum(exchange.balance(taker, "USDT")) > desks[0].targets[taker, usdt]


def test_makers_lean_against_what_they_have_bought():
    """After a client has sold a lot to the makers, they quote lower than without it."""
    spec = load_flow("quiet", seed=5, symbols=["BTCUSDT"])
    centers = []
    for sold in (0, 400):
        exchange, desks = flow_exchange(spec)
        flow = Flow(desks, spec)
        flow.run(2 * 10**9)
        if sold:
            client = exchange.add_account(maker_bps="0", taker_bps="0")
            exchange.deposit(client, "BTC", sold * 10**6)
            exchange.submit(client, 0, SELL, SimOrderType.MARKET, SimTif.IOC, 0, sold * 1000, now_ns=2 * 10**9)
        flow.run(30 * 10**9)
        maker = flow.traders[0].quotes[0]
        centers.append(sum(maker[place][1] for place in maker) / len(maker))
    assert centers[1] < centers[0]


def test_an_array_of_requests_does_on_a_fresh_exchange_what_the_flow_did():
    spec = load_flow("hawkes", seed=2)
    made = generate_actions(spec, 3000)
    results = made.exchange.run(made.actions)
    again, desks = flow_exchange(spec, checked=False)
    flow = Flow(desks, spec, refilled=False)
    while again.trade_count < made.exchange.trade_count:
        flow.step(flow.next_ns())
        again.drain()
    kinds = set(made.actions["kind"].tolist())
    assert kinds == {int(SimActionKind.SUBMIT), int(SimActionKind.CANCEL)}
    assert made.exchange.trade_count > 100
    assert set(results["reason"].tolist()) <= {int(SimReason.OK), int(SimReason.UNKNOWN_ORDER)}
    assert [again.last_price(n) for n in (0, 1)] == [made.exchange.last_price(n) for n in (0, 1)]
