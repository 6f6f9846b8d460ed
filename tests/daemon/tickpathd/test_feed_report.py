"""How good a feed is: what counts as a message, what as good, and when the operator is told."""
import io

import pytest
from rich.console import Console

from tickpathd import render
from tickpathd.feed_report import AccuracyWatch, accuracy_text, feed_rows

INFO = {"venues": ["a", "b", "empty"], "instrument_venues": [0, 1, 0]}
TOTALS = {"now_ns": 5_000_000_000, "venue_frames": [100, 50, 0], "venue_errors": [2, 0, 0], "venue_gaps": [1, 0, 0],
          "venue_losses": [3, 0, 0]}


def instrument(messages, good, ts_recv_ns, state=1):
    return {"messages": messages, "good_messages": good, "ts_recv_ns": ts_recv_ns, "book_state": state}


def row(good, messages, errors=0):
    return {"messages": messages, "good": good, "errors": errors, "accuracy": good / (messages + errors)}


def test_rows_add_up_the_instruments_of_each_venue():
    rows = feed_rows(INFO, TOTALS, [instrument(60, 59, 4_000_000_000), instrument(40, 40, 4_990_000_000, 2),
                                    instrument(30, 30, 4_500_000_000, 2)])
    assert list(rows) == ["a", "b", "empty"]
    assert rows["a"] == {"frames": 100, "errors": 2, "messages": 90, "good": 89, "accuracy": 89 / 92, "gaps": 1, "reconnects": 3,
                         "age_ms": 500.0, "state": rows["a"]["state"]}
    assert rows["a"]["state"].endswith("/2 GOOD") and rows["b"]["age_ms"] == 10.0 and rows["b"]["accuracy"] == 1.0
    assert (rows["empty"]["accuracy"], rows["empty"]["age_ms"], rows["empty"]["state"]) == (None, None, "-")


@pytest.mark.parametrize("accuracy, text", [(None, "-"), (1.0, "100.000 %"), (0.999, "99.900 %"), (0.9989999, "99.899 %"),
                                            (0.99999999, "99.999 %"), (0.5, "50.000 %"), (0.0, "0.000 %")])
def test_accuracy_is_never_rounded_up(accuracy, text):
    assert accuracy_text(accuracy) == text


def test_operator_is_told_once_of_each_change():
    watch, said = AccuracyWatch(), []
    for good, messages in ((999, 1000), (998, 1000), (1997, 2000), (9990, 10_000), (9991, 10_000), (9993, 10_000), (9999, 10_000),
                           (9000, 10_000)):
        said.append(watch.look({"v": row(good, messages)}))
    assert [len(lines) for lines in said] == [0, 1, 0, 0, 0, 1, 0, 1]
    assert said[1] == ["warning: v: expected at least 99.900 % good messages, found 99.800 % of 1,000"]
    assert said[5] == ["v: 99.930 % of 10,000 messages are good again"]


def test_few_messages_are_judged_only_at_the_end():
    watch = AccuracyWatch()
    assert watch.look({"v": row(9, 10)}) == []
    assert len(watch.look({"v": row(9, 10)}, at_end=True)) == 1
    assert AccuracyWatch().look({"v": row(0, 0, 3)}, at_end=True) != []
    assert AccuracyWatch().look({"v": {"messages": 0, "errors": 0, "accuracy": None}}, at_end=True) == []


def test_table_shows_a_low_accuracy_in_red():
    def shown(accuracy):
        console = Console(file=io.StringIO(), force_terminal=True, width=150, color_system="standard")
        console.print(render.feeds_table({"v": {"frames": 1, "errors": 0, "messages": 1, "gaps": 0, "reconnects": 0, "age_ms": 1.0,
                                                "state": "GOOD", "accuracy": accuracy}}))
        return console.file.getvalue()
    assert "\x1b[1;31m99.899 %" in shown(0.998995) and "\x1b[1;31m" not in shown(0.999)
