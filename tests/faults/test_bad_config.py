"""Configurations that cannot be used: one line that says where, what was expected and what was found."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from forked_cli import tickpath

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "config" / "paper-demo.toml"
DONE, FAILED, USAGE = 0, 1, 2


def tree(**changes):
    """The demo's configuration with dotted keys replaced."""
    data = tomllib.loads(DEMO.read_text())
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = data
        for key in parents:
            node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
        node[int(last) if isinstance(node, list) else last] = value
    return data


def written(tmp_path, data):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(data))
    return path


def refused(result, *parts, codes=(USAGE,)):
    """One line on stderr that holds all parts, nothing on stdout, one of the exit codes."""
    assert result.returncode in codes, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("tickpath") and "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for part in parts:
        assert part in result.stderr, result.stderr


@pytest.mark.parametrize(
    "path, name, near",
    [
        ("instence", "instence", "instance"),
        ("instance__mod", "mod", "mode"),
        ("venues__binance__pase", "pase", "pace"),
        ("instruments__0__tick_sise", "tick_sise", "tick_size"),
        ("limits__acount", "acount", "account"),
        ("limits__account__max_position_us", "max_position_us", "max_position_usd"),
        ("limits__instrument__price_colar_bps", "price_colar_bps", "price_collar_bps"),
        ("strategies__0__parametres", "parametres", "parameters"),
        ("strategies__1__execution__order_typ", "order_typ", "order_type"),
        ("strategies__0__model__pth", "pth", "path"),
        ("storage__ring_slot", "ring_slot", "ring_slots"),
        ("latency__stamp", "stamp", "stamps"),
    ],
)
def test_unknown_key_is_refused_with_its_path_and_the_nearest_key(tmp_path, path, name, near):
    file = written(tmp_path, tree(**{path: {} if name == "acount" else 1}))
    refused(tickpath("config", "check", "-c", file), str(file), "$", name, f"did you mean '{near}'")


def test_unknown_key_deep_down_names_every_section_above_it(tmp_path):
    file = written(tmp_path, tree(limits__account__max_position_us=1))
    refused(tickpath("config", "check", "-c", file), "$.limits.account.max_position_us: expected")
    file = written(tmp_path, tree(instruments__0__tick_sise="1"))
    refused(tickpath("config", "check", "-c", file), "$.instruments[", "tick_sise")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1.0", "0.0"])
@pytest.mark.parametrize(
    "key",
    [
        "limits.account.max_position_usd",
        "limits.account.max_order_size_usd",
        "limits.instrument.price_collar_bps",
        "limits.account.daily_loss_pct",
        "paper.order_latency_us",
        "signals.bar_interval_s",
        "storage.fsync_interval_ms",
    ],
)
def test_limit_that_is_not_a_positive_number_is_refused(key, value):
    refused(
        tickpath("config", "check", "-c", DEMO, "--set", f"{key}={value}"),
        f"$.{key}",
        "positive number",
        value.removesuffix(".0"),
    )


@pytest.mark.parametrize(
    "key",
    [
        "limits.account.max_order_rate_per_min",
        "limits.instrument.max_open_orders",
        "limits.max_data_age_ms",
        "signals.ema_fast",
        "signals.imbalance_levels",
    ],
)
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "true", '"5"'])
def test_count_that_is_not_a_positive_integer_is_refused(key, value):
    refused(tickpath("config", "check", "-c", DEMO, "--set", f"{key}={value}"), f"$.{key}")


@pytest.mark.parametrize(
    "key",
    [
        "limits.account.daily_loss_pct",
        "limits.account.max_drawdown_pct",
        "limits.instrument.stop_loss_pct",
        "limits.strategy.max_position_pct",
        "limits.account.max_portfolio_concentration",
        "limits.account.margin_buffer",
    ],
)
def test_percentage_above_one_is_refused_as_a_fraction(key):
    refused(tickpath("config", "check", "-c", DEMO, "--set", f"{key}=5.0"), f"$.{key}", "fraction", "5.0")


@pytest.mark.parametrize(
    "key, value, expected",
    [
        ("limits.account.max_position_usd", '"much"', "float"),
        ("instance.name", "7", "str"),
        ("instance.name", '"Bad Name"', "a-z"),
        ("latency.stamps", "1", "bool"),
        ("venues", "[]", "object"),
        ("strategies", '"none"', "array"),
        ("instance.mode", '"paperr"', "one of"),
        ("instruments.0.tick_size", "0.01", "str"),
        ("instruments.0.tick_size", '"abc"', "decimal"),
        ("instruments.0.tick_size", '"NaN"', "decimal"),
        ("instruments.0.lot_size", '"0"', "decimal"),
        ("instruments.0.order_qty_step", '"0.0000015"', "multiple"),
        ("instruments.0.book_window_ticks", "5000", "power of two"),
        ("instruments.0.venue_symbol", '"ABCDEFGHIJKLMNOPQRSTUVWXY"', "24 bytes"),
        ("storage.ring_slots", "100000", "power of two"),
        ("instance.core", "-2", "processor"),
        ("instance.seed", "-1", "2^32"),
        ("paper.reject_probability", "1.5", "0 to 1"),
        ("paper.reject_probability", "nan", "0 to 1"),
        ("paper.queue_model", '"fifo"', "one of"),
        ("paper.queue_power", "0", "above 0"),
        ("paper.latency_model", '"drawn"', "a file of samples"),
        ("paper.latency_file", '"x.csv"', "interpolated or drawn"),
        ("paper.latency_jitter_us", "-1", "0 to"),
        ("paper.market_slippage_bps", "nan", "0 to"),
        ("paper.impact_bps", "inf", "0 to"),
        ("paper.impact_half_life_ms", "0", "0.001 to"),
        ("limits.instrument.max_order_qty", '"inf"', "decimal"),
        ("venues.binance.pace", '"slow"', "one of"),
        ("venues.binance.capture_protocol", '"nasdaq"', "one of"),
        ("venues.binance.kind", '"capture:"', "path"),
        ("strategies.0.instrument", '"binance:BTC/USDX"', "BTC/USDT"),
        ("strategies.0.parameters.order_qty_lots", "nan", "finite"),
        ("strategies.9.name", '"x"', "index"),
    ],
)
def test_value_of_a_wrong_type_or_range_is_refused_with_what_was_expected(key, value, expected):
    refused(tickpath("config", "check", "-c", DEMO, "--set", f"{key}={value}"), expected)


def test_symbol_without_an_instrument_entry_is_refused(tmp_path):
    file = written(tmp_path, tree(venues__binance__symbols=["BTC/USDT", "ETH/USDT"]))
    refused(tickpath("config", "check", "-c", file), "$.venues.binance.symbols", "ETH/USDT", "instruments")
    refused(tickpath("config", "check", "-c", written(tmp_path, tree(instruments=[]))), "$.instruments")


def test_missing_required_key_is_named(tmp_path):
    data = tree()
    del data["instruments"][0]["tick_size"]
    refused(tickpath("config", "check", "-c", written(tmp_path, data)), "tick_size", "expected a value")


def test_setting_without_a_value_is_refused():
    refused(tickpath("config", "check", "-c", DEMO, "--set", "instance.name"), "--set", "a.b=c")


def run(tmp_path, *settings):
    options = [
        o
        for s in (f"storage.dir={tmp_path}", "instance.name=badconfig", "venues.binance.pace=fast", *settings)
        for o in ("--set", s)
    ]
    return tickpath("run", "-c", DEMO, "--json", "--duration", "20", *options)


@pytest.mark.parametrize(
    "kind", ["market_makr", "no_module:Thing", "ema_cross:NoClass", "json:JSONDecoder", "json:loads", ":", ""]
)
def test_unknown_strategy_kind_ends_the_run_with_a_line_that_names_the_strategy(tmp_path, kind):
    result = run(tmp_path, f'strategies.0.kind="{kind}"')
    assert result.returncode in (FAILED, USAGE)
    assert "Traceback" not in result.stderr
    naming = [line for line in result.stderr.splitlines() if "'Market maker'" in line and "kind" in line]
    assert len(naming) == 1, result.stderr
    assert "journal" not in result.stdout


@pytest.mark.parametrize(
    "setting, key",
    [
        ("strategies.0.parameters.spred=1", "spred"),
        ("strategies.0.parameters.order_qty_lots=-5", "order_qty_lots"),
        ('strategies.0.parameters.order_qty_lots="many"', "order_qty_lots"),
        ("strategies.0.parameters.order_qty_lots=1e300", "order_qty_lots"),
        ("strategies.0.parameters.order_qty_lots=1.5", "order_qty_lots"),
        ("strategies.1.parameters.fast=0", "fast"),
        ("strategies.1.parameters.spred=1", "spred"),
    ],
)
def test_bad_strategy_parameter_ends_the_run_with_a_line_that_names_it(tmp_path, setting, key):
    result = run(tmp_path, setting)
    assert result.returncode in (FAILED, USAGE), result.stdout[:300]
    assert "Traceback" not in result.stderr
    name = "Market maker" if ".0." in setting else "EMA cross"
    assert any(name in line and key in line for line in result.stderr.splitlines()), result.stderr


def test_live_mode_needs_the_second_switch():
    refused(tickpath("run", "-c", DEMO, "--set", "instance.mode=live"), "$.instance.mode", "--live")
    refused(tickpath("run", "-c", DEMO, "--set", "instance.mode=live", "--live"), "$.venues.binance.kind", "binance_spot")


LIVE = ("instance.mode=live", "venues.binance.kind=binance_spot", "venues.binance.ws_url=ws://127.0.0.1:1",
        "venues.binance.ws_api_url=ws://127.0.0.1:1/ws-api/v3", "venues.binance.rest_url=http://localhost:1",
        "venues.binance.credentials=env:NOBODY")


@pytest.mark.parametrize(("setting", "words"), [
    ("venues.binance.credentials=", ("$.venues.binance.credentials", "env:NAME")),
    ("venues.binance.ws_api_url=wss://ws-api.binance.com/ws-api/v3", ("$.venues.binance.ws_api_url", "on this machine")),
    ("venues.binance.rest_url=", ("$.venues.binance.rest_url", "on this machine")),
    ("venues.binance.ws_url=ws://127.0.0.1.example.com", ("$.venues.binance.ws_url", "on this machine")),
    ("venues.binance.kind=okx", ("$.venues.binance.kind", "binance_spot")),
])
def test_orders_go_to_a_venue_on_this_machine_alone(setting, words):
    settings = [text for s in (*LIVE, setting) for text in ("--set", s)]
    refused(tickpath("run", "-c", DEMO, "--live", *settings), *words)


@pytest.mark.parametrize("command", [("config", "check"), ("config", "show"), ("run",)])
def test_missing_file_is_named(tmp_path, command):
    refused(tickpath(*command, "-c", tmp_path / "absent.toml"), str(tmp_path / "absent.toml"), "No such file")


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.toml", "[instance\nname = 1"),
        ("b.toml", "a = 1\na = 2"),
        ("c.yaml", "a: [1"),
        ("d.json", '{"a": 1,}'),
        ("e.json", "[1]"),
        ("f.toml", b"\xff\xfe"),
        ("g.yaml", "- 1"),
        ("h.json", ""),
        ("i.yaml", b"\x00\x01"),
    ],
)
def test_file_that_is_not_its_format_is_refused_by_name(tmp_path, name, text):
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(tickpath("config", "check", "-c", file), str(file), "expected")


def test_directory_in_place_of_a_file_is_refused(tmp_path):
    refused(tickpath("config", "check", "-c", tmp_path), str(tmp_path), "expected a configuration file")


def test_yaml_and_json_give_the_same_configuration_as_toml(tmp_path):
    data = tree()
    data["instance"]["strategy_path"] = ["s"]
    for name, text in (("c.json", json.dumps(data)), ("c.yaml", yaml.safe_dump(data)), ("c.yml", yaml.safe_dump(data))):
        (tmp_path / name).write_text(text)
    (tmp_path / "c.toml").write_text(DEMO.read_text().replace('["../examples"]', '["s"]'))
    shown = [tickpath("config", "show", "-c", tmp_path / name) for name in ("c.toml", "c.json", "c.yaml", "c.yml")]
    assert [s.returncode for s in shown] == [DONE] * 4
    assert len({s.stdout for s in shown}) == 1


def test_later_files_environment_and_settings_win_in_this_order(tmp_path):
    (tmp_path / "over.toml").write_text("[paper]\nseed = 2\ntaker_fee_bps = 2.5\n[signals]\nema_fast = 3\n")
    result = tickpath(
        "config",
        "show",
        "-c",
        DEMO,
        "-c",
        tmp_path / "over.toml",
        "--set",
        "signals.ema_fast=5",
        env={"TICKPATH__PAPER__SEED": "9", "TICKPATH__SIGNALS__EMA_FAST": "4"},
    )
    shown = json.loads(result.stdout)
    assert (shown["paper"]["seed"], shown["paper"]["taker_fee_bps"], shown["signals"]["ema_fast"]) == (9, 2.5, 5)
    assert shown["paper"]["maker_fee_bps"] == 0.0
    refused(tickpath("config", "check", "-c", DEMO, env={"TICKPATH__PAPER__SEDE": "9"}), "sede", "did you mean 'seed'")
