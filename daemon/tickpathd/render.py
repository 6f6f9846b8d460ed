"""Tables and the status line of the `tickpath` command (rich)."""
import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tickpath.shm.histogram import bucket_midpoints
from tickpath.types import BookState, FeedSource, OrderState, TradingState
from tickpathd.clock_page import read_clocks
from tickpathd.feed_report import ACCURACY_WANTED, accuracy_text, feed_rows

STEPS = ("receive", "decode", "book", "signal", "strategy", "risk", "order", "encode", "send", "frame_to_order", "ack",
         "fill")


def table(title, *columns):
    result = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for name in columns:
        result.add_column(name.lstrip("<"), justify="left" if name.startswith("<") else "right", no_wrap=True)
    return result


def price_text(info, index, ticks):
    mantissa, scale = info["tick"][index]
    if ticks <= 0:
        return "-"
    return f"{ticks * mantissa / 10 ** scale:,.{scale}f}"


def qty_text(info, index, lots):
    mantissa, scale = info["lot"][index]
    return f"{lots * mantissa / 10 ** scale:,.{scale}f}"


def ns_text(ns):
    if ns is None:
        return "-"
    if ns < 1000:
        return f"{ns:.0f} ns"
    if ns < 1e6:
        return f"{ns / 1e3:.2f} us"
    if ns < 1e9:
        return f"{ns / 1e6:.2f} ms"
    return f"{ns / 1e9:.2f} s"


def latency_table(latency):
    t = table("Latency per step", "<step", "n", "p50", "p90", "p99", "p99.9", "max")
    for step in STEPS:
        s = latency[step]
        if s["n"]:
            style = "bold" if step == "frame_to_order" else None
            t.add_row(step, f"{s['n']:,}", *(ns_text(s[k]) for k in ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")),
                      style=style)
    return t


def market_table(info, instruments, totals):
    t = table("Market data", "<instrument", "<book", "<source", "bid", "bid qty", "ask", "ask qty", "levels", "last trade")
    for i, s in enumerate(instruments):
        t.add_row(info["symbols"][i], BookState(s["book_state"]).name[5:], source_text(s),
                  price_text(info, i, s["top_bid_ticks"]), qty_text(info, i, s["top_bid_lots"]),
                  price_text(info, i, s["top_ask_ticks"]), qty_text(info, i, s["top_ask_lots"]),
                  f"{s['bid_levels']}+{s['ask_levels']}", price_text(info, i, s["last_trade_ticks"]))
    return t


def source_text(state):
    """Where an instrument's data come from: native, second (its redundant socket), or polled: rest, ccxt."""
    source = FeedSource(state["source"])
    polled = source in (FeedSource.SOURCE_REST, FeedSource.SOURCE_CCXT) and state["native_bad_since_ns"]
    return Text(source.name[7:].lower() if source else "-", style="yellow" if polled else "")


def accuracy_cell(accuracy):
    """Red below what is wanted."""
    low = accuracy is not None and accuracy < ACCURACY_WANTED
    return Text(accuracy_text(accuracy), style="bold red" if low else "green" if accuracy is not None else "dim")


def age_text(age_ms):
    return "-" if age_ms is None else f"{age_ms:.0f} ms" if age_ms < 1000 else f"{age_ms / 1e3:,.0f} s"


def bytes_text(count):
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.2f} GiB"


def feeds_table(rows):
    """`rows` as of feed_report.feed_rows."""
    t = table("Feeds", "<venue", "<state", "frames", "errors", "messages", "accuracy", "gaps", "lost", "age")
    for name, r in rows.items():
        t.add_row(name, r["state"], f"{r['frames']:,}", f"{r['errors']:,}", f"{r['messages']:,}", accuracy_cell(r["accuracy"]),
                  f"{r['gaps']:,}", f"{r['reconnects']:,}", age_text(r["age_ms"]))
    return t


def recording_table(rows, rates, width, title="Recording"):
    """rows: of recorder.recording.Recording.rows().  rates: {venue: frames/s}, or None at the end.  width: of the console."""
    cells = {name: {
        "<venue": name, "<state": r["state"], "frames": f"{r['frames']:,}", "frames/s": f"{(rates or {}).get(name, 0):,.0f}",
        "received": bytes_text(r["bytes_raw"]), "stored": bytes_text(r["bytes_stored"]),
        "drops": Text(f"{r['dropped']:,}", style="bold red" if r["dropped"] else ""), "accuracy": accuracy_cell(r["accuracy"]),
        "gaps": f"{r['gaps']:,}", "errors": f"{r['errors']:,}", "reconnects": f"{r['reconnects']:,}",
        "age": age_text(r["age_ms"])} for name, r in rows.items()}
    left_out = {"frames/s"} if rates is None else set()
    if width < 120:
        left_out |= {"received", "errors", "reconnects"} | ({"frames"} if rates is not None else set())
    columns = [c for c in next(iter(cells.values()), {}) if c not in left_out]
    t = table(title, *columns)
    for row in cells.values():
        t.add_row(*(row[c] for c in columns))
    return t


def recording_summary(result, width):
    lines = [recording_table(result["feeds"], None, width)]
    lines += [Text(path) for row in result["feeds"].values() for path in row["files"]]
    return Group(*lines, Text(f"events       {result['events']}\nelapsed      {result['elapsed_s']} s"))


def clocks_table(rows):
    """How the venues' clocks stand against ours; rows: ClockRow.as_dict()."""
    t = table("Venue clocks", "<venue", "offset", "±", "least lag", "<by")
    for r in rows:
        offset = "-" if r["offset_ms"] is None else f"{'>= ' if r['at_least'] else ''}{r['offset_ms']:+,.1f} ms"
        t.add_row(r["venue"], offset, "-" if r["uncertainty_ms"] is None else f"{r['uncertainty_ms']:,.1f} ms",
                  "-" if r["stream_lag_ms"] is None else f"{r['stream_lag_ms']:,.1f} ms",
                  "time endpoint" if r["source"] == "rest" else "stream")
    return t


def counts_table(totals):
    t = table("Messages", "frames", "quotes", "trades", "book", "levels", "bars", "refused", "unsupported", "gaps")
    t.add_row(*(f"{totals[k]:,}" for k in ("frames", "quotes", "trades", "book_messages", "levels", "bars",
                                           "frame_errors", "frames_unsupported", "gaps")))
    return t


def strategy_table(info, strategies):
    t = table("Strategies", "<name", "<instrument", "orders", "fills", "refusals", "open", "position", "realised", "fees",
              "<state")
    for s in strategies:
        i = s["instrument"]
        mantissa = info["tick"][i][0] * info["lot"][i][0]
        unit = mantissa / 10 ** (info["tick"][i][1] + info["lot"][i][1])
        t.add_row(s["name"], info["symbols"][i], f"{s['orders']:,}", f"{s['fills']:,}", f"{s['refusals']:,}",
                  str(s["open_orders"]), qty_text(info, i, s["position_lots"]), f"{s['realised_ticklots'] * unit:,.2f}",
                  f"{s['fees_e8'] / 1e8:,.2f}", "stopped: callback raised" if s["failed"] else "running")
    return t


def orders_summary_table(totals):
    t = table("Orders", "sent", "acked", "filled", "canceled", "expired", "rejected", "refused by risk", "fills", "open")
    t.add_row(*(f"{totals[k]:,}" for k in ("orders", "acks", "filled_orders", "canceled", "expired", "rejects", "refusals",
                                           "fills", "open_orders")))
    return t


def pnl_table(detail):
    t = table("P&L (quote asset)", "<instrument", "position", "average price", "realised", "unrealised", "fees", "total")
    for d in detail:
        t.add_row(d["symbol"], d["position"], f"{float(d['average_price']):,.2f}", f"{float(d['realised']):,.2f}",
                  f"{float(d['unrealised']):,.2f}", f"{float(d['fees']):,.2f}", f"{float(d['total']):,.2f}")
    return t


def open_orders_table(info, orders):
    t = table("Open orders", "ordinal", "<instrument", "<side", "price", "qty", "leaves", "<state")
    for o in orders[:16]:
        i = o["instrument"]
        t.add_row(str(o["order_ordinal"]), info["symbols"][i], "buy" if o["side"] == 1 else "sell",
                  price_text(info, i, o["price_ticks"]), qty_text(info, i, o["qty_lots"]),
                  qty_text(info, i, o["leaves_qty_lots"]), OrderState(o["state"]).name[6:])
    return t


def depth_table(info, index, state, levels=5):
    t = table(f"{info['symbols'][index]} depth", "bid qty", "bid", "ask", "ask qty")
    for k in range(levels):
        t.add_row(qty_text(info, index, state["bid_qty_lots"][k]) if state["bid_price_ticks"][k] else "-",
                  price_text(info, index, state["bid_price_ticks"][k]),
                  price_text(info, index, state["ask_price_ticks"][k]),
                  qty_text(info, index, state["ask_qty_lots"][k]) if state["ask_price_ticks"][k] else "-")
    return t


def summary(result):
    parts = [counts_table(result["totals"]), feeds_table(result["feeds"]),
             market_table(result["info"], result["instruments"], result["totals"]),
             orders_summary_table(result["totals"]), strategy_table(result["info"], result["strategies"]),
             pnl_table(result["pnl_detail"]), latency_table(result["latency"])]
    if result.get("clocks"):
        parts.append(clocks_table(result["clocks"]))
    return Group(*parts)


def status_line(page, started_s, now_s):
    """One line of what is now; `page` is a StatePage."""
    (info, instruments), totals = page.view(), page.totals()
    latency = page.latency()["frame_to_order"]
    text = Text()
    text.append(f"{now_s - started_s:6.1f} s  ", style="dim")
    for i, s in enumerate(instruments):
        state = BookState(s["book_state"]).name[5:]
        text.append(f"{info['symbols'][i]} ", style="bold")
        text.append(f"{price_text(info, i, s['top_bid_ticks'])}/{price_text(info, i, s['top_ask_ticks'])} ")
        text.append(state, style="green" if state == "GOOD" else "yellow")
        text.append(f" pos {qty_text(info, i, s['position_lots'])}  ")
    text.append(f"frames {totals['frames']:,}  orders {totals['orders']:,}  fills {totals['fills']:,}  "
                f"refused {totals['refusals']:,}  frame to order p50 {ns_text(latency['p50_ns'])}  ")
    trading = TradingState(totals["trading_state"]).name[8:]
    text.append(trading, style="green" if trading == "NORMAL" else "bold red")
    return text


def top_view(page, names, missed, clocks=None):
    """The screen of `tickpath tap top`. clocks : the clocks page's segment, or None."""
    (info, instruments), totals = page.view(), page.totals()
    strategies = [{"name": n, **s} for n, s in zip(info["strategies"], page.strategies(), strict=True)]
    parts = [Text(f"{names}   {TradingState(totals['trading_state']).name[8:]}   ring head {totals['last_seq']:,}   "
                  f"events {totals['events']:,}{'   stopped' if totals['stopped'] else ''}", style="bold"),
             counts_table(totals), feeds_table(feed_rows(info, totals, instruments)), market_table(info, instruments, totals)]
    parts += [depth_table(info, i, s) for i, s in enumerate(instruments[:1])]
    parts += [orders_summary_table(totals), strategy_table(info, strategies), open_orders_table(info, page.orders()),
              latency_table(page.latency())]
    if clocks is not None:
        parts.append(clocks_table([row.as_dict() for row in read_clocks(clocks.buffer)]))
    return Group(*parts)


CHECK_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor_table(checks):
    """The screen of `tickpath doctor`: found and advice wrap, so that it fits a narrow terminal too."""
    t = Table(box=box.SIMPLE_HEAD, title="Machine", title_justify="left", title_style="bold", pad_edge=False)
    t.add_column("check", no_wrap=True)
    t.add_column("", no_wrap=True)
    t.add_column("found", ratio=5, overflow="fold")
    t.add_column("what to do", ratio=5, overflow="fold")
    for c in checks:
        t.add_row(c.name, Text(c.status, style=CHECK_STYLES[c.status]), Text(c.found), Text(c.advice, style="cyan"))
    return t


BARS = "▁▂▃▄▅▆▇█"


def octaves(counts, scale):
    """Counts per power of two of ns: {floor(log2(ns)): n}. Below 1 ns counts as 1."""
    filled = np.flatnonzero(counts)
    at = np.floor(np.log2(np.maximum(bucket_midpoints()[filled] * scale, 1.0))).astype(int)
    result = {}
    for octave, n in zip(at.tolist(), np.asarray(counts)[filled].tolist(), strict=True):
        result[octave] = result.get(octave, 0) + n
    return result


def sparkline(values):
    """One character a value, scaled to the largest; a value above zero always shows."""
    top = max(values, default=0)
    return "".join(" " if v == 0 else BARS[min(int(v / top * len(BARS)), len(BARS) - 1)] for v in values)


def latency_view(item, histograms):
    """The screen of `tickpath tap latency`. histograms: {step: (bucket counts, ns per recorded unit)} of the interval."""
    shown = [step for step in STEPS if item["latency"][step]["n"]]
    by_step = {step: octaves(*histograms[step]) for step in shown}
    every = [o for by_octave in by_step.values() for o in by_octave]
    first, last = (min(every), max(every)) if every else (0, 0)
    axis = f"{ns_text(2 ** first)} … {ns_text(2 ** (last + 1))}" if every else "distribution"
    t = table(f"Latency of {item['instance']}, last {item['interval_s']:.1f} s", "<step", "n", "p50", "p90", "p99", "p99.9",
              "max", f"<{axis}")
    for step in shown:
        s = item["latency"][step]
        t.add_row(step, f"{s['n']:,}", *(ns_text(s[k]) for k in ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")),
                  Text(sparkline([by_step[step].get(o, 0) for o in range(first, last + 1)]), style="cyan"),
                  style="bold" if step == "frame_to_order" else None)
    note = Text(f"missed {item['missed_slots']:,} slots in this interval, {item['missed_slots_total']:,} in all",
                style="bold red" if item["missed_slots"] else "dim")
    if not shown:
        note = Text.assemble("no order in this interval   ", note, style="dim")
    return Group(t, note)


def order_steps_heading(steps):
    return f"{'order':>10} " + " ".join(f"{name:>9}" for name in steps) + f" {'to order':>9}   ns"


def order_steps_line(item, steps):
    values = [item[f"{name}_ns"] for name in (*steps, "frame_to_order")]
    return f"{item['order_ordinal']:>10} " + " ".join(f"{'-' if v is None else format(v, '.0f'):>9}" for v in values)
