"""A request as the order faults see it, whatever it came by; made only while a fault is armed."""
from tickpath_sim.trading.errors import VenueError

__all__ = ["Request"]


class Request:
    """What a fault may look at, and how it makes the venue's own error.

    op : the WebSocket API's name of the operation, for both transports.  transport : "ws" or "rest".  account : by the API key,
    None when that is unknown.  connection : with `number`, `reset()` and, where its bytes can be cut, `cut_after(bytes)`.
    force_cancel, force_new : (code, msg) with which that leg of a cancel-replace is refused, None to execute it.
    """
    __slots__ = ("op", "market", "transport", "account", "params", "connection", "force_cancel", "force_new", "finish")

    def __init__(self, venue, route, call, transport, key_text, connection, key=None):
        if key_text is not None:
            key = venue.accounts.by_key.get(key_text)
        self.op, self.market, self.transport = route.operation, venue.kind, transport
        self.account = None if key is None else key.account
        self.params, self.connection = call.params, connection
        self.force_cancel = self.force_new = None
        self.finish = None                  # VenueError -> answer in the transport's form

    @property
    def symbol(self):
        return self.params.get("symbol")

    @property
    def client_order_id(self):
        return self.params.get("newClientOrderId") or self.params.get("origClientOrderId")

    @property
    def order_id(self):
        text = self.params.get("orderId", "")
        return int(text) if text.isdecimal() else None

    def error(self, http_status, code, msg, retry_after_s=None):
        """An answer that refuses the request."""
        headers = () if retry_after_s is None else (("Retry-After", str(retry_after_s)),)
        return self.finish(VenueError(code, msg, http_status, headers=headers))
