"""Bars inside the engine: several of an instrument in one pass, closed by trades and by time, in run and replay alike."""
import re
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_harness import LIMITS, MS, PAPER
from tickpath.capture import read_capture
from tickpath.engine import Engine
from tickpath.market.bar_set import build_bar_set
from tickpath.market.bar_spec import interval_text, parse_bar_spec
from tickpath.market.bars import BarFlag, BarKind
from tickpath.session import Session
from tickpath.shm.canonical import OutputHasher
from tickpath.shm.ring import EventReader, EventWriter, records
from tickpath.shm.state_page import StatePage
from tickpath.trading import Strategy
from tickpath.types import EventType, Status

SECOND = 10 ** 9
EPOCH_MS = 1_700_000_000_000                   # a whole second; venue times are counted from it here
FIELDS = ("ts_recv_ns", "ts_open_ns", "ts_venue_ns", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots",
          "buy_volume_lots", "trade_count", "flags")


class Listener(Strategy):
    """Keeps what it was told of bars and timers; does what the test put into `todo`."""

    def __init__(self, parameters):
        super().__init__(parameters)
        self.heard, self.todo = [], []

    def on_trade(self, ctx, trade):
        self.heard.append(("trade", ctx.now_ns))
        for action in self.todo:
            action(ctx)
        self.todo = []

    def on_bar(self, ctx, bar):
        self.heard.append(("bar", bar.instrument, bar.spec, bar.kind, bar.interval_ns, bar.close_ticks, bar.closed_by_time))
        if self.parameters.get("raises"):
            raise ValueError("a strategy's own mistake")
        if self.parameters.get("buys"):
            ctx.submit(side="buy", qty_lots=1, price_ticks=9000, instrument=bar.instrument)

    def on_timer(self, ctx, timer):
        self.heard.append(("timer", ctx.now_ns))


class Run:
    """An engine that is told trades by venue and receive time, in ms from EPOCH_MS."""

    def __init__(self, *bars, instruments=1, parameters=None, slots=1 << 14, **more):
        self.writer = EventWriter.local(slots)
        self.spec = {
            "instance": "bars", "epoch": 1, "mode": "paper", "seed": 1, "stamps": False, "max_frame_bytes": 1 << 20,
            "bar_interval_ns": SECOND, "bars": list(bars), "bar_grace_ns": 0, "imbalance_levels": 5, "ema_fast": 2, "ema_slow": 4,
            "max_data_age_ns": 10 ** 15, "max_orders_per_min": 60000,
            "instruments": [{**LIMITS, "venue_symbol": f"T{i}USDT"} for i in range(instruments)],
            "strategies": [{"name": "listener", "kind": "test_engine_bars:Listener", "parameters": parameters or {},
                            "instrument": 0}], **more}
        self.engine = Engine(self.spec, self.writer)
        self.session = Session(self.engine, PAPER)
        self.listener = self.engine.strategies[0].python_strategy
        self.trade_id = 0

    def at(self, recv_ms):
        return (EPOCH_MS + recv_ms) * MS

    def trade(self, recv_ms, venue_ms=None, price="100", qty="1", sell=False, instrument=0, trade_id=None):
        self.trade_id += 1
        venue_ms = EPOCH_MS + (recv_ms if venue_ms is None else venue_ms)
        text = (f'{{"e":"trade","E":{venue_ms},"s":"T{instrument}USDT","t":{trade_id or self.trade_id},"p":"{price}","q":"{qty}",'
                f'"T":{venue_ms},"m":{"true" if sell else "false"},"M":true}}')
        assert self.session.on_frame(text.encode(), self.at(recv_ms), instrument) == Status.STATUS_OK

    def quote(self, recv_ms):
        self.session.on_frame(b'{"u":1,"s":"T0USDT","b":"99","B":"1","a":"101","A":"1"}', self.at(recv_ms), 0)

    def clock(self, recv_ms):
        self.session.clock(self.at(recv_ms))

    def slots(self):
        reader = EventReader(self.writer.buffer, 1)
        slots = reader.read(1 << 20)
        assert reader.missed_slots == 0
        return slots

    def bars(self):
        return records(self.slots(), EventType.EV_BAR)

    def rows(self):
        return [tuple(int(b[k]) for k in FIELDS) for b in self.bars()]

    def heard(self, kind):
        return [h[1:] for h in self.listener.heard if h[0] == kind]

    def page(self):
        self.engine.publish_state()
        return StatePage(self.engine.state_buffer)

    def replayed(self):
        """(bars as rows, output hash) of the same engine over what the ring of this one holds."""
        again = Run.__new__(Run)
        again.writer = EventWriter.local(1 << 14)
        again.session = Session(Engine({**self.spec, "mode": "replay"}, again.writer))
        again.session.feed(self.slots())
        return again.rows(), hash_of(again.slots())


def hash_of(slots):
    hasher = OutputHasher()
    hasher.update(slots)
    return hasher.hexdigest()


def by_time(bars):
    return [bool(f & BarFlag.BAR_CLOSED_BY_TIME) for f in bars["flags"]]


# ---- several bars of one instrument

def test_strategies_are_told_of_every_bar_and_which_it_is():
    run = Run("1s", "2s", "tick:3", "volume:2.5", "dollar:250", bar_grace_ns=SECOND)
    for k, price in enumerate(("100", "101", "102", "103")):
        run.trade(900 * k, price=price)
    assert [(h[1], h[4]) for h in run.heard("bar")] == [
        ("1s", 10100), ("tick:3", 10200), ("volume:2.5", 10200), ("dollar:250", 10200), ("1s", 10200), ("2s", 10200)]
    assert run.heard("bar")[3:5] == [(0, "dollar:250", "dollar", 0, 10200, False), (0, "1s", "time", SECOND, 10200, False)]
    assert [b >> BarFlag.BAR_SPEC_SHIFT for b in run.bars()["flags"]] == [0, 2, 3, 4, 0, 1]
    assert [b & BarFlag.BAR_KIND_MASK for b in run.bars()["flags"]] == [
        BarKind.BAR_TIME, BarKind.BAR_TICK, BarKind.BAR_VOLUME, BarKind.BAR_NOTIONAL, BarKind.BAR_TIME, BarKind.BAR_TIME]


def test_one_interval_is_what_it_was_and_names_itself():
    run = Run(bars=None, bar_interval_ns=60 * SECOND, bar_grace_ns=SECOND)
    run.trade(0)
    run.trade(40_000)                              # EPOCH_MS is 20 s into its minute
    assert run.heard("bar") == [(0, "1m", "time", 60 * SECOND, 10000, False)]
    assert [interval_text(ns) for ns in (1, 1500 * MS, SECOND, 90 * SECOND, 7200 * SECOND, 86400 * SECOND)] == [
        "1ns", "1500ms", "1s", "90s", "2h", "1d"]


def test_averages_are_of_the_first_of_the_bars():
    run, alone = Run("2s", "1s", "tick:1"), Run("2s")
    for one in (run, alone):
        for k in range(40):
            one.trade(500 * k, price=str(100 + k * k % 7))
    signals = [records(one.slots(), EventType.EV_SIGNAL) for one in (run, alone)]
    assert len(signals[0]) > 9 and [s["value"].tolist() for s in signals][0] == signals[1]["value"].tolist()
    assert signals[0]["ts_recv_ns"].tolist() == signals[1]["ts_recv_ns"].tolist()


# ---- closing by time

def test_a_bar_closes_before_the_first_input_at_or_after_its_due_time():
    run = Run("1s", bar_grace_ns=200 * MS)
    run.trade(100)
    run.quote(1199)
    assert len(run.bars()) == 0 and run.session.next_due_ns == run.at(1200)
    run.quote(1700)
    slots = run.slots()
    bar = run.bars()[0]
    assert (bar["ts_recv_ns"], bar["ts_venue_ns"], by_time(run.bars())) == (run.at(1200), run.at(1000), [True])
    behind = slots[slots["seq"] > bar["seq"]]
    assert behind[behind["type"] == EventType.EV_FRAME]["ts_recv_ns"].tolist() == [run.at(1700)]
    assert run.session.next_due_ns == 2 ** 63 - 1
    assert run.heard("bar") == [(0, "1s", "time", SECOND, 10000, True)]


@pytest.mark.parametrize("inject", [(), (1200,), (1000, 1100, 1199, 1200, 1300, 1650)])
def test_when_an_idle_loop_looks_at_the_clock_changes_no_bar(inject):
    run = Run("1s", "500ms", bar_grace_ns=200 * MS)
    run.trade(100)
    for ms in inject:
        run.clock(ms)
    run.quote(1700)
    run.trade(2600, price="101")
    assert [(r[0] // MS - EPOCH_MS, r[2] // MS - EPOCH_MS) for r in run.rows()] == [(700, 500), (1200, 1000)]


def test_a_timer_of_the_same_time_sees_the_bar():
    run = Run("1s")
    run.listener.todo.append(lambda ctx: [ctx.set_timer(run.at(ms)) for ms in (1000, 999)])
    run.trade(100)
    run.clock(3000)
    assert [h[0] for h in run.listener.heard] == ["trade", "timer", "bar", "timer"]
    assert run.heard("timer") == [(run.at(999),), (run.at(1000),)]


def test_bars_due_at_one_time_close_in_the_order_of_the_instruments_and_each_is_acted_on():
    run = Run("1s", "tick:9", instruments=3, parameters={"buys": True})
    for i in (2, 0, 1):
        run.trade(100 + i, instrument=i)
    run.clock(1000)
    assert [h[0] for h in run.heard("bar")] == [0, 1, 2]
    decided = run.slots()
    kinds = decided[np.isin(decided["type"], [EventType.EV_BAR, EventType.EV_REFUSAL])]
    assert [(EventType(t).name[3:], int(i)) for t, i in zip(kinds["type"], kinds["instrument"], strict=True)] == [
        (kind, i) for i in range(3) for kind in ("BAR", "REFUSAL")]       # no book is proven here, so risk refuses


def test_more_bars_at_once_than_a_strategy_may_act_on_in_one_call_lose_no_action():
    run = Run("1s", instruments=64, parameters={"buys": True})
    for _ in range(2):
        for i in range(64):
            run.trade(100, instrument=i)
    run.clock(1000)
    totals = run.page().totals()
    assert totals["bars"] == 64 and totals["action_overflows"] == 0 and totals["refusals"] == 64


def test_a_bar_that_is_overdue_when_its_first_trade_comes_waits_for_the_rest():
    # A feed that is three seconds late: each bar still has all its trades, and time closes the last one.
    run = Run("1s", bar_grace_ns=100 * MS)
    for k in range(24):
        run.trade(3000 + 100 * k, 100 * k)
        run.clock(3050 + 100 * k)
    assert [r[-2] for r in run.rows()] == [10, 10] and by_time(run.bars()) == [False, False]
    run.clock(5000 + 1000 + 99)
    assert len(run.bars()) == 2
    run.clock(5000 + 1000 + 100)
    assert [r[-2] for r in run.rows()] == [10, 10, 4] and by_time(run.bars())[2]
    assert run.page().bars()[0]["1s"]["late_count"] == 0


@pytest.mark.parametrize(("rule", "volumes"), [("add", [1000, 3000]), ("drop", [1000, 2000])])
def test_a_trade_that_comes_after_its_bar_is_late_and_counted(rule, volumes):
    run = Run("1s", bar_late_rule=rule)
    run.trade(100)
    run.clock(1000)
    run.trade(1010, 990, price="90", trade_id=7)
    run.trade(1020, price="101", qty="2")
    run.clock(2000)
    assert [r[7] for r in run.rows()] == volumes
    assert run.rows()[1][3] == 10100               # a late trade is no open
    state = run.page().bars()[0]["1s"]
    assert (state["late_count"], state["late_lots"], state["trade_count"]) == (1, 1000, 0)


def test_a_dropped_late_trade_leaves_the_next_bar_to_be_closed_by_time():
    run = Run("1s", bar_late_rule="drop")
    run.trade(100)
    run.clock(1000)
    run.trade(1010, 990, trade_id=7)
    assert run.session.next_due_ns == 2 ** 63 - 1
    run.trade(1500, price="102")
    assert run.session.next_due_ns == run.at(2000)
    run.clock(2000)
    assert [r[6] for r in run.rows()] == [10000, 10200]


def test_empty_intervals_give_no_bar_unless_asked_for():
    for asked in (False, True):
        run = Run("1s", "tick:5", empty_bars=asked)
        run.trade(100)
        run.clock(5000)
        run.trade(7500, price="103")
        closes = [(int(b["ts_venue_ns"]) // MS - EPOCH_MS, bool(b["flags"] & BarFlag.BAR_EMPTY)) for b in run.bars()]
        assert closes == [(1000, False)] + [(n * 1000, True) for n in range(2, 8)] * asked
        assert not asked or run.rows()[3][3:8] == (10000,) * 4 + (0,)


def test_a_long_silence_gives_as_many_empty_bars_as_the_ring_has_room_for():
    run = Run("1s", empty_bars=True, empty_bars_max=20)
    run.trade(100)
    run.clock(100_000)
    assert len(run.bars()) == 21 and run.session.next_due_ns == 2 ** 63 - 1
    run.trade(200_500)
    assert len(run.bars()) == 21
    assert run.page().bars()[0]["1s"]["skipped_empty_count"] == 200 - 21
    run.clock(201_000)
    assert len(run.bars()) == 22 and run.rows()[21][1] == run.at(200_000)


def test_empty_bars_that_one_trade_ends_come_all_and_before_it():
    run = Run("1s", "2s", empty_bars=True, bar_grace_ns=10 ** 12)
    run.trade(100)
    run.trade(60_100, price="101")
    assert len(run.bars()) == 60 + 30 and not any(by_time(run.bars()))
    assert len(run.heard("bar")) == 90
    assert run.page().bars()[0]["2s"]["trade_count"] == 1


def test_a_strategy_that_raises_at_a_bar_closed_by_time_is_stopped_and_the_bars_go_on():
    run = Run("1s", parameters={"raises": True})
    run.trade(100)
    run.clock(1000)
    run.trade(1100)
    run.clock(2000)
    assert len(run.bars()) == 2 and len(run.heard("bar")) == 1
    assert run.page().totals()["strategy_errors"] == 1


def test_the_state_page_shows_the_bars_being_built_by_their_names():
    run = Run("1s", "5s", "tick:3", instruments=2)
    run.trade(100, price="100")
    run.trade(1200, price="105", qty="2", sell=True)
    one, other = run.page().bars()
    assert list(one) == ["1s", "5s", "tick:3"]
    assert (one["1s"]["open_ticks"], one["1s"]["volume_lots"], one["1s"]["ts_open_ns"]) == (10500, 2000, run.at(1000))
    assert (one["5s"]["high_ticks"], one["5s"]["volume_lots"], one["5s"]["buy_volume_lots"]) == (10500, 3000, 1000)
    assert (one["tick:3"]["trade_count"], other["1s"]["trade_count"]) == (2, 0)
    assert run.page().instruments()[0]["bar_close_ticks"] == 10500


@pytest.mark.parametrize(("bars", "message"), [
    (["1s", "1000ms"], "expected different bars, found '1s' and '1000ms'"),
    ([f"{n}s" for n in range(1, 18)], "expected 1 to 16, found 17"), (["1x"], "expected an interval"),
    (["volume:0.5", "volume:0.50"], "expected different bars")])
def test_bars_that_make_no_sense_are_refused(bars, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Run(*bars)


# ---- a plain reference

class PlainBar:
    """One specification, written for reading."""

    def __init__(self, text, idx, grace):
        self.spec, self.idx, self.grace = parse_bar_spec(text), idx, grace
        self.interval = self.spec.interval_ns
        self.open_ns = self.due = None
        self.trades, self.late = [], []

    def is_over(self, ts):
        return bool(self.trades or self.late) and ts >= self.open_ns + self.interval

    def take(self, t):
        empty = not self.trades and not self.late
        late = self.open_ns is not None and t["ts"] < self.open_ns
        if self.interval:
            if not late:
                self.open_ns = t["ts"] - (t["ts"] - self.spec.offset_ns) % self.interval
            if empty:
                self.due = self.open_ns + self.interval + self.grace
                if t["recv"] > self.due:
                    self.due = t["recv"] + self.interval + self.grace
        elif not late and empty:
            self.open_ns = t["ts"]
        (self.late if late else self.trades).append(t)

    def is_full(self):
        every = self.trades + self.late
        if not every:
            return False
        if self.spec.kind == BarKind.BAR_TICK:
            return len(every) >= self.spec.size
        return sum(t["lots"] for t in every) >= self.spec.size * 1000

    def close(self, recv, flags=0):
        every = sorted(self.trades, key=lambda t: (t["ts"], t["id"])) or self.late
        both = self.trades + self.late
        end = self.open_ns + self.interval
        if not self.interval:
            end = max([t["ts"] for t in self.trades] + [self.open_ns]) + 1
        row = (recv, self.open_ns, end, every[0]["price"], max(t["price"] for t in both), min(t["price"] for t in both),
               every[-1]["price"] if self.trades else self.late_close(), sum(t["lots"] for t in both),
               sum(t["lots"] for t in both if not t["sell"]), len(both), flags | self.spec.kind | self.idx << BarFlag.BAR_SPEC_SHIFT)
        self.open_ns = end if self.interval else end - 1
        self.trades, self.late, self.due = [], [], None
        return row

    def late_close(self):
        return self.late[0]["price"]               # only late trades: the first of them is open and close


def plain_bars(texts, grace, events):
    """The rows that an engine gives for [(recv ns, trade or None), …]."""
    builders = [PlainBar(text, i, grace) for i, text in enumerate(texts)]
    time_bars = [b for b in builders if b.interval]
    rows, now = [], 0
    for recv, trade in events:
        while dues := [b.due for b in time_bars if b.due is not None and b.due <= recv]:
            now = max(now, min(dues))
            for b in sorted((b for b in time_bars if b.due is not None and b.due <= now), key=lambda b: (b.open_ns + b.interval, b.interval)):
                rows.append(b.close(now, BarFlag.BAR_CLOSED_BY_TIME))
        now = max(now, recv)
        if trade is None:
            continue
        for b in sorted((b for b in time_bars if b.is_over(trade["ts"])), key=lambda b: (b.open_ns + b.interval, b.interval)):
            rows.append(b.close(recv))
        for b in time_bars:
            b.take(trade)
        for b in builders:
            if not b.interval:
                b.take(trade)
                if b.is_full():
                    rows.append(b.close(recv))
    return rows


TEXTS = ["2s", "1s", "3s@500ms", "tick:3", "volume:5", "7s"]
EVENTS = st.lists(st.tuples(st.one_of(st.integers(0, 400), st.integers(0, 9000)), st.sampled_from(["trade", "trade", "clock", "quote"]),
                            st.one_of(st.integers(-300, 300), st.integers(-4000, 4000)), st.integers(95, 105), st.integers(1, 4),
                            st.booleans()), min_size=1, max_size=60)


@settings(max_examples=40, deadline=None)
@given(EVENTS, st.sampled_from([0, 250, 2000]))
def test_bars_of_random_trades_equal_a_plain_reference_and_replay_gives_the_same(events, grace_ms):
    run = Run(*TEXTS, bar_grace_ns=grace_ms * MS)
    recv_ms, plain = 20_000, []
    for wait_ms, kind, lag_ms, price, qty, sell in events:
        recv_ms += wait_ms
        if kind == "trade":
            run.trade(recv_ms, recv_ms - lag_ms, str(price), str(qty), sell)
            plain.append((run.at(recv_ms), {"ts": run.at(recv_ms - lag_ms), "recv": run.at(recv_ms), "price": price * 100,
                                            "lots": qty * 1000, "sell": sell, "id": run.trade_id}))
        else:
            getattr(run, kind)(recv_ms)
            plain.append((run.at(recv_ms), None))
    assert run.rows() == plain_bars(TEXTS, grace_ms * MS, plain)
    assert run.replayed() == (run.rows(), hash_of(run.slots()))


# ---- the recorded market

MINUTES = {                                      # the venue's klines: tests/ext/tickpath/venues/test_binance_decode_golden.py
    "2024-08-08T23:55": ("61828.0", "61860.8", "61583.22", "61685.99", "199.42863"),
    "2024-08-09T00:00": ("61686.0", "61744.37", "61556.04", "61607.99", "221.61722"),
}
SPECS = ["1m", "1s", "5m", "tick:100", "volume:10", "dollar:250000"]


@pytest.fixture(scope="module")
def captured(golden_dir):
    run = Run(*SPECS, bar_grace_ns=250 * MS, slots=1 << 20, instruments=1)
    run.spec["instruments"] = [{**LIMITS, "venue_symbol": "BTCUSDT", "lot_size": "0.000001", "book_window_ticks": 65536}]
    run.engine = Engine(run.spec, run.writer)
    run.session = Session(run.engine, PAPER)
    for name in ("hftbacktest_btcusdt_20240808.gz", "hftbacktest_btcusdt_20240809.gz"):
        for frame in read_capture(golden_dir / "binance_spot" / name):
            run.session.on_frame(frame.data, frame.ts_recv_ns, 0)
    return run


def test_bars_of_the_recorded_market_equal_the_venues_klines(captured):
    bars = captured.bars()
    five = {int(b["ts_open_ns"]): b for b in bars[bars["flags"] >> BarFlag.BAR_SPEC_SHIFT == SPECS.index("5m")]}
    for stamp, values in MINUTES.items():
        bar = five[int(np.datetime64(stamp, "ns").astype(np.int64))]
        prices = [Decimal(int(bar[k])) * Decimal("0.01") for k in ("open_ticks", "high_ticks", "low_ticks", "close_ticks")]
        assert prices == [Decimal(v) for v in values[:4]]
        assert Decimal(int(bar["volume_lots"])) * Decimal("0.000001") == Decimal(values[4])


def test_bars_of_the_recorded_market_equal_those_of_the_batch(captured):
    slots, bars = captured.slots(), captured.bars()
    series = build_bar_set(records(slots, EventType.EV_TRADE), SPECS, tick_size="0.01", lot_size="0.000001", unfinished=False)
    for i, one in enumerate(series):
        mine = bars[bars["flags"] >> BarFlag.BAR_SPEC_SHIFT == i]
        assert len(mine) > (3 if SPECS[i] == "5m" else 10) - 1
        for name in FIELDS[1:-1]:
            assert mine[name].tolist() == one.bars[name].tolist(), (SPECS[i], name)
        assert one.late_count == 0


def test_the_recorded_market_replays_to_the_same_bars(captured):
    again = EventWriter.local(1 << 20)
    Session(Engine({**captured.spec, "mode": "replay"}, again)).feed(captured.slots())
    slots = EventReader(again.buffer, 1).read(1 << 20)
    mine, theirs = captured.bars(), records(slots, EventType.EV_BAR)
    for name in FIELDS:
        assert mine[name].tolist() == theirs[name].tolist()
    assert hash_of(slots) == hash_of(captured.slots())
