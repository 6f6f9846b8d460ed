"""The configuration as a library: layers, origins of errors, round trip, schema.

What the command says to a bad one is in tests/faults/test_bad_config.py.
"""
import json
import tomllib

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tickpathd.config import (
    Config,
    ConfigError,
    apply_overrides,
    config_from_json,
    config_to_json,
    load_config,
    not_enforced,
    schema_rows,
)

MINIMAL = """
[venues.binance]
kind = "capture:x.gz"
[[instruments]]
venue = "binance"
symbol = "BTC/USDT"
venue_symbol = "BTCUSDT"
tick_size = "0.01"
lot_size = "0.00001"
[[strategies]]
name = "A"
kind = "market_maker"
instrument = "binance:BTC/USDT"
[strategies.parameters]
whole = 1
real = 1.0
text = "t"
flag = true
"""


@pytest.fixture
def written(tmp_path):
    def write(text, name="c.toml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path
    return write


@pytest.fixture
def minimal(written):
    return written(MINIMAL)


def load(*paths, overrides=(), env=None, live=False):
    return load_config(paths, overrides, env or {}, live)


def refusal(*paths, **options):
    with pytest.raises(ConfigError) as caught:
        load(*paths, **options)
    return str(caught.value)


def test_limits_have_the_defaults_that_the_contract_promises(minimal):
    limits = tomllib.loads("""
        [account]
        max_position_usd = 100000.0
        max_portfolio_concentration = 0.25
        max_leverage = 3.0
        max_order_size_usd = 10000.0
        max_order_rate_per_min = 60
        max_drawdown_pct = 0.10
        monthly_drawdown_pct = 0.15
        max_total_position_pct = 0.95
        daily_loss_pct = 0.05
        var_limit_1d_95 = 5000.0
        var_limit_1d_99 = 7500.0
        var_max_age_s = 300
        margin_buffer = 0.20
        margin_call_threshold = 0.05
        [strategy]
        max_position_pct = 0.02
        max_leverage = 2.0
        max_consecutive_losses = 5
        min_rolling_sharpe = 1.0
        max_trades_per_day = 200
        [instrument]
        max_position_pct = 0.05
        max_pct_of_daily_volume = 0.10
        max_daily_volatility_pct = 0.50
        stop_loss_pct = 0.02
        take_profit_pct = 0.06
        """)
    shown = json.loads(config_to_json(load(minimal)))["limits"]
    for section, keys in limits.items():
        assert {key: shown[section][key] for key in keys} == keys
    assert shown["max_data_age_ms"] == 2000


def test_sections_of_several_files_are_merged_key_by_key(minimal, written):
    more = written("[venues.binance]\npace = 'fast'\n[limits.account]\ndaily_loss_pct = 0.01\n", "more.toml")
    config = load(minimal, more)
    assert (config.venues["binance"].kind, config.venues["binance"].pace) == ("capture:x.gz", "fast")
    assert config.limits.account.daily_loss_pct == 0.01
    assert len(config.strategies) == 1


def test_list_of_a_later_file_replaces_the_earlier_one(minimal, written):
    assert load(minimal, written("strategies = []\n", "more.toml")).strategies == []


def test_settings_are_toml_values_or_else_text(minimal):
    config = load(minimal, overrides=["storage.dir=var/state dir", 'venues.binance.pace="fast"', "paper.seed=1_000",
                                      "latency.stamps=false", "venues.binance.kind=capture:a=b.gz",
                                      'strategies.0.parameters.list_of="[1]"'])
    assert config.storage.dir == "var/state dir"
    assert config.venues["binance"].pace == "fast"
    assert config.venues["binance"].kind == "capture:a=b.gz"
    assert (config.paper.seed, config.latency.stamps) == (1000, False)
    assert config.strategies[0].parameters["list_of"] == "[1]"


def test_environment_names_sections_in_any_case(minimal):
    assert load(minimal, env={"TICKPATH__LIMITS__ACCOUNT__MAX_LEVERAGE": "1.5", "TICKPATH_DATA": "/x", "PATH": "/bin"}) \
        .limits.account.max_leverage == 1.5


def test_process_environment_is_the_default(minimal, monkeypatch):
    monkeypatch.setenv("TICKPATH__PAPER__SEED", "77")
    assert load_config([minimal]).paper.seed == 77


@pytest.mark.parametrize("file, env, overrides, where", [
    ("paper.seed = -1", {}, (), "second.toml"), ("", {"TICKPATH__PAPER__SEED": "-1"}, (), "environment TICKPATH__PAPER__SEED"),
    ("", {}, ("paper.seed=-1",), "--set"), ("paper.seed = -1", {"TICKPATH__PAPER__SEED": "-2"}, ("paper.seed=-3",), "--set"),
])
def test_error_names_the_layer_that_set_the_value(minimal, written, file, env, overrides, where):
    second = written(file, "second.toml")
    third = written("[signals]\nema_fast = 3\n", "third.toml")
    text = refusal(minimal, second, third, env=env, overrides=overrides)
    assert text.removeprefix(f"{second.parent}/").startswith(f"{where}: $.paper.seed: expected ")


def test_unknown_key_is_charged_to_the_file_that_holds_it(minimal, written):
    first = written("[limits.acount]\nmax_leverage = 1.0\n", "first.toml")
    text = refusal(first, minimal)
    assert text.startswith(f"{first}: $.limits.acount: expected a known key (did you mean 'account'?), one of [")
    assert text.endswith("found 'acount'")


def test_wrong_type_inside_a_list_is_charged_to_the_option_that_set_it(minimal):
    text = refusal(minimal, overrides=["instruments.0.book_window_ticks=big"])
    assert text.startswith("--set: $.instruments[0].book_window_ticks: ")
    assert refusal(minimal, overrides=["instruments.0.book_window_ticks=5000"]) == (
        "--set: $.instruments[0].book_window_ticks: expected a power of two from 4096 to 1048576, found 5000")


@pytest.mark.parametrize("name, text", [
    ("a.json", '{"limits": {"account": {"max_leverage": 1.0, "max_leverage": 9.0}}}'),
    ("a.yaml", "limits:\n  account:\n    max_leverage: 1.0\n    max_leverage: 9.0\n"),
    ("a.toml", "[limits.account]\nmax_leverage = 1.0\nmax_leverage = 9.0\n"),
])
def test_key_given_twice_is_refused_in_every_format(written, name, text):
    path = written(text, name)
    assert refusal(path).startswith(f"{path}: expected ")


def test_yaml_anchors_and_merge_keys_work(minimal, written):
    more = written("limits:\n  strategy: &s {max_leverage: 1.5}\n  account: {<<: *s, max_order_size_usd: 5}\n", "more.yaml")
    config = load(minimal, more)
    assert (config.limits.account.max_leverage, config.limits.strategy.max_leverage) == (1.5, 1.5)
    assert yaml.safe_load(more.read_text())["limits"]["account"]["max_order_size_usd"] == config.limits.account.max_order_size_usd


def test_strategy_path_is_relative_to_its_file(written, tmp_path):
    path = written(MINIMAL + "[instance]\nstrategy_path = ['../examples', '/abs']\n", "config/c.toml")
    assert load(path).instance.strategy_path == [str(tmp_path / "examples"), "/abs"]


def test_configuration_cannot_be_changed_once_loaded(minimal):
    config = load(minimal)
    with pytest.raises(AttributeError):
        config.limits.account.max_leverage = 100.0


def test_json_round_trip_is_exact_and_canonical(minimal):
    config = load(minimal, overrides=["limits.account.max_leverage=0.1", "signals.bar_interval_s=0.30000000000000004"])
    data = config_to_json(config)
    again = config_from_json(data)
    assert again == config
    assert config_to_json(again) == data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode()
    parameters = again.strategies[0].parameters
    assert parameters == {"whole": 1, "real": 1.0, "text": "t", "flag": True}
    assert [type(parameters[k]) for k in ("whole", "real", "text", "flag")] == [int, float, str, bool]


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.integers(-2 ** 53, 2 ** 53) | st.booleans() | st.text(max_size=8)
                       | st.floats(allow_nan=False, allow_infinity=False), max_size=5))
def test_any_strategy_parameters_survive_the_round_trip(parameters):
    tree = tomllib.loads(MINIMAL)
    tree["strategies"][0]["parameters"] = parameters
    config = msgspec.convert(tree, Config)
    # As run_dir does it: through the standard json module and back.
    again = config_from_json(json.dumps(json.loads(config_to_json(config)), sort_keys=True, indent=1).encode())
    assert again == config
    assert {k: type(v) for k, v in again.strategies[0].parameters.items()} == {k: type(v) for k, v in parameters.items()}


def test_json_that_is_no_configuration_is_refused():
    for data in (b"{", b"[]", b'{"limits":{"acount":{}}}', b'{"instance":{"mode":"never"}}'):
        with pytest.raises(ConfigError, match="^configuration: "):
            config_from_json(data)


def test_overrides_apply_to_a_loaded_configuration_and_leave_it_alone(minimal):
    config = load(minimal)
    changed = apply_overrides(config, ["limits.account.max_order_size_usd=5", "strategies.0.parameters.whole=3"])
    assert (changed.limits.account.max_order_size_usd, changed.strategies[0].parameters["whole"]) == (5.0, 3)
    assert (config.limits.account.max_order_size_usd, config.strategies[0].parameters["whole"]) == (10000.0, 1)
    with pytest.raises(ConfigError, match=r"^--set: \$\.limits\.account\.max_order_size_usd: expected a positive number"):
        apply_overrides(config, ["limits.account.max_order_size_usd=-1"])


def test_nothing_is_reported_as_ignored_when_only_enforced_limits_are_set(minimal):
    config = load(minimal, overrides=[
        "limits.account.max_position_usd=1", "limits.account.max_order_size_usd=1", "limits.account.max_order_rate_per_min=1",
        'limits.instrument.max_order_qty="1"', "limits.instrument.max_open_orders=1", "limits.instrument.price_collar_bps=1",
        "limits.max_data_age_ms=1", "limits.account.daily_loss_pct=0.05"])
    assert not_enforced(config) == []


def test_every_other_limit_that_was_set_is_reported_as_ignored(minimal):
    enforced = {"limits.account.max_position_usd", "limits.account.max_order_size_usd", "limits.account.max_order_rate_per_min",
                "limits.instrument.max_order_qty", "limits.instrument.max_open_orders", "limits.instrument.price_collar_bps",
                "limits.max_data_age_ms", *(f"limits.instrument.{k}" for k in (
                    "max_spread_bps", "max_jump_bps", "jump_hold_ms", "max_crossed_ms"))}
    others = [row[0] for row in schema_rows() if row[0].startswith("limits.") and row[0] not in enforced]
    assert len(others) == 21
    for key in others:
        value = 7 if key.endswith(("losses", "per_day")) else 0.9375
        assert not_enforced(load(minimal, overrides=[f"{key}={value}"])) == [key]


def test_model_and_execution_of_a_strategy_are_reported_as_ignored(minimal):
    config = load(minimal, overrides=["strategies.0.model.path=m.onnx", "strategies.0.execution.timeout_s=5"])
    assert not_enforced(config) == ["strategies[0].model", "strategies[0].execution"]


def test_schema_explains_every_key_with_the_default_that_loading_gives(minimal):
    rows = schema_rows()
    keys = [row[0] for row in rows]
    assert len(keys) == len(set(keys))
    for key, kind, _unit, default, meaning in rows:
        assert kind and meaning, key
        if default != "required" and "<name>" not in key and "[]" not in key:
            value = load(minimal)
            for part in key.split("."):
                value = getattr(value, part)
            assert value == default, key
    assert {"instance.name", "venues.<name>.kind", "instruments[].tick_size", "strategies[].parameters",
            "limits.account.max_leverage", "latency.stamps"} <= set(keys)
    assert [row[3] for row in rows if row[0] == "venues.<name>.kind"] == ["required"]
    units = {row[0]: row[2] for row in rows}
    assert units["limits.account.max_position_usd"] == "USD"
    assert units["limits.max_data_age_ms"] == "ms"


def test_venues_with_their_instruments_are_asked_for(minimal, written):
    assert "$.venues: expected 1 to 16 venues, found []" in refusal(written("", "empty.toml"))
    assert "$.venues: expected at most one capture" in refusal(minimal, overrides=["venues.kraken.kind=capture:y"])
    text = refusal(minimal, overrides=["instruments.0.venue=kraken"])
    assert text == "--set: $.instruments[0].venue: expected one of ['binance'], found 'kraken'"


@pytest.mark.parametrize("kind, text", [
    ("ccxt:", "expected an exchange as ccxt names it behind ccxt:, such as ccxt:bitstamp, found 'ccxt:'"),
    ("ccxt:Gate.io", "expected an exchange as ccxt names it behind ccxt:"),
    ("nasdaq", "expected one of ['binance_spot', 'binance_usdm', 'coinbase', 'kraken', 'okx', 'bybit', 'ccxt:<exchange id>', "
               "'capture:<path>'], found 'nasdaq'"),
    ("coinbse", "'capture:<path>'] (did you mean ['coinbase']?), found 'coinbse'"),
])
def test_venue_that_this_version_cannot_trade_is_refused_with_what_it_can(minimal, kind, text):
    found = refusal(minimal, overrides=[f"venues.binance.kind={kind}"])
    assert found.startswith("--set: $.venues.binance.kind: expected ") and text in found


@pytest.mark.parametrize("key, value, text", [
    ("ws_url", "http://127.0.0.1:1", "expected a URL that begins with wss:// (or ws:// on loopback)"),
    ("ws_url", "ws://stream.binance.com:9443", "expected wss:// (plain ws:// is for loopback only)"),
    ("rest_url", "ftp://x", "expected a URL that begins with https:// (or http:// on loopback)"),
    ("redundancy", "3", "expected 1 to 2"), ("depth", "0", "expected 1 to 10000"), ("channels", '["candles"]', "expected one of"),
    ("reconnect_min_ms", "0", "expected 1 to 60000"), ("failover", "polls", "expected none, rest or ccxt:<exchange id>"),
    ("failover_after_ms", "10", "expected 100 to 600000"), ("poll_interval_ms", "0", "expected 20 to 600000"),
    ("transport", "fix", "expected one of ['auto', 'ws', 'rest']"),
    ("instruments_refresh_s", "-1.0", "expected 0 to 86400"),
    ("channels", '["l3"]', "expected l3 for kraken and coinbase only"),
])
def test_setting_of_a_live_venue_that_makes_no_sense_is_refused(minimal, key, value, text):
    found = refusal(minimal, overrides=["venues.binance.kind=binance_spot", f"venues.binance.{key}={value}"])
    assert f"$.venues.binance.{key}: {text}" in found


def test_only_a_venue_with_a_stream_of_its_own_has_a_failover(minimal):
    text = "$.venues.binance.failover: expected none (only a venue with a stream of its own"
    assert text in refusal(minimal, overrides=["venues.binance.kind=ccxt:gate", "venues.binance.failover=rest"])
    assert text in refusal(minimal, overrides=["venues.binance.failover=rest"])
    config = load(minimal, overrides=["venues.binance.kind=okx", "venues.binance.failover=ccxt:okx"])
    assert (config.venues["binance"].failover_after_ms, config.venues["binance"].failover_trading) == (3000, False)


def test_ccxt_venue_offers_candles_and_takes_options(minimal):
    config = load(minimal, overrides=["venues.binance.kind=ccxt:gate", 'venues.binance.channels=["book","candles"]',
                                      "venues.binance.ccxt_options.defaultType=spot"])
    assert config.venues["binance"].ccxt_options == {"defaultType": "spot"}


@pytest.mark.parametrize("key, value, text", [
    ("channels", '["l3","book"]', "expected book or l3, which makes the same book from single orders, not both"),
    ("l3_orders", "1000", "expected a power of two from 1024 to 16777216"),
    ("credentials", "", "expected env:NAME or file:PATH: the venue sends l3 to signed subscriptions only, found 'nothing'"),
    ("credentials", "s3cret", "found 'another text'"),
])
def test_order_by_order_feed_wants_room_credentials_and_no_levels_beside_it(minimal, key, value, text):
    common = ["venues.binance.kind=kraken", 'venues.binance.channels=["l3","trades"]', "venues.binance.credentials=file:x"]
    assert load(minimal, overrides=common).venues["binance"].l3_orders == 65536
    found = refusal(minimal, overrides=[*common, f"venues.binance.{key}={value}"])
    assert f"$.venues.binance.{key}: " in found and text in found and "s3cret" not in found


def test_symbol_of_a_live_venue_needs_no_instrument_entry(minimal):
    config = load(minimal, overrides=["venues.binance.kind=binance_spot", 'venues.binance.symbols=["BTC/USDT","ETH/USDT"]'])
    assert config.venues["binance"].symbols == ["BTC/USDT", "ETH/USDT"]
