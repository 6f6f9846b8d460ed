"""`tickpath data …`. Exit codes: 0 done, 1 could not be done, 2 wrong usage, 3 damage, or the venue tells another history."""
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from tickpath_research.data.layout import (
    DataError,
    Disagreement,
    Series,
    StoreDamage,
    UsageError,
    parse_time,
    time_text,
)
from tickpath_research.data.store import SeriesStore, stored_series

DONE, FAILED, USAGE, UNVERIFIED = 0, 1, 2, 3
GAPS_SHOWN = 20

app = typer.Typer(no_args_is_help=True, help="History: fetch it through ccxt, keep it, check it, export it.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DirArgument = Annotated[Path, typer.Argument(help="What `data backfill --out` has filled.")]
ExchangeFilter = Annotated[str | None, typer.Option("--exchange", help="Only this exchange.")]
SymbolFilter = Annotated[list[str] | None, typer.Option("--symbol", help="Only this symbol; repeatable.")]
KindFilter = Annotated[str | None, typer.Option("--kind", help="Only candles, or only trades.")]
IntervalFilter = Annotated[str | None, typer.Option("--interval", help="Only candles of this length.")]
SinceOption = Annotated[str | None, typer.Option("--since", help="From this time on, ISO 8601, UTC.")]
UntilOption = Annotated[str | None, typer.Option("--until", help="Up to this time, exclusive; candles that are over by then.")]


class Interrupted(DataError):
    """The user has asked to stop; whole pages are stored."""


# ---- what every command shares
def exit_code(error):
    return UNVERIFIED if isinstance(error, StoreDamage | Disagreement) else USAGE if isinstance(error, UsageError) else FAILED


def fail(error, code=None):
    print(f"tickpath: {error}", file=sys.stderr)
    raise typer.Exit(exit_code(error) if code is None else code)


def emit(data):
    print(json.dumps(data))


def screen():
    console = Console()
    return console if console.is_terminal else Console(width=150)


def table(title, *columns):
    result = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for name in columns:
        result.add_column(name.lstrip("<"), justify="left" if name.startswith("<") else "right", no_wrap=True)
    return result


def progress_bar(as_json):
    console = Console(stderr=True)
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
                    TextColumn("{task.fields[rows]:,} rows"), TimeElapsedColumn(), TimeRemainingColumn(), console=console,
                    transient=True, disable=not console.is_terminal or as_json)


def bytes_text(count):
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def chosen_series(directory, exchange, symbols, kind, interval):
    """The stored series that the filters leave. Raises UsageError when none is left."""
    found = [s for s in stored_series(directory)
             if (exchange is None or s.exchange == exchange) and (not symbols or s.symbol in symbols)
             and (kind is None or s.kind == kind) and (interval is None or s.interval == interval)]
    if not found:
        raise UsageError(f"{directory}: expected a series of these options, found {len(stored_series(directory))} others; see "
                         f"`tickpath data list {directory}`")
    return found


def print_gaps(gaps, name):
    for gap in gaps["gaps"][:GAPS_SHOWN]:
        lost = "" if gap["missing"] is None else f"  {gap['missing']:,} missing"
        print(f"{name}: {GAP_WORDS[gap['kind']]}: {gap['from']} to {gap['to']}{lost}")
    more = sum(gaps["gap_counts"].values()) - GAPS_SHOWN
    if more > 0:
        print(f"{name}: {more} more gaps: see --json")


GAP_WORDS = {"venue": "the venue has none", "before_first": "before the venue's first", "not_fetched": "not fetched yet",
             "ids": "ids the venue left out"}


# ---- backfill
@app.command()
def backfill(exchange: Annotated[str, typer.Option("--exchange", help="As ccxt spells it: binance, kraken, okx, …")],
             symbol: Annotated[list[str], typer.Option("--symbol", help="ccxt's spelling, BTC/USDT; repeatable.")],
             since: Annotated[str, typer.Option("--since", help="From this time on, ISO 8601, UTC.")],
             out: Annotated[Path, typer.Option("--out", help="Directory to keep it in; one for all series.")],
             kind: Annotated[str, typer.Option("--kind", help="candles or trades")] = "candles",
             interval: Annotated[str | None, typer.Option("--interval", help="Length of a candle; 1m where not given.")] = None,
             until: UntilOption = None,
             recheck: Annotated[bool, typer.Option("--recheck", help="Fetch what is stored again and compare only.")] = False,
             url: Annotated[str | None, typer.Option("--url", help="Another server that speaks the exchange's REST.")] = None,
             ca_file: Annotated[Path | None, typer.Option("--ca-file", help="PEM certificates to trust for --url.")] = None,
             give_up_after: Annotated[float, typer.Option("--give-up-after", help="Without an answer, s.")] = 600.0,
             as_json: JsonOption = False):
    """Fetch history and store it; run it again to go on, after a kill or the next day."""
    from tickpath_research.data.backfill import wanted_range
    from tickpath_research.data.processed import arrow
    from tickpath_research.data.source import Source
    stopped = threading.Event()

    def on_signal(number, _frame):
        signal.signal(number, signal.SIG_DFL)          # a second one ends the process where it stands, which is safe too
        stopped.set()

    def pause(seconds):
        if stopped.wait(seconds):
            raise Interrupted("stopped; the same command goes on from here")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    reports, code = [], DONE
    try:
        arrow()
        if give_up_after < 0:
            raise UsageError(f"--give-up-after: expected a time of 0 s or more, found {give_up_after}")
        interval = (interval or "1m") if kind == "candles" else interval or ""
        wanted = [Series(exchange, s, kind, interval) for s in dict.fromkeys(symbol)]
        since_ms, until_ms = parse_time(since), None if until is None else parse_time(until)
        source = Source(exchange, [s.symbol for s in wanted], url=url, ca_file=ca_file, give_up_after_s=give_up_after,
                        say=lambda line: print(f"tickpath: {line}", file=sys.stderr, flush=True), sleep=pause)
        ranges = [wanted_range(s, since_ms, until_ms, source.now_ms()) for s in wanted]
    except DataError as e:
        fail(e)
    with progress_bar(as_json) as bar:
        for series, (begin_ms, end_ms) in zip(wanted, ranges, strict=True):
            report, error = run_series(out, series, source, begin_ms, end_ms, recheck, bar, stopped)
            reports.append(report)
            if error is not None:
                code = max(code, exit_code(error))
            if stopped.is_set() or error is not None and not isinstance(error, Disagreement | StoreDamage):
                break
    if as_json:
        emit({"series": reports, "retries": source.retry_count, "ok": code == DONE})
    else:
        show_backfill(reports, recheck)
    for report in reports:
        if report["problem"]:
            print(f"tickpath: {report['problem']}", file=sys.stderr)
    raise typer.Exit(code)


def run_series(out, series, source, begin_ms, end_ms, recheck, bar, stopped):
    """One series, start to end: (report, the error that ended it or None). What was fetched is processed in either case."""
    from tickpath_research.data.backfill import Result, backfill
    from tickpath_research.data.check import find_gaps, identity
    from tickpath_research.data.layout import missing
    from tickpath_research.data.processed import build_stale
    task = bar.add_task(str(series), total=end_ms - begin_ms, rows=0)
    result, error = Result(), None
    report = {"exchange": series.exchange, "symbol": series.symbol, "kind": series.kind, "interval": series.interval or None,
              "from": time_text(begin_ms), "to": time_text(end_ms)}
    try:
        with SeriesStore(out, series, write=True) as store:
            todo_ms = end_ms - begin_ms if recheck else sum(b - a for a, b in missing(store.covered(), begin_ms, end_ms))
            bar.update(task, completed=end_ms - begin_ms - todo_ms)
            try:
                backfill(store, source, begin_ms, end_ms, result=result, recheck=recheck, stop=stopped.is_set,
                         progress=lambda ms, rows: bar.update(task, advance=ms, rows=bar.tasks[task].fields["rows"] + rows))
                if result.interrupted:
                    error = Interrupted("stopped; the same command goes on from here")
            except DataError as e:
                error = e
            report |= identity(store)
            if store.manifest.raw:
                build_stale(store, lambda month: bar.update(task, description=f"{series} {month}"))
                report |= find_gaps(store, begin_ms, end_ms).report()
    except DataError as e:
        error = error or e
    report |= {"rows_new": result.rows_new, "pages_new": result.pages_new, "rows_compared": result.rows_compared,
               "fetched": [[time_text(a), time_text(b)] for a, b in result.fetched],
               "elapsed_s": round(result.elapsed_s, 3), "problem": None if error is None else str(error)}
    return report, error


def show_backfill(reports, recheck):
    t = table("Compared" if recheck else "Fetched", "<series", "<from", "<to", "pages", "rows", "compared", "gaps", "missing",
              "s")
    for r in reports:
        name = " ".join(filter(None, (r["exchange"], r["symbol"], r["kind"], r["interval"])))
        t.add_row(name, r["from"], r["to"], f"{r['pages_new']:,}", f"{r['rows_new']:,}", f"{r['rows_compared']:,}",
                  f"{sum(r.get('gap_counts', {}).values()):,}", f"{r.get('missing_rows', 0):,}", f"{r['elapsed_s']:.1f}")
    screen().print(t)
    for r in reports:
        if "gaps" in r:
            print_gaps(r, f"{r['symbol']}")


# ---- list and check
@app.command("list")
def list_stored(directory: DirArgument, as_json: JsonOption = False):
    """What is stored."""
    from tickpath_research.data.check import list_series
    try:
        found = [list_series(SeriesStore(directory, series)) for series in stored_series(directory)]
    except DataError as e:
        fail(e)
    if as_json:
        emit({"series": found})
        return
    t = table(str(directory), "<exchange", "<symbol", "<kind", "<interval", "<from", "<to", "holes", "rows", "raw", "Parquet",
              "<state")
    for s in found:
        state = "processed" if not s["months_not_processed"] else f"{s['months_not_processed']} month(s) not processed"
        t.add_row(s["exchange"], s["symbol"], s["kind"], s["interval"] or "-", s["from"] or "-", s["to"] or "-",
                  str(max(len(s["covered"]) - 1, 0)), f"{s['rows']:,}", bytes_text(s["raw_bytes"]),
                  bytes_text(s["processed_bytes"]), state)
    screen().print(t)


@app.command()
def check(directory: DirArgument, exchange: ExchangeFilter = None, symbol: SymbolFilter = None, kind: KindFilter = None,
          interval: IntervalFilter = None, as_json: JsonOption = False):
    """Read every byte and compare it with its checksums, its order and the raw pages; list gaps. Exit 3 on damage."""
    from tickpath_research.data.check import check_series
    reports = []
    try:
        for series in chosen_series(directory, exchange, symbol, kind, interval):
            reports.append(check_series(SeriesStore(directory, series)))
    except DataError as e:
        fail(e)
    sound = all(r["ok"] for r in reports)
    if as_json:
        emit({"series": reports, "ok": sound})
    else:
        t = table(str(directory), "<series", "pages", "rows", "gaps", "missing", "suspect", "damage")
        for r in reports:
            t.add_row(series_name(r), f"{r['pages']:,}", f"{r['rows']:,}", f"{sum(r['gap_counts'].values()):,}",
                      f"{r['missing_rows']:,}", str(r["suspect_count"]), str(r["damage_count"]))
        screen().print(t)
        for r in reports:
            print_gaps(r, r["symbol"])
            for line in r["notes"]:
                print(f"{series_name(r)}: {line}")
            for time in r["suspect"][:GAPS_SHOWN]:
                print(f"{series_name(r)}: the venue's candle of {time} contradicts itself (low, open, close, high)")
    for r in reports:
        for d in r["damage"]:
            row = "" if d["row"] is None else f" row {d['row']}:"
            print(f"tickpath: {d['file']}:{row} {d['what']}", file=sys.stderr)
    if any(d["file"].endswith(".parquet") for r in reports for d in r["damage"]):
        print("tickpath: a damaged Parquet file may be deleted: the next backfill makes it again from the raw pages",
              file=sys.stderr)
    raise typer.Exit(DONE if sound else UNVERIFIED)


def series_name(report):
    return " ".join(filter(None, (report["exchange"], report["symbol"], report["kind"], report["interval"])))


# ---- exports
@app.command()
def export(directory: DirArgument,
           out: Annotated[Path, typer.Option("--out", "-o", help="File to write, or a directory.")],
           file_format: Annotated[str, typer.Option("--format", help="csv, freqtrade (Feather) or parquet")] = "parquet",
           exchange: ExchangeFilter = None, symbol: SymbolFilter = None, kind: KindFilter = None,
           interval: IntervalFilter = None, since: SinceOption = None, until: UntilOption = None, as_json: JsonOption = False):
    """Write stored candles or trades in another format: one series to a file, several to a directory."""
    from tickpath_research.data import export as exports
    from tickpath_research.data.processed import build_stale
    written = []
    try:
        series = chosen_series(directory, exchange, symbol, kind, interval)
        if len(series) > 1 and not out.is_dir():
            raise UsageError(f"--out: expected a directory for {len(series)} series ({', '.join(map(str, series))}), found "
                             f"{out}; or choose one by --symbol, --kind, --interval")
        since_ms, until_ms = (None if text is None else parse_time(text) for text in (since, until))
        with progress_bar(as_json) as bar:
            for one in series:
                task = bar.add_task(f"exporting {one}", total=None, rows=0)
                if SeriesStore(directory, one).stale_months():
                    with SeriesStore(directory, one, write=True) as store:
                        build_stale(store)
                path, rows = exports.export(SeriesStore(directory, one), file_format, out, since_ms=since_ms, until_ms=until_ms,
                                            progress=lambda n, task=task: bar.update(task, rows=n))
                written.append({"series": str(one), "path": str(path), "rows": rows})
    except DataError as e:
        fail(e)
    if as_json:
        emit({"written": written})
    else:
        for w in written:
            print(f"{w['rows']:,} rows of {w['series']} in {w['path']}")


@app.command()
def journal(journal_dir: Annotated[Path, typer.Option("--journal", help="A run's directory, an instance's, or one segment.")],
            out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")],
            kind: Annotated[list[str] | None, typer.Option("--kind", help="Only events of this type; repeatable.")] = None,
            as_json: JsonOption = False):
    """Write the events of a journal to Parquet."""
    from tickpath.shm.journal import JournalDamage, JournalError
    from tickpath_research.data.journal_export import export_journal
    try:
        with progress_bar(as_json) as bar:
            task = bar.add_task(f"exporting {journal_dir}", total=None, rows=0)
            result = export_journal(journal_dir, out, tuple(kind or ()), progress=lambda n: bar.update(task, rows=n))
    except JournalDamage as e:
        fail(e, UNVERIFIED)
    except JournalError as e:
        fail(e, FAILED)
    except DataError as e:
        fail(e)
    if as_json:
        emit(result)
        return
    print(f"{result['rows']:,} events in {result['path']}: "
          f"{', '.join(f'{n:,} {name}' for name, n in result['kinds'].items()) or 'none of these kinds'}")
    if result["missed_slots"]:
        print(f"{result['missed_slots']:,} slots are missing in the journal: it was lapped")
    if result["torn_tail"]:
        print(f"torn tail cut: {result['torn_tail']}")


if __name__ == "__main__":
    app()
