"""The ledger log of a venue that trades: it adds up, it can be read while it grows, and a file of it stands for itself."""
import asyncio

import pytest
from ledger_desk import Desk, audited, lines_of

from tickpath_sim.trading.ledger_log import LedgerLog
from tickpath_sim.trading.ledger_records import LedgerDamage, LedgerReader


@pytest.mark.parametrize("seed", range(6))
def test_a_random_run_adds_up_to_the_last_unit(tmp_path, seed):
    desk = Desk(tmp_path, seed).run(400).close()
    found, violations = audited(tmp_path)
    assert violations.rows == [] and found.ended
    assert found.trades > 20 and len(found.orders) > 100
    assert {order.status for order in found.orders.values()} >= {"FILLED", "CANCELED", "EXPIRED", "NEW"}
    exchange = desk.venue.exchange
    for asset in desk.venue.by_asset:
        total = sum(sum(exchange.balance(account, asset.index)) for account in range(3 + len(desk.accounts)))
        assert found.totals[asset.name]["closing"] == asset.text(total)


def test_balances_are_those_behind_whole_steps_however_often_they_are_written(tmp_path, monkeypatch):
    """A flush is wanted at every order and event, and comes only when the step that it belongs to is over."""
    monkeypatch.setattr("tickpath_sim.trading.ledger_log.FLUSH_ITEMS", 0)
    flushes = []

    async def trade():
        desk = Desk(tmp_path, 21)
        desk.ledger.start()
        flush = desk.ledger.flush
        monkeypatch.setattr(desk.ledger, "flush", lambda: flushes.append(flush()))
        for _ in range(150):
            desk.run(1)
            await asyncio.sleep(0)
        desk.close()
    asyncio.run(trade())
    found, violations = audited(tmp_path)
    assert violations.rows == [] and found.ended and found.trades > 5 and len(flushes) > 50


def test_every_order_and_fill_of_the_service_stands_in_the_ledger(tmp_path):
    desk = Desk(tmp_path, 11).run(300).close()
    found, _ = audited(tmp_path)
    assert set(found.orders) == set(desk.venue.orders.by_id)
    for order_id, order in desk.venue.orders.by_id.items():
        there = found.orders[order_id]
        assert (there.client_order_id, there.account, there.symbol) == (order.client_order_id, order.account.number, order.symbol.name)
        assert there.status == order.status and there.cum_quote == order.cum_quote_units
        assert there.cum == order.cum_lots * order.symbol.lot_units
        assert sorted(there.trades) == sorted(fill.trade_id for fill in order.fills or ())


def test_amounts_are_exact_decimals_and_opening_balances_stand_first(tmp_path):
    Desk(tmp_path, 3).run(60).close()
    lines = lines_of(tmp_path / "ledger-000001.jsonl")
    kinds = [line["k"] for line in lines]
    assert kinds[0] == "begin" and kinds[-1] == "end" and kinds[1:12] == ["opening"] * 10 + ["order"]
    assert [line["n"] for line in lines] == list(range(1, len(lines) + 1))
    trade = next(line for line in lines if line["k"] == "trade")
    for name in ("price", "qty", "quote", "fee", "cum_qty", "cum_quote"):
        assert isinstance(trade[name], str) and len(trade[name].partition(".")[2]) == 8


def test_a_log_of_several_files_adds_up_also_when_the_first_are_deleted(tmp_path):
    desk = Desk(tmp_path, 5, limit_mib=1)
    desk.ledger.file_bytes_max = 30_000
    desk.run(500).close()
    paths = sorted(tmp_path.glob("*.jsonl"))
    assert len(paths) > 4
    whole, violations = audited(tmp_path)
    assert violations.rows == []
    for path in paths[:3]:
        path.unlink()
    part, violations = audited(tmp_path)
    assert violations.rows == [] and part.ended
    assert len(part.orders) < len(whole.orders)
    assert {a: t["closing"] for a, t in part.totals.items()} == {a: t["closing"] for a, t in whole.totals.items()}


def test_the_bound_deletes_the_oldest_files(tmp_path):
    desk = Desk(tmp_path, 5, limit_mib=1)
    desk.ledger.file_bytes_max, desk.ledger.limit_bytes = 20_000, 100_000
    desk.run(700).close()
    assert sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) < 125_000
    assert desk.ledger.deleted_files and not (tmp_path / "ledger-000001.jsonl").exists()
    assert audited(tmp_path)[1].rows == []


def test_it_can_be_read_while_it_grows_and_when_it_was_cut_off(tmp_path):
    desk = Desk(tmp_path, 8).run(200)
    desk.ledger.flush()
    found, violations = audited(tmp_path)
    assert violations.rows == [] and not found.ended
    path = tmp_path / "ledger-000001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    reader = LedgerReader(tmp_path)
    assert len(list(reader)) == whole.count(b"\n") - 1 and reader.torn_bytes > 0 and not reader.ended


def test_a_second_run_does_not_write_over_the_first(tmp_path):
    desk = Desk(tmp_path, 1).close()
    with pytest.raises(LedgerDamage, match="expected a directory without a ledger, found one of an earlier run"):
        LedgerLog(tmp_path, desk.venue)
    with pytest.raises(LedgerDamage, match="expected a directory that can be written"):
        LedgerLog("/proc/nowhere", desk.venue)


def test_a_disk_that_fails_ends_the_log_and_nothing_else(tmp_path, monkeypatch):
    desk = Desk(tmp_path, 2).run(40)
    def refuse(*arguments):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr("tickpath_sim.trading.ledger_log.os.write", refuse)
    desk.run(80)
    assert "No space left" in desk.ledger.failure and desk.venue.orders.placed > 40
    desk.close()
