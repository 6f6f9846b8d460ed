"""Ticks and lots of the event ring as prices and quantities: each event on the grid of its time."""
from decimal import Decimal

__all__ = ["GridHistory"]


class GridHistory:
    """Grids by instrument while one reads on.

    Parameters: info, rows : of StatePage.view(), taken when reading begins.
    """

    def __init__(self, info, rows):
        self.grids = {}                    # instrument -> (tick, lot) at the place that has been read, absent = not known
        self.now = {}                      # instrument -> (sequence of the record that began it, tick, lot)
        for n, row in enumerate(rows):
            now = tuple(_increment(*info[name][n]) for name in ("tick", "lot"))
            self.now[n] = (row["grid_seq"], *now)
            # Before its only change an instrument was on the grid of the start; of several it is known once one is read.
            if row["grid_epoch"] <= 1:
                self.grids[n] = tuple(_increment(*info[name][n]) for name in ("start_tick", "start_lot"))

    def texts(self, event):
        """{name: decimal text} of an event's ticks and lots, as tap.event_dict gives it; call it for every event, in order."""
        n = event.get("instrument")
        if event["type"] == "grid":
            self.grids[n] = (_increment(event["tick_mantissa"], event["tick_scale"]),
                             _increment(event["lot_mantissa"], event["lot_scale"]))
        if n in self.now and event["seq"] >= self.now[n][0]:
            # What the state page says is what the engine made of the record: it may have kept its lot.
            self.grids[n] = self.now.pop(n)[1:]
        found = {}
        if n in self.grids:
            for name, value in event.items():
                for suffix, increment in zip(("_ticks", "_lots"), self.grids[n], strict=True):
                    if name.endswith(suffix) and isinstance(value, int):
                        found[name.removesuffix(suffix)] = format(value * increment, "f")
        return found


def _increment(mantissa, scale):
    return Decimal(mantissa).scaleb(-scale)
