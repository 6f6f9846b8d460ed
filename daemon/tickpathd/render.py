"""Tables and the status line of the `tickpath` command (rich)."""
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tickpath.types import BookState, OrderState, TradingState

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
    t = table("Market data", "<instrument", "<book", "bid", "bid qty", "ask", "ask qty", "levels", "last trade")
    for i, s in enumerate(instruments):
        t.add_row(info["symbols"][i], BookState(s["book_state"]).name[5:], price_text(info, i, s["top_bid_ticks"]),
                  qty_text(info, i, s["top_bid_lots"]), price_text(info, i, s["top_ask_ticks"]),
                  qty_text(info, i, s["top_ask_lots"]), f"{s['bid_levels']}+{s['ask_levels']}",
                  price_text(info, i, s["last_trade_ticks"]))
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
    parts = [counts_table(result["totals"]), market_table(result["info"], result["instruments"], result["totals"]),
             orders_summary_table(result["totals"]), strategy_table(result["info"], result["strategies"]),
             pnl_table(result["pnl_detail"]), latency_table(result["latency"])]
    return Group(*parts)


def status_line(page, started_s, now_s):
    """One line of what is now; `page` is a StatePage."""
    info, totals = page.info(), page.totals()
    latency = page.latency()["frame_to_order"]
    text = Text()
    text.append(f"{now_s - started_s:6.1f} s  ", style="dim")
    for i, s in enumerate(page.instruments()):
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


def top_view(page, names, missed):
    """The screen of `tickpath tap top`."""
    info, totals = page.info(), page.totals()
    instruments = page.instruments()
    strategies = [{"name": n, **s} for n, s in zip(info["strategies"], page.strategies(), strict=True)]
    parts = [Text(f"{names}   {TradingState(totals['trading_state']).name[8:]}   ring head {totals['last_seq']:,}   "
                  f"events {totals['events']:,}{'   stopped' if totals['stopped'] else ''}", style="bold"),
             counts_table(totals), market_table(info, instruments, totals)]
    parts += [depth_table(info, i, s) for i, s in enumerate(instruments[:1])]
    parts += [orders_summary_table(totals), strategy_table(info, strategies), open_orders_table(info, page.orders()),
              latency_table(page.latency())]
    return Group(*parts)
