"""The bars of [signals]: what is taken, what is refused, and what the engine is told."""
import re

import pytest

from tickpath.engine import Engine
from tickpath.shm.ring import EventWriter
from tickpathd.config import ConfigError, load_config
from tickpathd.engine_spec import engine_spec

MINIMAL = """
[venues.binance]
kind = "capture:x.gz"
[[instruments]]
venue = "binance"
symbol = "BTC/USDT"
venue_symbol = "BTCUSDT"
tick_size = "0.01"
lot_size = "0.00001"
"""


@pytest.fixture
def load(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(MINIMAL)
    return lambda *overrides: load_config([path], overrides=list(overrides), env={})


def test_every_kind_of_bars_reaches_the_engine_in_the_order_given(load):
    texts = ["5m", "1s", "1d@8h", "tick:100", "volume:12.5", "dollar:1000000"]
    config = load(f"signals.bars={texts}".replace("'", '"'), "signals.bar_grace_ms=0.5", "signals.bar_late_rule=drop",
                  "signals.empty_bars=true")
    spec = engine_spec(config, epoch=1)
    assert (spec["bars"], spec["bar_grace_ns"], spec["bar_late_rule"], spec["empty_bars"]) == (texts, 500_000, "drop", True)
    assert spec["empty_bars_max"] == 262144 // 16 // 6
    assert Engine(spec, EventWriter.local(1 << 10)).bar_specs == tuple(texts)


@pytest.mark.parametrize(("seconds", "text"), [(1.0, "1s"), (60.0, "1m"), (0.25, "250ms"), (90.0, "90s"), (86400.0, "1d")])
def test_the_one_interval_of_old_still_makes_the_engines_bars(load, seconds, text):
    spec = engine_spec(load(f"signals.bar_interval_s={seconds}"), epoch=1)
    assert spec["bars"] == [] and spec["empty_bars_max"] == 10080
    assert Engine(spec, EventWriter.local(1 << 10)).bar_specs == (text,)


@pytest.mark.parametrize(("setting", "message"), [
    ('signals.bars=["1s","1x"]', "signals.bars[1]: expected an interval (1s"),
    ('signals.bars=["tick:0"]', "signals.bars[0]: expected a positive whole number behind the colon, found 'tick:0'"),
    ('signals.bars=["1s","1000ms"]', "signals.bars[1]: expected bars unlike '1s', found '1000ms'"),
    ('signals.bars=["10us"]', "signals.bars[0]: expected an interval of at least 1ms, found '10us'"),
    ('signals.bars=["dollar:100000000000000000000000000"]', "signals.bars[0]: expected at most 31 characters"),
    (f"signals.bars={[f'{n}s' for n in range(1, 18)]}".replace("'", '"'), "signals.bars: expected at most 16 specifications, found 17"),
    ("signals.bar_grace_ms=-1", "signals.bar_grace_ms: expected 0 to 60000, found -1"),
    ("signals.bar_grace_ms=nan", "signals.bar_grace_ms: expected 0 to 60000, found nan"),
    ("signals.bar_late_rule=keep", "signals.bar_late_rule: expected one of ['add', 'drop'], found 'keep'")])
def test_bars_that_make_no_sense_are_refused_by_name(load, setting, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(setting)
