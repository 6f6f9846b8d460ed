"""The offset of a venue's clock: from questions whose way took its time, from the least lag of a stream, and through the page."""
import time

import pytest

from tickpathd.clock_page import CLOCKS_BYTES, REST, STREAM, name_venues, read_clocks, write_clock
from tickpathd.venue_clock import PROBE_ERRORS, TIME_PATHS, LagWindow, Offset, OffsetWindow, is_beyond, probe, verdict

MS = 1_000_000
BODIES = {
    "binance_spot": '{{"serverTime":{ms}}}', "binance_usdm": '{{"serverTime":{ms}}}',
    "coinbase": '{{"iso":"x","epochSeconds":"{s}","epochMillis":"{ms}"}}',
    "kraken": '{{"error":[],"result":{{"unixtime":{s},"rfc1123":"x"}}}}',
    "okx": '{{"code":"0","msg":"","data":[{{"ts":"{ms}"}}]}}',
    "bybit": '{{"retCode":0,"result":{{"timeSecond":"{s}","timeNano":"{ns}"}}}}',
}


class Venue:
    """Answers after `there_s` with its clock at that moment, and the answer takes `back_s`."""

    def __init__(self, kind, offset_s, there_s=0.0, back_s=0.0, status=200, body=None):
        self.kind, self.offset_s, self.there_s, self.back_s, self.status, self.body = kind, offset_s, there_s, back_s, status, body

    def get(self, path):
        assert path == TIME_PATHS[self.kind][0]
        time.sleep(self.there_s)
        ns = time.time_ns() + int(self.offset_s * 1e9)
        time.sleep(self.back_s)
        body = self.body or BODIES[self.kind].format(ns=ns, ms=ns // MS, s=ns // 10 ** 9)
        return self.status, {}, body.encode()


@pytest.mark.parametrize("kind", sorted(TIME_PATHS))
def test_offset_lies_within_its_uncertainty_whatever_way_the_time_is_written(kind):
    found, trip_ns = probe(Venue(kind, 1.5, 0.004, 0.004), kind)
    assert abs(found.offset_ns - 1_500_000_000) <= found.uncertainty_ns and trip_ns >= 8 * MS
    assert not found.at_least and (found.uncertainty_ns > 500 * MS) == (kind == "kraken")


def test_way_that_is_all_on_one_side_still_lies_within_the_uncertainty():
    for there_s, back_s in ((0.02, 0), (0, 0.02)):
        found, _ = probe(Venue("bybit", -0.3, there_s, back_s), "bybit")
        assert abs(found.offset_ns + 300 * MS) <= found.uncertainty_ns


@pytest.mark.parametrize("body, status", [('{"serverTime":"soon"}', 200), ("[]", 200), ("no", 200), ("{}", 503)])
def test_answer_without_a_time_is_an_error_that_names_the_path(body, status):
    with pytest.raises(PROBE_ERRORS, match="/api/v3/time: expected"):
        probe(Venue("binance_spot", 0, status=status, body=body), "binance_spot")


def test_quickest_question_counts_and_an_older_one_counts_less():
    window = OffsetWindow()
    window.add(Offset(10 * MS, 8 * MS), 0.0)
    window.add(Offset(4 * MS, 1 * MS), 1.0)
    window.add(Offset(2 * MS, 3 * MS), 2.0)
    assert window.best(2.0).offset_ns == 4 * MS
    assert window.best(60.0).uncertainty_ns > 3 * MS, "expected what a clock may drift to be added"


def test_clock_that_was_set_makes_older_answers_worthless():
    window = OffsetWindow()
    for n in range(5):
        window.add(Offset(0, MS // 10), float(n))
    window.add(Offset(2000 * MS, 5 * MS), 6.0)
    assert window.best(6.0) == Offset(2000 * MS, 5 * MS)
    assert OffsetWindow().best(0.0) is None


def test_least_lag_is_that_of_the_window_and_its_memory_is_bounded():
    window = LagWindow(window_s=12.0)
    window.add(5, 0.0)
    for n in range(1, 1000):
        window.add(50 + n % 7, n / 10)
    assert window.least(11.0) == 50 and window.least(99.9) == 50 and len(window.pieces) <= 13
    assert window.least(1000.0) is None
    window.add(-3, 1000.0)
    assert window.least(1000.0) == -3


@pytest.mark.parametrize("offset, beyond", [
    (None, False), (Offset(1001 * MS, 0), True), (Offset(-1001 * MS, 0), True), (Offset(1001 * MS, 2 * MS), False),
    (Offset(999 * MS, 0), False), (Offset(1001 * MS, 0, True), True), (Offset(-5000 * MS, 0, True), False)])
def test_only_what_is_certain_is_beyond_the_limit(offset, beyond):
    assert is_beyond(offset, 1000) is beyond


def test_answer_decides_over_a_stream_which_is_a_bound_alone():
    assert verdict(Offset(5, 1), 400) == Offset(5, 1)
    assert verdict(None, 400) == Offset(-400, 0, True) and verdict(None, None) is None


def test_page_gives_each_venue_what_its_two_writers_wrote():
    page = bytearray(CLOCKS_BYTES)
    name_venues(memoryview(page), ["a", "quiet", "b"])
    write_clock(page, 0, STREAM, 7 * MS)
    write_clock(page, 2, STREAM, -3 * MS)
    write_clock(page, 2, REST, -1500 * MS, 2 * MS)
    rows = [row.as_dict() for row in read_clocks(page)]
    assert rows == [
        {"venue": "a", "source": "stream", "offset_ms": -7.0, "uncertainty_ms": None, "at_least": True, "stream_lag_ms": 7.0},
        {"venue": "b", "source": "rest", "offset_ms": -1500.0, "uncertainty_ms": 2.0, "at_least": False, "stream_lag_ms": -3.0}]


def test_half_written_block_is_no_estimate_and_its_next_writer_mends_it():
    page = bytearray(CLOCKS_BYTES)
    name_venues(memoryview(page), ["a"])
    write_clock(page, 0, REST, MS)
    page[128 + 64] |= 1                    # a writer that was killed in the middle
    assert read_clocks(page) == []
    write_clock(page, 0, REST, 2 * MS)
    assert read_clocks(page)[0].offset.offset_ns == 2 * MS
