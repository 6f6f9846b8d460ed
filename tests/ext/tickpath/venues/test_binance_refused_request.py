"""Answers of the WebSocket API to our own requests: which of them are reports, and which say nothing for sure."""
import json

import pytest

from tickpath.shm.ring import records
from tickpath.types import EventType, ExecType, Status
from tickpath.venues.batch import MessageKind
from tickpath.venues.decoders import MessageDecoder

PREFIX = "tp0ab0000001"
ORDER = PREFIX + "00000v"
CANCEL = "tc" + ORDER[2:]


@pytest.fixture(scope="module")
def decoder():
    return MessageDecoder([("BTCUSDT", "0.01", "0.00001")], kind="binance_spot", id_prefix=PREFIX)


def answer(request_id, status=400, code=-2010, **more):
    error = {"error": {"code": code, "msg": "Account has insufficient balance for requested action."}} if code else {}
    return json.dumps({"id": request_id, "status": status, **error, "rateLimits": [], **more}, separators=(",", ":")).encode()


@pytest.mark.parametrize(("request_id", "code", "kind"), [
    (ORDER, -2010, ExecType.EXEC_REJECTED),
    (ORDER, -1013, ExecType.EXEC_REJECTED),
    (ORDER, -1021, ExecType.EXEC_REJECTED),
    (CANCEL, -2011, ExecType.EXEC_CANCEL_REJECTED),
])
def test_refusal_is_a_report_about_the_order_that_its_id_names(decoder, request_id, code, kind):
    status, found, slots, *_ = decoder.decode(answer(request_id, code=code), 7)
    assert (status, found) == (Status.STATUS_OK, MessageKind.MESSAGE_EXEC_REPORT)
    report = records(slots, EventType.EV_EXEC_REPORT)[0]
    assert (int(report["order_ordinal"]), int(report["venue_code"]), int(report["exec_type"])) == (31, code, kind)
    assert (int(report["last_qty_lots"]), int(report["cum_qty_lots"]), int(report["trade_id"])) == (0, 0, 0)


@pytest.mark.parametrize("frame", [
    pytest.param(answer(ORDER, status=200, code=None, result={"orderId": 1}), id="accepted"),
    pytest.param(answer(ORDER, status=503, code=-1007), id="unknown by status"),
    pytest.param(answer(ORDER, status=408, code=-1007), id="unknown by code"),
    pytest.param(answer(ORDER, status=400, code=-1006), id="unexpected response"),
    pytest.param(answer("tp0ab0000002" + "00000v"), id="of another run"),
    pytest.param(answer("tq" + ORDER[2:]), id="of another kind"),
    pytest.param(answer(7), id="not an order"),
    pytest.param(answer(ORDER, code=-1.5), id="fraction"),
    pytest.param(answer(ORDER, code=2010), id="no venue code"),
    pytest.param(answer(ORDER, code=-20101234567), id="code too long"),
    pytest.param(answer(ORDER, code="-2010"), id="code as text"),
])
def test_what_proves_no_refusal_is_left_to_who_asked(decoder, frame):
    status, _, slots, *_ = decoder.decode(frame, 7)
    assert (status, len(slots)) == (Status.STATUS_IGNORED, 0)
