"""The state page: whole blocks under a writer that never stops, and what it shows of an engine."""
import mmap
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_harness import Market
from tickpath.shm import StatePage
from tickpath.shm.histogram import bucket_midpoints, index_of, summarise
from tickpath.shm.segment import SegmentError
from tickpath.shm.state_page import state_page_bytes


def test_page_shows_top_depth_orders_positions_and_limits():
    m = Market(max_open_orders=7)
    m.submit(qty_lots=100, price_ticks=10001, time_in_force="ioc")
    m.quote(ms=20)
    ordinal = m.submit(qty_lots=50, price_ticks=9990)
    m.quote(ms=20)
    m.engine.publish_state()
    page = StatePage(m.engine.state_buffer)
    (instrument,), totals = page.instruments(), page.totals()
    assert (instrument["top_bid_ticks"], instrument["top_ask_ticks"]) == (9999, 10001)
    assert instrument["bid_price_ticks"][:3] == [9999, 9998, 9997] and instrument["ask_qty_lots"][:2] == [10_000, 11_000]
    assert instrument["position_lots"] == 100 and instrument["open_buy_lots"] == 50
    assert instrument["max_open_orders"] == 7 and totals["max_orders_per_min"] == 60000
    (order,) = page.orders()
    assert (order["order_ordinal"], order["price_ticks"], order["leaves_qty_lots"], order["side"]) == (ordinal, 9990, 50, 1)
    (strategy,) = page.strategies()
    assert (strategy["orders"], strategy["fills"], strategy["position_lots"]) == (2, 1, 100)
    assert page.info()["symbols"] == ["TESTUSDT"] and page.info()["tick"] == [(1, 2)]


def test_every_step_of_every_order_is_in_the_histograms():
    m = Market()
    for _ in range(5):
        m.submit()
    latency = StatePage(m.engine.state_buffer).latency()
    for step in ("risk", "order", "encode", "send", "frame_to_order"):
        assert latency[step]["n"] == 5 and latency[step]["p50_ns"] > 0
    assert latency["decode"]["n"] == m.totals()["frames"]


def test_a_page_of_another_size_is_refused():
    for size in (100, state_page_bytes() - 8, state_page_bytes() + 8):
        with pytest.raises(SegmentError, match=f"expected {state_page_bytes()} bytes, found {size}"):
            StatePage(bytearray(size))


def test_a_reader_beside_a_busy_writer_in_another_process_sees_blocks_that_fit_together():
    memory = mmap.mmap(-1, state_page_bytes())
    m = Market(state_buffer=memory)
    m.quote()
    m.engine.publish_state()
    page = StatePage(memory)
    child = os.fork()
    if child == 0:
        # The writer: bid = ask - 2 and equal quantities at every moment; a torn block would mix two of them.
        i = 0
        while True:
            i += 1
            cents = 9000 + i % 50
            m.quote(bid=f"{cents / 100:.2f}", ask=f"{(cents + 2) / 100:.2f}", bid_qty=str(1 + i % 90), ask_qty=str(1 + i % 90))
            for _ in range(50):
                m.engine.publish_state()
    try:
        seen = set()
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            (s,) = page.instruments()
            assert s["top_ask_ticks"] - s["top_bid_ticks"] == 2 and s["top_bid_lots"] == s["top_ask_lots"], s
            seen.add(s["top_bid_ticks"])
        assert len(seen) > 10
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_block_whose_writer_died_inside_it_is_told_instead_of_waited_for():
    m = Market()
    m.engine.publish_state()
    memory = np.frombuffer(m.engine.state_buffer, np.uint64).copy()
    page = StatePage(memory.view(np.uint8))
    before = page.totals()
    at = int(np.flatnonzero(memory == before["now_ns"])[0]) - 1          # the sequence word stands before the block
    memory[at] += 1
    with pytest.raises(SegmentError, match="writer died"):
        page.totals()


@given(st.integers(0, 2 ** 40))
def test_a_value_lies_within_1_6_percent_of_its_buckets_middle(value):
    middle = bucket_midpoints()[index_of(value)]
    if value < 2 ** 37:
        assert abs(middle - value) <= max(value / 64, 0.5)


def test_percentiles_of_known_values():
    counts = np.zeros(2048, np.uint64)
    for v in range(1, 61):
        counts[index_of(v)] += 1
    s = summarise(counts, 60)
    assert (s["n"], s["p50_ns"], s["p90_ns"], s["max_ns"]) == (60, 30.0, 54.0, 60.0)
    assert summarise(np.zeros(2048), 0) == {"n": 0, "p50_ns": None, "p90_ns": None, "p99_ns": None, "p999_ns": None, "max_ns": None}


def test_shared_memory_package_gives_outsiders_their_names():
    done = subprocess.run([sys.executable, "-c", "from tickpath.shm import EventReader, StatePage; from tickpath.market import "
                           "OrderBook; from tickpath.signals import indicators; from tickpath.trading import Strategy"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
