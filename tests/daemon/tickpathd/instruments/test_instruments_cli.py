"""`tickpath instruments`: what it prints and its exit codes."""
import json

import pytest
import typer
from typer.testing import CliRunner

from tickpathd.instruments.cli import instruments_app
from tickpathd.instruments.facts import InstrumentFacts

DONE, FAILED, USAGE = 0, 1, 2
PATH = "/api/v3/exchangeInfo"


def body(tick="0.01000000", status="TRADING"):
    return json.dumps({"symbols": [{
        "symbol": base + "USDT", "status": status, "baseAsset": base, "quoteAsset": "USDT", "baseAssetPrecision": 8,
        "quoteAssetPrecision": 8, "filters": [{"filterType": "PRICE_FILTER", "tickSize": tick},
                                              {"filterType": "LOT_SIZE", "stepSize": "0.00001000", "minQty": "0.00001"}]}
        for base in ("BTC", "ETH", "[red]X")]}).encode()


@pytest.fixture
def tickpath(rest_server, tmp_path):
    """tickpath("list", …): the command as a person runs it, against the server."""
    app = typer.Typer()
    app.add_typer(instruments_app, name="instruments")
    rest_server.paths[PATH] = [rest_server.Answer(body())]

    def run(command, *arguments, venue="binance_spot"):
        result = CliRunner().invoke(app, ["instruments", command, "--venue", venue, "--rest-url", rest_server.url, "--cache-dir",
                                          str(tmp_path), *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result
    return run


def test_list_shows_a_table_and_names_from_outside_as_they_are(tickpath):
    result = tickpath("list")
    assert result.exit_code == DONE
    assert "binance_spot: 3 instruments" in result.stdout and "BTC/USDT" in result.stdout and "[RED]X/USDT" in result.stdout


def test_list_as_json_holds_every_field_and_where_it_is_from(tickpath, rest_server):
    data = json.loads(tickpath("list", "--json").stdout)
    assert (data["venue"], data["source"], data["rest_url"], data["skipped"]) == ("binance_spot", "venue", rest_server.url, [])
    assert [one["symbol"] for one in data["instruments"]] == ["BTC/USDT", "ETH/USDT", "[RED]X/USDT"]
    assert set(data["instruments"][0]) == set(InstrumentFacts.__struct_fields__)
    assert json.loads(tickpath("list", "--json").stdout)["source"] == "cache"
    assert json.loads(tickpath("list", "--status", "halted", "--json").stdout)["instruments"] == []


def test_show_takes_names_in_any_form(tickpath):
    data = json.loads(tickpath("show", "--symbol", "btcusdt", "--symbol", "ETH-USDT", "--json").stdout)
    assert [one["symbol"] for one in data["instruments"]] == ["BTC/USDT", "ETH/USDT"]
    shown = tickpath("show", "--symbol", "BTC/USDT")
    assert shown.exit_code == DONE and "order_qty_step" in shown.stdout and "0.00001" in shown.stdout


def test_an_unknown_symbol_is_wrong_usage_and_told_the_nearest(tickpath):
    result = tickpath("show", "--symbol", "BTC/USTD")
    assert result.exit_code == USAGE
    assert "--symbol: binance_spot symbol: expected one of BTC/USDT" in result.stderr


@pytest.mark.parametrize("command, arguments, venue, text", [
    ("list", (), "binance-spot", "--venue: venue kind: expected one of ['binance_spot'"),
    ("list", ("--kind", "swap"), "binance_spot", "--kind: expected some of ['spot'] for binance_spot"),
    ("list", ("--status", "OPEN"), "binance_spot", "--status: expected one of ['TRADING'"),
    ("list", ("--max-age-s", "-1"), "binance_spot", "--max-age-s: expected at least 0"),
    ("list", ("--max-age-s", "nan"), "binance_spot", "--max-age-s: expected at least 0")])
def test_wrong_usage_is_told_what_was_expected(tickpath, command, arguments, venue, text):
    result = tickpath(command, *arguments, venue=venue)
    assert result.exit_code == USAGE and text in result.stderr


def test_refresh_prints_the_changes(tickpath, rest_server):
    assert tickpath("refresh").stdout == "3 instruments of binance_spot, 0 changes\n"
    rest_server.paths[PATH] = [rest_server.Answer(body("0.10000000", "BREAK"))]
    result = tickpath("refresh")
    assert result.exit_code == DONE
    assert "BTC/USDT: tick_size 0.01 -> 0.1\nBTC/USDT: status TRADING -> HALTED\n" in result.stdout
    assert result.stdout.endswith("3 instruments of binance_spot, 6 changes\n")
    assert json.loads(tickpath("refresh", "--json").stdout)["changes"] == []


def test_refresh_without_an_answer_fails_and_keeps_what_there_was(tickpath, rest_server):
    tickpath("refresh")
    rest_server.paths[PATH] = [rest_server.Answer(b'{"msg":"no"}', 403)]
    result = tickpath("refresh")
    assert result.exit_code == FAILED
    assert "expected status 200, found 403 'no'; using the instruments kept 0 s ago" in result.stderr
    assert "expected an answer of the venue, found none; what was kept is unchanged" in result.stderr
    assert tickpath("list").exit_code == DONE


def test_nothing_known_is_a_failure_in_one_line(tickpath, rest_server):
    rest_server.paths[PATH] = [rest_server.Answer(b'{"msg":"no"}', 403)]
    result = tickpath("list")
    assert result.exit_code == FAILED and result.stdout == ""
    assert result.stderr.count("\n") == 1
