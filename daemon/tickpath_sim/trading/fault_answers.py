"""Answers as order faults take them apart: JSON bytes of the WebSocket API, or an object with a body of REST."""
import re

__all__ = ["ORDER_ID", "body_of", "cut", "order_of", "with_body", "without_rows"]

ORDER_ID = re.compile(rb'"orderId":(\d+)')
REFUSED = re.compile(rb'"code":-\d')
ROW = re.compile(rb"\{[^{}]*\}")


def body_of(answer):
    """The JSON of an answer: bytes of the WebSocket API, or an object with a body."""
    return answer if isinstance(answer, (bytes, bytearray)) else bytes(getattr(answer, "body", None) or b"")


def with_body(answer, body):
    if isinstance(answer, (bytes, bytearray)):
        return body
    return type(answer)(body, answer.status, answer.headers)


def order_of(answer):
    """The id of the order that an answer says was accepted; None when it refuses."""
    data = body_of(answer)
    if b'"error":' in data[:80] or data.startswith(b'{"code":-'):
        if REFUSED.search(data[:200]) is not None and b'"newOrderResult"' not in data:
            return None
    found = ORDER_ID.search(data, max(0, data.find(b'"newOrderResponse"')))
    return int(found[1]) if found else None


def without_rows(data, order_ids):
    """A JSON text with a list of orders, without those of these ids; nothing else changes."""
    for row in [m for m in ROW.finditer(data)
                if (found := ORDER_ID.search(m[0])) is not None and int(found[1]) in order_ids][::-1]:
        begin, end = row.span()
        if data[end:end + 1] == b",":
            end += 1
        elif data[begin - 1:begin] == b",":
            begin -= 1
        data = data[:begin] + data[end:]
    return data


def cut(connection, count, data):
    """Let a part of these bytes out, then end the connection in the orderly way of TCP."""
    if hasattr(connection, "cut_after"):
        connection.cut_after(0)
        return
    if count:
        connection.write(data[:count])
    connection.closing = True
    connection.transport.underlying_transport.close()
