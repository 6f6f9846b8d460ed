"""freqtrade, unmodified but for the URLs in its configuration, trades live at the simulated venue. It has an environment of its own
(`make .venv-freqtrade/.deps`); a soak, since that is large."""
import json
import os
import re
import signal
import sqlite3
import subprocess
import time

import pytest
from venue_on_loopback import ROOT, Venue

from required import require_path

PYTHON = ROOT / ".venv-freqtrade"
SECONDS = 150
PAIR = "BTC/USDT"


def configuration(venue, folder, dry_run):
    rest, ws = venue.where["rest_url"], venue.where["ws_url"]
    api = {"public": f"{rest}/api/v3", "private": f"{rest}/api/v3", "v1": f"{rest}/api/v1", "sapi": f"{rest}/sapi/v1",
           "sapiV2": f"{rest}/sapi/v2", "sapiV3": f"{rest}/sapi/v3", "sapiV4": f"{rest}/sapi/v4", "ws": {"spot": f"{ws}/ws"}}
    ccxt_config = {"urls": {"api": api}, "options": {"fetchMarkets": {"types": ["spot"]}}, "enableRateLimit": False}
    path = folder / f"config-{'dry' if dry_run else 'live'}.json"
    path.write_text(json.dumps({
        "max_open_trades": 1, "stake_currency": "USDT", "stake_amount": 100, "dry_run": dry_run, "dry_run_wallet": 10000,
        "trading_mode": "spot", "cancel_open_orders_on_exit": True, "bot_name": "judge", "initial_state": "running",
        "db_url": f"sqlite:///{folder}/{'dry' if dry_run else 'live'}.sqlite", "user_data_dir": str(folder), "internals": {"process_throttle_secs": 1},
        "unfilledtimeout": {"entry": 1, "exit": 1}, "pairlists": [{"method": "StaticPairList"}],
        "entry_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
        "exit_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
        "exchange": {"name": "binance", "key": venue.hmac["api_key"], "secret": venue.hmac["api_secret"], "pair_whitelist": [PAIR],
                     "enable_ws": False, "ccxt_config": ccxt_config, "ccxt_async_config": ccxt_config, "_ft_has_params": {"ohlcv_has_history": False}}}))
    return path


def closed_trades(database):
    if not database.exists():
        return []
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as base:
        try:
            return base.execute("select open_rate, close_rate, amount, exit_reason from trades where is_open = 0").fetchall()
        except sqlite3.OperationalError:
            return []


@pytest.mark.soak
@pytest.mark.parametrize("dry_run", [True, False], ids=["dry", "live"])
def test_freqtrade_opens_and_closes_a_trade(tmp_path, dry_run):
    require_path(PYTHON / ".deps", "make .venv-freqtrade/.deps")
    with Venue("binance_spot", tmp_path) as venue:
        (tmp_path / "strategies").mkdir()
        config = configuration(venue, tmp_path, dry_run)
        log = tmp_path / "freqtrade.log"
        with log.open("wb") as out:
            bot = subprocess.Popen([PYTHON / "bin" / "freqtrade", "trade", "--config", config, "--strategy", "BuyAndSell", "--strategy-path",
                                    ROOT / "tests" / "judges" / "clients"], stdout=out, stderr=out, cwd=tmp_path, env={**{k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}, "HOME": str(tmp_path)})
        try:
            end = time.monotonic() + SECONDS
            database = tmp_path / f"{'dry' if dry_run else 'live'}.sqlite"
            while not closed_trades(database) and time.monotonic() < end and bot.poll() is None:
                time.sleep(1)
            trades = closed_trades(database)
        finally:
            bot.send_signal(signal.SIGINT)
            bot.wait(60)
        text = log.read_text(errors="replace")
        assert trades, text[-4000:]
        opened, closed, amount, reason = trades[0]
        assert opened > 0 and closed > 0 and amount > 0 and reason == "held long enough"
        assert not re.search(r"Traceback", text), text[-4000:]
