"""The audit: a clean log is clean, one line that tells something else is found, and so is a wire or a journal that does."""
import contextlib
import io
import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_desk import Desk, audited, lines_of, write_lines

from tickpath.shm.journal import JournalWriter
from tickpath.types import DTYPES, PRICE_NONE, SLOT_DTYPE, EventType, OrderState
from tickpath_sim.audit import audit
from tickpath_sim.cli import main
from tickpath_sim.trading.audit_ledger import LedgerAudit
from tickpath_sim.trading.audit_truth import Violations
from tickpath_sim.trading.ledger_records import decode_record
from tickpath_sim.trading.wire_log import WireLog

# What an audit must find when it is another; what nothing else in a ledger depends on is left out (names, times, reasons).
SPOILED = {
    "opening": ("account", "asset", "free", "locked"), "deposit": ("account", "asset", "amount"),
    "order": ("order_id", "account", "symbol", "side", "qty"), "state": ("order_id", "account", "status", "cum_qty", "cum_quote"),
    "trade": ("trade_id", "order_id", "counter_order_id", "account", "symbol", "side", "maker", "price", "qty", "quote", "fee",
              "fee_asset", "cum_qty", "cum_quote", "status"),
    "balance": ("free", "locked"), "closing": ("account", "asset", "free", "locked"), "amend": ("order_id", "qty")}
OTHER = {"BUY": "SELL", "SELL": "BUY", "NEW": "FILLED", "FILLED": "PARTIALLY_FILLED", "PARTIALLY_FILLED": "FILLED",
         "CANCELED": "NEW", "EXPIRED": "PARTIALLY_FILLED", "EXPIRED_IN_MATCH": "NEW", "TRIGGERED": "CANCELED",
         "AAABBB": "CCCBBB", "CCCBBB": "AAABBB", "AAA": "BBB", "BBB": "AAA", "CCC": "AAA", "FEE": "BBB"}


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """(directory, lines) of a ledger in which everything happens."""
    directory = tmp_path_factory.mktemp("ledger")
    Desk(directory, 42).run(170, flush_every=5).close()
    assert audited(directory)[1].rows == []
    return directory, lines_of(directory / "ledger-000001.jsonl")


def spoil(value, up):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value in OTHER:
        return OTHER[value]
    digits = len(value.partition(".")[2])
    units = int(value.replace(".", "")) + (1 if up or int(value.replace(".", "")) == 0 else -1)
    sign, units = ("-", -units) if units < 0 else ("", units)
    return f"{sign}{units // 10**digits}.{units % 10**digits:0{digits}d}" if digits else f"{sign}{units}"


def spread(rows, count):
    """So many of them, from all over."""
    return rows if len(rows) <= count else [rows[n * (len(rows) - 1) // (count - 1)] for n in range(count)]


def wrongs_of(lines):
    """What an audit finds in lines whose numbers and checksums are right."""
    violations = Violations()
    found = LedgerAudit(violations)
    for number, line in enumerate(lines, 1):
        found.feed(decode_record(json.dumps({**line, "n": number}).encode()))
    found.finish()
    return violations.by_check


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, fields in SPOILED.items() for field in fields])
def test_one_field_of_one_line_that_is_another_is_found(clean, kind, field):
    _, lines = clean
    assert wrongs_of(lines) == {}
    # Of an order that ended at once without a trade, nothing depends on its side or symbol.
    traded = {line["order_id"] for line in lines if line["k"] == "trade"}
    rows = [n for n, line in enumerate(lines) if line["k"] == kind and field in line
            and (kind != "order" or line["order_id"] in traded)]
    assert rows
    for row in spread(rows, 4):
        for up in (True, False):
            other = list(lines)
            other[row] = {**lines[row], field: spoil(lines[row][field], up)}
            assert wrongs_of(other), (lines[row], other[row][field])


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("kind", ["opening", "deposit", "order", "state", "trade", "closing"])
def test_a_line_that_is_missing_or_comes_twice_is_found(clean, kind, twice):
    _, lines = clean
    # A trigger moves no money, and what is said twice of an opening or closing balance is said.
    rows = [n for n, line in enumerate(lines) if line["k"] == kind and line.get("status") != "TRIGGERED"]
    for row in spread(rows, 6) if not (twice and kind in ("opening", "closing")) else ():
        other = list(lines)
        if twice:
            other.insert(row, dict(lines[row]))
        else:
            del other[row]
        assert wrongs_of(other), lines[row]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_byte_that_is_another_makes_the_log_unreadable_where_it_stands(clean, tmp_path_factory, data):
    directory, _ = clean
    raw = bytearray((directory / "ledger-000001.jsonl").read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 127))
    spoiled = tmp_path_factory.mktemp("spoiled")
    (spoiled / "ledger-000001.jsonl").write_bytes(raw)
    code, out, err = run_audit(spoiled) if at % 10 == 0 else (1, "", None)
    if err is not None:
        assert code == 1 and err.count("\n") == 1 and "expected" in err and "found" in err and "ledger-000001.jsonl" in err
    else:
        with pytest.raises(Exception, match="expected .*found"):
            if not audited(spoiled)[0].ended:
                raise ValueError("expected an end, found a torn line")


def run_audit(directory, *options):
    """(exit code, stdout, stderr) of the command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["audit", str(directory), *map(str, options)])
    return code, out.getvalue(), err.getvalue()


# ---- the command

def test_the_command_says_clean_or_what_is_wrong_and_by_its_exit_code(clean, tmp_path):
    directory, lines = clean
    code, out, err = run_audit(directory)
    assert (code, err) == (0, "") and "clean: every balance" in out and "over all accounts" in out
    other = [dict(line) for line in lines]
    row = next(n for n, line in enumerate(other) if line["k"] == "trade")
    other[row]["quote"] = spoil(other[row]["quote"], True)
    write_lines(tmp_path / "ledger-000001.jsonl", other)
    code, out, _ = run_audit(tmp_path, "--json")
    found = json.loads(out)
    assert code == 3 and not found["conserved"] and found["violation_count"] == len(found["violations"]) > 1
    assert found["violations_by_check"]["trade quote"] == 1
    assert found["violations"][0].keys() >= {"check", "where", "expected", "found"}
    code, out, _ = run_audit(tmp_path)
    assert code == 3 and "trade quote" in out and f"ledger record {row + 1}" in out


@pytest.mark.parametrize(("make", "words"), [
    (lambda p: p / "none", "expected a directory that `tickpath-sim serve --log-dir` has written, found none"),
    (lambda p: p, "expected a ledger (ledger-000001.jsonl …) or a wire log (wire-000001.tpw …), found neither"),
    (lambda p: (p / "wire-000001.tpw").write_bytes(b"x" * 100) and p, "expected TPWIRE01 of format 1, found b'xxxxxxxx'"),
    (lambda p: (p / "ledger-000001.jsonl").write_bytes(b"{}\n") and p, "ledger-000001.jsonl line 1: expected checksum")])
def test_what_cannot_be_read_is_one_line_and_exit_code_1(tmp_path, make, words):
    code, out, err = run_audit(make(tmp_path))
    assert (code, out) == (1, "") and words in err and err.count("\n") == 1


def test_a_journal_that_is_none_is_one_line(clean, tmp_path):
    code, out, err = run_audit(clean[0], "--journal", tmp_path / "none")
    assert (code, out) == (1, "") and "expected a journal, found no such file or directory" in err and err.count("\n") == 1


# ---- the wire

def frame(value):
    payload = json.dumps(value).encode()
    head = struct.pack(">BB", 0x81, len(payload)) if len(payload) < 126 else struct.pack(">BBH", 0x81, 126, len(payload))
    return head + payload


class Wire:
    """A wire log beside a copy of a ledger, of a client over both transports."""

    def __init__(self, directory, lines):
        self.directory = directory
        write_lines(directory / "ledger-000001.jsonl", lines)
        self.log = WireLog(directory)
        self.log.opened(1, "ws", "/ws-api/v3")
        self.log.opened(9, "http")
        self.number = 0

    def ask(self, method, result, **more):
        self.number += 1
        self.log.frame_in(1, 1, True, json.dumps({"id": self.number, "method": method, "params": {}}).encode())
        self.log.bytes_out(1, frame({"id": self.number, "status": 200, "result": result, **more}))

    def refuse(self, status, code, retry_ms):
        self.number += 1
        self.log.frame_in(1, 1, True, json.dumps({"id": self.number, "method": "order.place", "params": {}}).encode())
        self.log.bytes_out(1, frame({"id": self.number, "status": status, "error": {
            "code": code, "msg": "x", "data": {"serverTime": 1000, "retryAfter": 1000 + retry_ms}}}))

    def rest(self, method, path, value, status="200 OK", headers=""):
        body = json.dumps(value).encode()
        self.log.http_in(9, f"{method} {path} HTTP/1.1\r\nX-MBX-APIKEY: abcdefghijkl\r\n\r\n".encode())
        self.log.http_out(9, f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)

    def event(self, value):
        self.log.bytes_out(1, frame({"subscriptionId": 0, "event": value}))

    def checks(self):
        self.log.close()
        return audit(self.directory)["violations_by_check"]


@pytest.fixture
def wire(clean, tmp_path):
    return Wire(tmp_path, clean[1])


def filled(clean):
    """(the order's line, its trade's line) of one that was filled by one trade."""
    trades = {}
    for line in clean[1]:
        if line["k"] == "trade":
            trades.setdefault(line["order_id"], []).append(line)
    (trade,) = next(rows for rows in trades.values() if len(rows) == 1 and rows[0]["status"] == "FILLED")
    return next(line for line in clean[1] if line["k"] == "order" and line["order_id"] == trade["order_id"]), trade


def view(order, trade, **other):
    return {"symbol": order["symbol"], "orderId": order["order_id"], "clientOrderId": order["client_order_id"],
            "price": order["price"], "origQty": order["qty"], "executedQty": trade["qty"], "side": order["side"],
            "type": order["type"], "status": "FILLED", "fills": [
                {"price": trade["price"], "qty": trade["qty"], "commission": trade["fee"], "commissionAsset": trade["fee_asset"],
                 "tradeId": trade["trade_id"]}], **other}


def test_replies_reports_and_lists_that_say_what_the_ledger_says_are_clean(clean, wire):
    order, trade = filled(clean)
    wire.ask("order.place", view(order, trade))
    wire.rest("GET", "/api/v3/myTrades", [{"orderId": order["order_id"], "id": trade["trade_id"], "price": trade["price"],
                                           "qty": trade["qty"], "commission": trade["fee"],
                                           "commissionAsset": trade["fee_asset"]}])
    wire.event({"e": "executionReport", "x": "TRADE", "X": "FILLED", "i": order["order_id"], "t": trade["trade_id"],
                "z": trade["cum_qty"], "q": order["qty"], "l": trade["qty"], "L": trade["price"], "n": trade["fee"],
                "N": trade["fee_asset"]})
    assert wire.checks() == {}


@pytest.mark.parametrize("other", [
    {"orderId": 10**9}, {"clientOrderId": "another"}, {"side": "NEITHER"}, {"origQty": "77777.00000000"},
    {"executedQty": "0.00000001"}, {"status": "CANCELED"}, {"symbol": "XXX"},
    {"fills": [{"price": "1.00000000", "qty": "1.00000000", "commission": "0", "tradeId": 10**9}]}])
def test_a_reply_that_says_something_else_is_found(clean, wire, other):
    order, trade = filled(clean)
    wire.ask("order.place", view(order, trade, **other))
    assert wire.checks().get("acknowledged")


@pytest.mark.parametrize("other", [{"z": "0.00000001"}, {"t": 10**9}, {"L": "0.01000000"}, {"l": "0.00100001"}, {"n": "9.00000000"},
                                   {"N": "XXX"}, {"i": 10**9}, {"X": "EXPIRED"}])
def test_an_execution_report_that_says_something_else_is_found(clean, wire, other):
    order, trade = filled(clean)
    wire.event({"e": "executionReport", "x": "TRADE", "X": "FILLED", "i": order["order_id"], "t": trade["trade_id"],
                "z": trade["cum_qty"], "q": order["qty"], "l": trade["qty"], "L": trade["price"], "n": trade["fee"],
                "N": trade["fee_asset"], **other})
    assert wire.checks().get("acknowledged")


def test_who_was_told_to_wait_and_went_on_is_found_on_either_transport(clean, wire, monkeypatch):
    wire.rest("GET", "/api/v3/ping", {"code": -1003, "msg": "x"}, "429 Too Many Requests", "Retry-After: 30\r\n")
    wire.refuse(418, -1003, 60_000)
    monkeypatch.setattr("tickpath_sim.trading.audit_wire.GRACE_NS", 0)
    wire.ask("ping", {})
    wire.rest("GET", "/api/v3/ping", {})
    found = wire.checks()
    assert found == {"rate limit": 2, "ban": 1, "wait": 1}


@pytest.mark.parametrize("text", [b"\xff\xfe", b"[" * 100_000, b"{", b"7", b'{"id":[1],"params":7}', b'{"params":{"apiKey":null}}'])
def test_what_a_client_may_send_does_not_stop_the_audit(clean, wire, text):
    wire.log.frame_in(1, 1, True, text)
    wire.log.http_in(9, text + b" //[ HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n")
    order, trade = filled(clean)
    wire.ask("order.place", view(order, trade))
    assert wire.checks() == {}


def test_a_refusal_that_a_fault_made_is_not_the_clients_doing(clean, wire):
    wire.log.fault(json.dumps({"fault": "ban", "code": -1003, "connections": [{"connection": 1}]}).encode())
    wire.refuse(429, -1003, 1)
    assert wire.checks() == {}


# ---- a journal

CONFIG = {"config": {"instruments": [{"symbol": "AAA/BBB", "venue_symbol": "AAABBB", "tick_size": "0.01", "lot_size": "0.001"},
                                     {"symbol": "CCC/BBB", "venue_symbol": "CCCBBB", "tick_size": "0.0001", "lot_size": "0.1"}]}}
SIDE = {"BUY": 1, "SELL": 2}
STATE = {"FILLED": OrderState.ORDER_FILLED, "CANCELED": OrderState.ORDER_CANCELED, "EXPIRED": OrderState.ORDER_EXPIRED,
         "EXPIRED_IN_MATCH": OrderState.ORDER_EXPIRED, "NEW": OrderState.ORDER_NEW,
         "PARTIALLY_FILLED": OrderState.ORDER_PARTIALLY_FILLED}
GRID = {"AAABBB": (0, 10**6, 10**5), "CCCBBB": (1, 10**4, 10**7)}


class Journal:
    """A journal that tells what a ledger tells of one account, but for what a test makes of it."""

    def __init__(self, directory, ledger, account=3):
        self.directory, self.seq, self.slots = directory, 0, []
        orders = [o for o in ledger.orders.values() if o.account == account and len(o.qtys) == 1]
        self.known = {}
        for ordinal, order in enumerate(orders, 1):
            instrument, tick, lot = GRID[order.symbol]
            self.known[ordinal] = order
            self.add(EventType.EV_INTENT, instrument=instrument, order_ordinal=ordinal, qty_lots=order.qty // lot,
                     price_ticks=order.price // tick or int(PRICE_NONE), side=SIDE[order.side],
                     client_order_id=np.frombuffer(order.client_order_id.encode().ljust(18, b"\0"), "S1"))
            for trade_id, (price, qty, _, fee, _, _) in order.trades.items():
                self.add(EventType.EV_FILL, instrument=instrument, order_ordinal=ordinal, price_ticks=price // tick,
                         qty_lots=qty // lot, trade_id=trade_id, fee_e8=int(fee.replace(".", "")))
            self.add(EventType.EV_ORDER_STATE, instrument=instrument, order_ordinal=ordinal, state=int(STATE[order.status]))

    def add(self, kind, **fields):
        record = np.zeros(1, DTYPES[kind])
        record["type"] = int(kind)
        for name, value in fields.items():
            record[name] = value
        slots = record.view(np.uint8).reshape(-1, 64).copy().view(SLOT_DTYPE).reshape(-1)
        slots["type"][1:] = 255
        self.slots.append(slots)

    def rows(self, kind):
        return [slots for slots in self.slots if slots["type"][0] == int(kind)]

    def field(self, slots, kind, name):
        return slots.view(np.uint8).reshape(-1).view(DTYPES[kind])[name]

    def write(self):
        slots = np.concatenate(self.slots)
        slots["seq"] = np.arange(1, len(slots) + 1)
        slots["ts_recv_ns"] = np.arange(1, len(slots) + 1)
        config = json.dumps(CONFIG).encode()
        self.directory.mkdir(exist_ok=True)
        (self.directory / "config.json").write_bytes(config)
        writer = JournalWriter(self.directory, instance="x", epoch=1, config_bytes=config, first_seq=1)
        writer.append(slots)
        writer.close()
        return self.directory


@pytest.fixture
def told(tmp_path):
    """(log directory, Journal of account 3), of a run without amendments."""
    directory = tmp_path / "log"
    desk = Desk(directory, 17)
    desk.venue.orders.amend = lambda *arguments: None
    desk.run(160).close()
    return directory, Journal(tmp_path / "journal", audited(directory)[0])


def journal_checks(told):
    directory, journal = told
    found = audit(directory, journal.write())
    return found["violations_by_check"], found["journal"]


def test_a_journal_that_tells_the_same_is_clean(told):
    # Client order ids of the desk have no prefix of an instance in common with those of the other accounts.
    directory, journal = told
    others = {o.client_order_id[:5] for o in audited(directory)[0].orders.values() if o.account != 3}
    mine = {o.client_order_id[:5] for o in journal.known.values()}
    checks, counts = journal_checks(told)
    assert counts["orders"] == counts["matched"] == len(journal.known) > 20 and counts["fills"] > 5
    assert checks == {} or mine & others


@pytest.mark.parametrize(("kind", "name"), [
    (EventType.EV_INTENT, "price_ticks"), (EventType.EV_INTENT, "qty_lots"), (EventType.EV_INTENT, "side"),
    (EventType.EV_INTENT, "instrument"), (EventType.EV_FILL, "price_ticks"), (EventType.EV_FILL, "qty_lots"),
    (EventType.EV_FILL, "trade_id"), (EventType.EV_FILL, "fee_e8"), (EventType.EV_ORDER_STATE, "state")])
def test_a_journal_that_tells_something_else_is_found(told, kind, name):
    _, journal = told
    row = next(slots for slots in journal.rows(kind) if name != "state" or self_state(journal, slots) == int(OrderState.ORDER_FILLED))
    value = journal.field(row, kind, name)
    value += 1 if name not in ("side", "instrument", "state") else 0
    if name in ("side", "instrument"):
        value[:] = {1: 2, 2: 1, 0: 1}[int(value[0])] if name == "side" else 1 - int(value[0])
    elif name == "state":
        value[:] = int(OrderState.ORDER_CANCELED)
    checks, _ = journal_checks(told)
    assert checks.get("journal order")


def self_state(journal, slots):
    return int(journal.field(slots, EventType.EV_ORDER_STATE, "state")[0])


def test_a_fill_that_the_journal_never_heard_of_or_booked_twice_is_found(told):
    _, journal = told
    fill = journal.rows(EventType.EV_FILL)[0]
    journal.slots = [slots for slots in journal.slots if slots is not fill]
    assert journal_checks(told)[0].get("journal order") == 1


def test_a_fill_that_the_journal_booked_twice_is_found(told):
    _, journal = told
    fill = journal.rows(EventType.EV_FILL)[0]
    journal.slots.append(fill.copy())
    assert journal_checks(told)[0].get("journal fill") == 1


def test_an_order_that_the_venue_never_had_is_found_unless_the_client_knows_that_it_does_not_know(told):
    _, journal = told
    name = np.frombuffer(b"c999999".ljust(18, b"\0"), "S1")
    journal.add(EventType.EV_INTENT, order_ordinal=999, price_ticks=1, qty_lots=1, side=1, client_order_id=name)
    journal.add(EventType.EV_ORDER_STATE, order_ordinal=999, state=int(OrderState.ORDER_UNKNOWN))
    checks, counts = journal_checks(told)
    assert not checks and counts["unresolved"] == 1
