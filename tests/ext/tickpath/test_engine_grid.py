"""A tick or lot that changes in session: one event, behind which everything is on the new grid, or cancelled, or lost and said so.

Prices are around 100.00 (10,000 ticks of 0.01), quantities in lots of 0.001 (engine_harness)."""
from fractions import Fraction

import numpy as np
import pytest
from test_engine_determinism import PAPER, capture, spec
from test_outbox import Durable

from engine_harness import MS, Market
from tickpath.engine import Engine
from tickpath.market.gate import GateCause
from tickpath.session import Session
from tickpath.shm.canonical import OutputHasher
from tickpath.shm.feed_lane import FeedLaneWriter
from tickpath.shm.ring import EventReader, EventWriter, records
from tickpath.shm.state_page import StatePage
from tickpath.trading import Strategy
from tickpath.types import BookState, EventType, HealthKind, OrderState, Reason, Status

S = OrderState


def regrid(m, tick="0.01", lot="0.001", ms=1, **more):
    m.now_ms += ms
    return m.session.grid_event(m.now_ms * MS, 0, tick, lot, **more)


def page(m):
    m.engine.publish_state()
    return StatePage(m.engine.state_buffer)


def row(m):
    return page(m).instruments()[0]


def refusals(m):
    health = m.records(EventType.EV_HEALTH)
    return [int(h["value"]) for h in health if h["kind"] == HealthKind.HEALTH_GRID_REFUSED]


def test_finer_tick_moves_book_top_orders_and_limits_and_the_next_frame_is_read_on_it():
    m = Market(max_order_notional_ticklots=10 ** 9, min_notional_ticklots=100)
    ordinal = m.submit(price_ticks=9990)
    m.quote(ms=20)
    before = row(m)
    assert regrid(m, "0.001", qty_step_lots=1, min_notional_ticklots=1000)
    after = row(m)
    assert (after["tick_mantissa"], after["tick_scale"], after["grid_epoch"]) == (1, 3, 1)
    for key in ("bid_price_ticks", "ask_price_ticks"):
        assert after[key] == [10 * p for p in before[key]]
    assert (after["bid_qty_lots"], after["ask_qty_lots"]) == (before["bid_qty_lots"], before["ask_qty_lots"])
    assert after["top_bid_ticks"] == 10 * before["top_bid_ticks"] == 99990
    assert after["last_update_id"] == before["last_update_id"] and after["book_state"] == BookState.BOOK_GOOD
    assert after["max_order_notional_ticklots"] == 10 ** 10
    assert [(o["price_ticks"], o["leaves_qty_lots"]) for o in page(m).orders()] == [(99900, 100)]
    assert m.strategy.grids == [(0, "0.001", "0.001", Fraction(10), Fraction(1))]
    # The order goes on resting at the venue, at the same price.
    m.trade("99.89", "5.000", sell=True)
    m.quote(ms=20)
    assert m.states(ordinal)[-1] == S.ORDER_FILLED and [f[2] for f in m.strategy.fills] == [99900]
    assert m.depth(bids=[("99.985", "3.000")]) == Status.STATUS_OK


def test_the_switch_is_one_event_and_nothing_of_the_old_grid_comes_behind_it():
    m = Market()
    m.submit(price_ticks=9990)
    m.quote(ms=20)
    regrid(m, "0.001")
    m.quote()
    slots = EventReader(m.writer.buffer, 1).read(1 << 16)
    at = int(np.flatnonzero(slots["type"] == EventType.EV_GRID)[0])
    assert row(m)["grid_seq"] == slots["seq"][at]
    quotes = records(slots, EventType.EV_QUOTE)
    old = quotes["bid_price_ticks"][quotes["seq"] < slots["seq"][at]]
    new = quotes["bid_price_ticks"][quotes["seq"] > slots["seq"][at]]
    assert set(old) == {9999} and set(new) == {99990}


def test_coarser_tick_cancels_the_order_that_does_not_fit_and_keeps_the_one_that_does():
    m = Market()
    fits, odd = m.submit(price_ticks=9990), m.submit(price_ticks=9985)
    m.quote(ms=20)
    assert regrid(m, "0.1")
    cancels = m.records(EventType.EV_CANCEL)
    assert [(int(c["order_ordinal"]), Reason(int(c["reason"]))) for c in cancels] == [(odd, Reason.REASON_GRID_CHANGED)]
    after = row(m)
    # The book has prices between the new ticks: it is lost, and the top is unknown until the venue names it.
    assert after["book_state"] == BookState.BOOK_SYNCING and after["gate_causes"] & GateCause.GATE_SYNCING
    assert m.states(fits)[-1] == S.ORDER_NEW
    m.session.clock((m.now_ms + 30) * MS)
    assert m.states(odd)[-1] in (S.ORDER_CANCELED, S.ORDER_EXPIRED)
    assert [(o["price_ticks"], o["order_ordinal"]) for o in page(m).orders()] == [(999, fits)]


def test_no_order_leaves_between_the_switch_and_the_new_snapshot():
    m = Market()
    regrid(m, "0.1")

    def asked():
        m.strategy.todo.append(lambda ctx: ctx.submit(side="buy", qty_lots=100, price_ticks=999))
        m.quote(bid="99.90", ask="100.10")
        return m.refusal(m.strategy.ordinals[-1])
    assert asked() == Reason.REASON_BOOK_NOT_GOOD
    # A quote off the new grid is refused as a whole; the venue's next snapshot, on it, opens the gate.
    assert m.quote(bid="99.99") == Status.STATUS_OFF_GRID
    assert page(m).totals()["venue_off_grid"][0] == 1
    m.update_id = 9000
    m.frame('{"lastUpdateId":9000,"bids":[["99.90000000","1.00000000"]],"asks":[["100.10000000","1.00000000"]]}')
    assert asked() is None


def test_finer_lot_moves_positions_open_orders_and_exposure():
    m = Market()
    m.submit(qty_lots=1500, price_ticks=10001)
    m.quote(ms=20)
    resting = m.submit(qty_lots=700, price_ticks=9990)
    m.quote(ms=20)
    before = row(m)
    assert before["position_lots"] == 1500 and before["open_buy_lots"] == 700
    regrid(m, lot="0.0001", qty_step_lots=10)
    after = row(m)
    assert (after["position_lots"], after["open_buy_lots"]) == (15000, 7000)
    assert after["open_cost_ticklots"] == 10 * before["open_cost_ticklots"]
    assert after["bid_qty_lots"] == [10 * q for q in before["bid_qty_lots"]]
    assert after["qty_step_lots"] == 10
    m.trade("99.89", "5.000", sell=True)
    m.quote(ms=20)
    assert m.states(resting)[-1] == S.ORDER_FILLED and row(m)["position_lots"] == 22000
    assert m.refusal(m.submit(qty_lots=105, price_ticks=9990)) == Reason.REASON_QTY_NOT_MULTIPLE_OF_LOT
    assert m.refusal(m.submit(qty_lots=110, price_ticks=9990)) is None


def test_coarser_lot_than_the_position_becomes_the_step_on_the_lot_that_we_have():
    m = Market()
    m.submit(qty_lots=1505, price_ticks=10001)
    m.quote(ms=20)
    odd = m.submit(qty_lots=705, price_ticks=9990)
    m.quote(ms=20)
    assert regrid(m, lot="0.01", qty_step_lots=1, min_notional_ticklots=7)
    after = row(m)
    assert (after["lot_mantissa"], after["lot_scale"], after["position_lots"]) == (1, 3, 1505)
    assert (after["qty_step_lots"], after["min_notional_ticklots"]) == (10, 70)
    assert [int(c["order_ordinal"]) for c in m.records(EventType.EV_CANCEL)] == [odd]
    assert after["book_state"] == BookState.BOOK_GOOD


def test_lot_that_no_multiple_helps_is_refused_and_the_gate_stays_shut_until_one_comes():
    m = Market(lot_size="0.05", max_order_qty_lots=10 ** 9)
    m.submit(qty_lots=1, price_ticks=10001)
    m.quote(ms=20)
    assert row(m)["position_lots"] == 1
    assert not regrid(m, lot="0.02")
    after = row(m)
    assert refusals(m) == [5] and after["gate_causes"] & GateCause.GATE_GRID and after["grid_epoch"] == 0
    assert m.refusal(m.submit(qty_lots=1, price_ticks=9990)) == Reason.REASON_BOOK_NOT_GOOD
    assert regrid(m, lot="0.01", qty_step_lots=2)
    assert row(m)["position_lots"] == 5 and not row(m)["gate_causes"] & GateCause.GATE_GRID


@pytest.mark.parametrize("instrument, tick, lot, more, why", [
    (1, "0.01", "0.001", {}, 1), (0, "0.01", "0.001", {"qty_step_lots": 0}, 2),
    (0, "0.01", "0.001", {"min_notional_ticklots": -1}, 2), (0, "0.01", "0.001", {"price_decimals": 19}, 2),
    (0, "0.000000000000000003", "9223372036854775807", {}, 2)])
def test_record_that_is_no_grid_changes_nothing_and_is_said(instrument, tick, lot, more, why):
    m = Market()
    before = row(m)
    m.session.grid_event(m.now_ms * MS, instrument, tick, lot, **{"qty_step_lots": 1, **more})
    assert refusals(m) == [why] and page(m).totals()["grids_refused"] == 1
    assert row(m) == before


def test_the_same_grid_again_is_no_change():
    m = Market()
    assert not regrid(m)
    assert row(m)["grid_epoch"] == 0 and m.strategy.grids == []


def test_pnl_in_the_quote_asset_does_not_change_with_the_grid():
    m = Market()
    m.submit(qty_lots=1505, price_ticks=10001)
    m.quote(ms=20)

    def money():
        r = row(m)
        tick, lot = (Fraction(r[f"{k}_mantissa"], 10 ** r[f"{k}_scale"]) for k in ("tick", "lot"))
        return [r["position_lots"] * lot, r["open_cost_ticklots"] * tick * lot,
                r["max_order_notional_ticklots"] * tick * lot, r["realised_ticklots"] * tick * lot]

    before = money()
    for tick, lot in (("0.001", "0.001"), ("0.0005", "0.0001"), ("0.001", "0.00001"), ("0.01", "0.001")):
        assert regrid(m, tick, lot)
        assert money() == before


def test_what_is_on_its_way_to_and_from_the_venue_moves_too():
    m = Market()
    m.strategy.todo.append(lambda ctx: ctx.submit(side="buy", qty_lots=100, price_ticks=10001))      # takes
    m.strategy.todo.append(lambda ctx: ctx.submit(side="buy", qty_lots=100, price_ticks=9990))
    m.quote()
    regrid(m, "0.001", "0.0001")
    m.quote(ms=20)
    assert [f[2:4] for f in m.strategy.fills] == [(100010, 1000)]
    assert [(o["price_ticks"], o["leaves_qty_lots"]) for o in page(m).orders()] == [(99900, 1000)]
    # A fill whose price the new grid does not have comes at the next tick that is worse for us: 100.013 at 100.02.
    m.strategy.todo.append(lambda ctx: ctx.submit(side="buy", qty_lots=2000, price_ticks=100013, time_in_force="ioc"))
    m.quote(ask="100.01")
    m.session.clock((m.now_ms + 6) * MS)
    m.now_ms += 6
    regrid(m, "0.02", "0.0001", ms=0)
    m.session.clock((m.now_ms + 20) * MS)
    assert m.strategy.fills[-1][2:4] == (5001, 2000)


def test_orders_sent_from_on_grid_are_on_the_new_grid():
    m = Market()
    m.strategy.todo.append(lambda ctx: ctx.submit(side="buy", qty_lots=100, price_ticks=99900))
    regrid(m, "0.001")
    m.quote(ms=20)
    assert m.states(m.strategy.ordinals[-1]) == [S.ORDER_NEW]
    assert [o["price_ticks"] for o in page(m).orders()] == [99900]


class Deaf(Strategy):
    """Has no on_grid."""


def test_strategy_without_on_grid_is_stopped_and_its_orders_are_cancelled(capsys):
    m = Market(strategy="test_engine_grid:Deaf")
    assert regrid(m, "0.001")
    m.quote()
    assert page(m).strategies()[0]["failed"] == 1 and "no on_grid" in capsys.readouterr().err


def test_bars_and_averages_go_on_in_new_ticks():
    m = Market()
    for n in range(6):
        m.trade(f"100.0{n}", "1.000", ms=1000)
    before = row(m)
    regrid(m, "0.001")
    after = row(m)
    assert after["ema_fast"] == pytest.approx(10 * before["ema_fast"], rel=1e-12)
    assert after["bar_close_ticks"] == 10 * before["bar_close_ticks"] and after["last_trade_ticks"] == 100050
    m.trade("100.06", "1.000", ms=1000)
    assert m.records(EventType.EV_BAR)[-1]["close_ticks"] == 100050


def test_grid_through_the_gateways_lane_is_an_input_like_a_frame():
    m = Market()
    m.feed.try_write_grid(5 * MS, 0, (1, 3), (1, 3), qty_step_lots=1, min_notional_ticklots=0)
    m.turn()
    grid = m.records(EventType.EV_GRID)[0]
    assert (grid["tick_mantissa"], grid["tick_scale"], grid["ts_recv_ns"]) == (1, 3, 5 * MS)
    assert row(m)["tick_scale"] == 3


def test_consolidated_quote_is_in_common_ticks_of_the_new_grid():
    instrument = {"tick_size": "0.01", "lot_size": "0.001", "min_notional_ticklots": 0, "book_window_ticks": 4096,
                  "max_order_qty_lots": 10 ** 6, "max_order_notional_ticklots": 10 ** 12,
                  "max_position_notional_ticklots": 10 ** 12, "qty_step_lots": 1, "price_collar_e2_bps": 100_000,
                  "max_open_orders": 50}
    writer = EventWriter.local(1 << 16)
    engine = Engine({**spec(), "venues": ["binance_spot", "binance_spot"], "consolidated": [[0, 1]], "strategies": [],
                     "instruments": [{**instrument, "venue_symbol": "TESTUSDT", "venue": n} for n in range(2)]}, writer)
    session = Session(engine, PAPER)
    for n in range(2):
        session.on_frame(f'{{"lastUpdateId":100,"bids":[["99.9{n}000000","1.00000000"]],"asks":[["100.10000000","1.00000000"]]}}'
                         .encode(), 1000 + n, n, venue_slot=n)

    def last():
        return records(EventReader(writer.buffer, 1).read(1 << 16), EventType.EV_CONSOLIDATED)[-1]
    assert (last()["bid_price_ticks"], last()["ask_price_ticks"], last()["ask_qty_lots"]) == (9991, 10010, 2000)
    session.grid_event(5000, 0, "0.001", "0.0001")
    assert (last()["bid_price_ticks"], last()["ask_price_ticks"], last()["ask_qty_lots"]) == (99910, 100100, 20000)


def test_replay_of_a_run_whose_grids_change_is_identical(golden_dir):
    frames = list(capture(golden_dir))
    writer = EventWriter.local(1 << 20)
    engine = Engine(spec(), writer)
    session = Session(engine, PAPER)
    changes = {len(frames) // 4: ("0.001", "0.000001", 10), len(frames) // 2: ("0.0005", "0.0000001", 100),
               3 * len(frames) // 4: ("0.01", "0.0000001", 100)}
    for n, frame in enumerate(frames):
        if n in changes:
            tick, lot, step = changes[n]
            session.grid_event(frame.ts_recv_ns, 0, tick, lot, qty_step_lots=step, min_notional_ticklots=1000)
        session.on_frame(frame.data, frame.ts_recv_ns, 0)
    session.finish()
    slots = EventReader(writer.buffer, 1).read(1 << 20)
    totals = StatePage(engine.state_buffer).totals()
    assert totals["grids"] == 3 and totals["frame_errors"] == 0 and totals["fills"] > 10 and totals["protocol_errors"] == 0

    def output_hash(found):
        hasher = OutputHasher()
        hasher.update(found)
        return hasher.hexdigest()
    again = EventWriter.local(1 << 20)
    replayed = Session(Engine(spec(mode="replay"), again))
    replayed.feed(slots)
    assert output_hash(EventReader(again.buffer, 1).read(1 << 20)) == output_hash(slots)


def test_lane_refuses_nothing_that_a_writer_of_ours_makes_and_skips_an_entry_of_another_size():
    writer, reader = FeedLaneWriter.local(1 << 16)
    assert writer.try_write_grid(1, 0, (1, 2), (1, 3), qty_step_lots=1, min_notional_ticklots=0)
    assert len(reader.try_read()[2]) == 128


def test_order_that_waits_for_the_disk_leaves_on_the_new_grid_or_never():
    m = Durable(hold_ms=60_000)
    m.synced(0)
    fits, odd = m.submit(price_ticks=9990), m.submit(price_ticks=9985)
    regrid(m, "0.1")
    assert m.session.held_orders == 2
    m.synced(10 ** 9)
    assert m.session.held_orders == 0
    m.session.clock((m.now_ms + 30) * MS)
    assert m.states(fits)[-1] == S.ORDER_NEW and m.states(odd)[-1] == S.ORDER_CANCELED
    assert m.session.sim_counters["resting"] == 1
    assert [(o["order_ordinal"], o["price_ticks"]) for o in page(m).orders()] == [(fits, 999)]


def test_engine_that_switched_sees_the_market_as_one_that_began_on_the_new_grid(golden_dir):
    frames = list(capture(golden_dir))[:4000]

    def seen(tick, switch_at=None):
        market = {**spec(), "strategies": []}
        market["instruments"] = [{**market["instruments"][0], "tick_size": tick}]
        engine = Engine(market, EventWriter.local(1 << 18))
        session = Session(engine, PAPER)
        for n, frame in enumerate(frames):
            if n == switch_at:
                assert session.grid_event(frame.ts_recv_ns, 0, "0.001", "0.000001", qty_step_lots=10,
                                          min_notional_ticklots=5 * 10 ** 8)
            session.on_frame(frame.data, frame.ts_recv_ns, 0)
        engine.publish_state()
        return StatePage(engine.state_buffer).instruments()[0]
    begun, switched = seen("0.001"), seen("0.01", len(frames) // 2)
    assert begun["book_state"] == BookState.BOOK_GOOD and begun["bid_levels"] > 100
    # Averages are floating point; limits are of the configuration, which names ticks.
    apart = {"ema_fast", "ema_slow", "grid_epoch", "grid_seq", "max_order_notional_ticklots", "max_position_notional_ticklots"}
    assert {k: v for k, v in switched.items() if k not in apart} == {k: v for k, v in begun.items() if k not in apart}
    assert switched["ema_fast"] == pytest.approx(begun["ema_fast"], rel=1e-12)
