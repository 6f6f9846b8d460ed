"""`tickpath-sim audit DIR`: does the log of a run add up, and does a client's journal tell the same story?

Everything is computed again from the files; the server is not asked. Exit codes: 0 clean, 3 something is wrong, 1 a file cannot
be read (one line on stderr), 2 wrong usage.
"""
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tickpath_sim.trading.audit_ledger import LedgerAudit
from tickpath_sim.trading.audit_truth import Violations
from tickpath_sim.trading.audit_wire import WireAudit
from tickpath_sim.trading.ledger_records import LedgerDamage, LedgerReader
from tickpath_sim.trading.wire_log import WireLogError, WireLogReader

__all__ = ["CLEAN", "FAILED", "VIOLATED", "add_parser", "audit"]

CLEAN, FAILED, VIOLATED = 0, 1, 3
ARITHMETIC = frozenset({"conservation", "balance", "closing", "opening", "locked", "number", "reference", "trade quote",
                        "trade parties", "trade id", "trade grid", "account"})


class AuditError(Exception):
    """What was asked cannot be done: what was expected and what was found."""


def audit(directory, journal=None):
    """Audit a log directory, with a journal if there is one.

    Returns: dict: conserved, orders, trades, fills, accounts, totals by asset, wire, journal, violations (the first thousand),
    violation_count, violations_by_check, complete (the log was ended in order and nothing of it was deleted).
    Errors: AuditError, LedgerDamage, WireLogError, JournalError, JournalDamage.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise AuditError(f"{directory}: expected a directory that `tickpath-sim serve --log-dir` has written, found none")
    violations = Violations()
    has_ledger = any(directory.glob("ledger-*.jsonl"))
    has_wire = any(directory.glob("wire-*.tpw"))
    if not has_ledger and not has_wire:
        raise AuditError(f"{directory}: expected a ledger (ledger-000001.jsonl …) or a wire log (wire-000001.tpw …), "
                         "found neither")
    ledger, complete = None, True
    if has_ledger:
        reader, ledger = LedgerReader(directory), LedgerAudit(violations)
        for record in reader:
            ledger.feed(record)
        ledger.finish()
        complete = reader.ended and reader.first_number == 1
    wire = None
    if has_wire:
        reader = WireLogReader(directory)
        wire = WireAudit(ledger, violations)
        for record in reader:
            wire.feed(record)
        wire.finish()
        complete = complete and not reader.torn_bytes and reader.first_number in (1, None)
    compared = None
    if journal is not None:
        if ledger is None:
            raise AuditError(f"{directory}: expected a ledger to compare {journal} with, found a wire log only")
        from tickpath_sim.trading.audit_journal import JournalAudit
        compared = JournalAudit(journal, ledger, violations).run()
    orders = {} if ledger is None else ledger.orders
    return {
        "directory": str(directory), "complete": complete,
        "conserved": ledger is None or not ARITHMETIC & violations.by_check.keys(),
        "orders": len(orders), "acknowledged": sum(order.acknowledged_ns is not None for order in orders.values()),
        "open_orders": sum(order.end_ns is None for order in orders.values()),
        "trades": 0 if ledger is None else ledger.trades, "fills": sum(len(order.trades) for order in orders.values()),
        "accounts": {} if ledger is None else {str(number): name for number, name in sorted(ledger.account_names.items())},
        "totals": {} if ledger is None else ledger.totals,
        "wire": None if wire is None else {**wire.counts, "highest": wire.highest, "injected": wire.faults},
        "journal": compared, "violations": violations.rows, "violation_count": violations.count,
        "violations_by_check": violations.by_check}


# ---- the command

def add_parser(subparsers):
    parser = subparsers.add_parser(
        "audit", help="check the log of a run",
        description="Computes a run again from its log: every balance, order, trade, reply and limit, and compares a client's "
                    "journal with it. Exit 0: clean, 3: something is wrong, 1: a file cannot be read.")
    parser.add_argument("directory", metavar="DIR", help="what `serve --log-dir` has written")
    parser.add_argument("--journal", metavar="JOURNAL", help="a daemon's journal, run or instance directory, to compare")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.set_defaults(run=run)
    return parser


def run(arguments):
    """The command's exit code."""
    from tickpath.shm.journal import JournalDamage, JournalError
    try:
        found = audit(arguments.directory, arguments.journal)
    except (AuditError, LedgerDamage, WireLogError, JournalError, JournalDamage, OSError) as e:
        print(f"tickpath-sim: {e}", file=sys.stderr)
        return FAILED
    if arguments.json:
        print(json.dumps(found))
    else:
        _print(found, Console(highlight=False, soft_wrap=False))
    return VIOLATED if found["violation_count"] else CLEAN


def _print(found, console):
    if found["totals"]:
        table = Table("asset", "opening", "flows", "closing", title="over all accounts", title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        for asset, row in found["totals"].items():
            table.add_row(asset, row["opening"], row["flows"], row["closing"])
        console.print(table)
    table = Table("what", "count", title=found["directory"], title_justify="left")
    table.columns[1].justify = "right"
    rows = [("orders", found["orders"]), ("  acknowledged on the wire", found["acknowledged"]),
            ("  still open", found["open_orders"]), ("trades", found["trades"]), ("fills", found["fills"])]
    for title, part in (("wire", found["wire"]), ("journal", found["journal"])):
        for name, value in (part or {}).items():
            if not isinstance(value, dict):
                rows.append((f"{title} {name.replace('_', ' ')}", value))
            else:
                rows += [(f"{title} {name} {key}", count) for key, count in value.items()]
    for name, value in rows:
        table.add_row(name, f"{value:,}")
    console.print(table)
    if not found["complete"]:
        console.print("the log was not ended in order, or its oldest part has been deleted: what is there was checked")
    if found["violations"]:
        # The same thing is often wrong a thousand times: one line a kind, with its first example. --json has them one by one.
        table = Table("check", "count", "first at", "expected", "found", title=f"{found['violation_count']:,} violations",
                      title_justify="left")
        table.columns[1].justify = "right"
        first = {}
        for row in found["violations"]:
            first.setdefault(row["check"], row)
        for check, count in found["violations_by_check"].items():
            row = first.get(check, {"where": "", "expected": "", "found": ""})
            table.add_row(check, f"{count:,}", row["where"], row["expected"], row["found"])
        console.print(table)
    else:
        console.print("clean: every balance, order, trade and reply adds up")
