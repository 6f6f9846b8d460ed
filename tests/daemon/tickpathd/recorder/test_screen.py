"""What the command shows while it records."""
import io

import pytest
from rich.console import Console

from tickpathd import render
from tickpathd.recorder import screen

ROW = {"frames": 1200, "state": "GOOD", "paused": None, "bytes_raw": 5000, "bytes_stored": 1500, "dropped": 0, "accuracy": 0.5,
       "gaps": 2, "errors": 1, "reconnects": 0, "age_ms": 12.3}


def test_file_gets_a_line_for_each_feed_now_and_then(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=60)
    with screen.Screen(console) as view:
        for second in range(21):
            now[0] = 100.0 + second
            view.refresh({"kraken": {**ROW, "frames": 100 * second}})
    lines = console.file.getvalue().splitlines()
    assert lines[0] == ("kraken: GOOD frames=1000 per_s=100 bytes_raw=5000 bytes_stored=1500 dropped=0 accuracy=50.000 % gaps=2 "
                        "errors=1 age=12 ms")
    assert len(lines) == 2


def test_terminal_gets_one_table_that_says_when_the_disk_is_full():
    console = Console(file=io.StringIO(), force_terminal=True, width=150)
    with screen.Screen(console) as view:
        view.refresh({"kraken": {**ROW, "paused": "No space left on device"}})
        view.live.refresh()
    text = console.file.getvalue()
    assert "PAUSED: No space left on device" in text and "kraken" in text and "50.000 %" in text


@pytest.mark.parametrize("width, cut", [(80, False), (200, False), (40, True)])
def test_table_fits_a_terminal_of_eighty_columns(width, cut):
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    row = {**ROW, "frames": 12_345_678, "bytes_raw": 1 << 34, "bytes_stored": 1 << 33, "age_ms": 9_999.0, "state": "10/64 GOOD"}
    console.print(render.recording_table({"binance": row}, {"binance": 25_000.0}, width))
    console.print(render.recording_table({"binance": row}, None, width))
    text = console.file.getvalue()
    assert ("…" in text) is cut


def test_nothing_is_shown_where_json_was_asked_for():
    with screen.Screen(None) as view:
        view.refresh({"kraken": ROW})
