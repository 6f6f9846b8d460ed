"""The `tickpath` command. Exit codes: 0 done, 1 could not be done, 2 wrong usage or configuration, 3 verification failed.

Other packages add their commands through the entry-point group `tickpath.commands` (a typer app each), so that no
package imports another.
"""
import importlib.metadata
import json
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tickpathd import __version__
from tickpathd.instruments.cli import instruments_app

DONE, FAILED, USAGE, UNVERIFIED = 0, 1, 2, 3


class _Late:
    """tickpathd.render at its first use: it brings NumPy, which a help text or a refused configuration does not need."""

    def __getattr__(self, name):
        from tickpathd import render
        return getattr(render, name)


render = _Late()

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="A low-latency trading daemon: exchange frame in, order out.")
tap_app = typer.Typer(no_args_is_help=True, help="Look at a running engine, read-only.")
config_app = typer.Typer(no_args_is_help=True, help="Look at the configuration.")
app.add_typer(tap_app, name="tap")
app.add_typer(config_app, name="config")
app.add_typer(instruments_app, name="instruments")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
InstanceOption = Annotated[str, typer.Option("--instance", help="Name of the running instance.")]
ConfigOption = Annotated[list[Path] | None, typer.Option("--config", "-c", help="TOML, YAML or JSON; later files win.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="One setting, as a.b=c; may be repeated.")]


def screen():
    """Standard output: as wide as the terminal, or wide enough for every table when it goes to a file."""
    console = Console()
    return console if console.is_terminal else Console(width=150)


def fail(code, message):
    print(f"tickpath: {message}", file=sys.stderr)
    raise typer.Exit(code)


def emit(data):
    print(json.dumps(data, default=str))


def loaded_config(paths, settings, live=False):
    from tickpathd.config import ConfigError, load_config, not_enforced
    try:
        config = load_config(paths or [], settings or [], live=live)
    except ConfigError as e:
        fail(USAGE, e)
    ignored = not_enforced(config)
    if ignored:
        print(f"tickpath: warning: not enforced by this version: {', '.join(ignored)}", file=sys.stderr)
    return config


@app.callback(invoke_without_command=True)
def main_options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False):
    if version:
        print(f"tickpath {__version__}")
        raise typer.Exit(DONE)


@app.command()
def run(config: ConfigOption = None, set_: SetOption = None,
        duration: Annotated[float | None, typer.Option(help="Stop after this many seconds.")] = None,
        verify: Annotated[bool, typer.Option("--verify", help="Replay the journal at the end and compare.")] = False,
        live: Annotated[bool, typer.Option("--live", help="Second switch for mode live.")] = False,
        as_json: JsonOption = False):
    """Run all processes of one instance on this machine until its feed ends or it is stopped."""
    settings = loaded_config(config, set_, live)
    from tickpath.shm.segment import SegmentError
    from tickpathd.run_dir import RunError
    from tickpathd.supervisor import Run
    console = Console(stderr=True)
    started = time.monotonic()
    show = console.is_terminal and not as_json
    view = Live(console=console, refresh_per_second=4, transient=True) if show else None

    def refresh(page):
        if view is not None:
            view.update(render.status_line(page, started, time.monotonic()))
    try:
        if view is not None:
            view.start()
        try:
            job = Run(settings, duration_s=duration, on_refresh=refresh)
            result = job.execute()
        finally:
            if view is not None:
                view.stop()
    except (RunError, SegmentError) as e:
        fail(FAILED, e)
    result["elapsed_s"] = round(time.monotonic() - started, 3)
    code = FAILED if result["problems"] else DONE
    if verify:
        result["verified"] = verification(result["journal"], (), show)
        if not result["verified"]["match"]:
            code = code or UNVERIFIED
    if as_json:
        emit({k: v for k, v in result.items() if k not in ("info", "instruments")})
    else:
        print_run(result)
    for problem in result["problems"]:
        print(f"tickpath: {problem}", file=sys.stderr)
    raise typer.Exit(code)


def print_run(result):
    console = screen()
    console.print(render.summary(result))
    console.print(f"journal      {result['journal']}\noutput hash  {result['output_hash']}\n"
                  f"elapsed      {result['elapsed_s']} s", highlight=False, soft_wrap=True)
    if "verified" in result:
        print_verification(console, result["verified"])


def print_verification(console, v):
    if v["match"]:
        console.print(f"replay       {v['events']:,} events, {v['outputs']:,} outputs, hash equal "
                      f"({v['events_per_s'] / 1e6:.2f} M events/s)", style="green", highlight=False)
        return
    if v["unverifiable"]:
        console.print(f"replay       cannot be verified: {v['missed_slots']} slots are missing", style="bold red",
                      highlight=False)
        return
    console.print(f"replay       NOT equal: recorded {v['recorded_hash']}, replayed {v['output_hash']}", style="bold red",
                  highlight=False)
    if v["difference"]:
        console.print(f"first difference at output {v['difference']['output']}:\n  recorded {v['difference']['recorded']}\n"
                      f"  replayed {v['difference']['replayed']}", highlight=False, soft_wrap=True)


def verification(journal, overrides, show=False):
    from tickpathd.replay import replay as run_replay
    with progress_bar(show) as bar:
        task = bar.add_task("replaying", total=None)
        return run_replay(journal, overrides=overrides, progress=lambda n: bar.update(task, completed=n))


def progress_bar(show):
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"),
                    TimeElapsedColumn(), console=Console(stderr=True), transient=True, disable=not show)


@app.command()
def replay(journal: Annotated[Path, typer.Argument(help="A run's directory, an instance's, or one segment.")],
           verify: Annotated[bool, typer.Option("--verify", help="Exit 3 unless the outputs are equal.")] = False,
           set_: SetOption = None, as_json: JsonOption = False):
    """Run the engine over a journal's inputs and compare its outputs with the recorded ones."""
    from tickpath.shm.journal import JournalDamage, JournalError
    from tickpathd.config import ConfigError
    from tickpathd.run_dir import RunError
    try:
        result = verification(journal, set_ or (), Console(stderr=True).is_terminal and not as_json)
    except JournalDamage as e:
        fail(UNVERIFIED, e)
    except ConfigError as e:
        fail(USAGE, e)
    except (JournalError, RunError, ValueError, RuntimeError) as e:
        fail(FAILED, e)
    if as_json:
        emit(result)
    else:
        print_verification(screen(), result)
        if result["torn_tail"]:
            print(f"torn tail cut: {result['torn_tail']}")
    if verify and result["unverifiable"]:
        fail(UNVERIFIED, f"{journal}: expected every slot, found {result['missed_slots']} missed: the journal was lapped, "
                         "nothing can be verified")
    if verify and not result["match"]:
        if as_json:
            print(f"tickpath: {journal}: expected the recorded outputs, found a difference at output "
                  f"{(result['difference'] or {}).get('output')}", file=sys.stderr)
        raise typer.Exit(UNVERIFIED)


def with_capture_errors(work):
    from tickpath.capture import CaptureError
    from tickpathd.capture_tools import VenueError
    try:
        return work()
    except VenueError as e:
        fail(USAGE, e)
    except (CaptureError, ValueError, OSError) as e:
        fail(FAILED, e)


def warn_of_unfinished(file):
    from tickpath.capture import CaptureError
    from tickpathd.capture_tools import unfinished_recordings
    try:
        for line in unfinished_recordings(file):
            print(f"tickpath: warning: {line}", file=sys.stderr)
    except (CaptureError, OSError):
        return                             # the command itself meets it, behind whatever is sound


@app.command()
def decode(file: Annotated[Path, typer.Argument(help="A capture file (or a quoted glob).")],
           venue: Annotated[str, typer.Option(help="binance_spot")], as_json: JsonOption = False):
    """Count what a capture holds."""
    from tickpathd.capture_tools import decode_counts
    warn_of_unfinished(file)
    with progress_bar(Console(stderr=True).is_terminal and not as_json) as bar:
        task = bar.add_task("decoding", total=None)
        counts = with_capture_errors(
            lambda: decode_counts(venue, file, lambda n: bar.update(task, completed=n)))
    if as_json:
        emit(counts)
        return
    t = render.table(f"{file}", "<what", "count")
    for name, value in counts.items():
        if name != "first_error":
            t.add_row(name, f"{value:,}")
    screen().print(t)
    if counts["first_error"]:
        print(f"first error: {counts['first_error']}")


@app.command()
def book(file: Annotated[Path, typer.Argument(help="A capture file (or a quoted glob).")],
         venue: Annotated[str, typer.Option(help="binance_spot")],
         symbol: Annotated[str | None, typer.Option(help="Only this one.")] = None, as_json: JsonOption = False):
    """Rebuild the books of a capture."""
    from tickpathd.capture_tools import rebuild_books
    warn_of_unfinished(file)
    with progress_bar(Console(stderr=True).is_terminal and not as_json) as bar:
        task = bar.add_task("rebuilding", total=None)
        books = with_capture_errors(
            lambda: rebuild_books(venue, file, symbol, lambda n: bar.update(task, completed=n)))
    if as_json:
        emit(books)
        return
    t = render.table(f"{file}", "<symbol", "<state", "updates", "gaps", "crossed", "best bid", "qty", "best ask", "qty",
                     "bid levels", "ask levels")
    for name, b in books.items():
        t.add_row(name, b["state"], f"{b['updates']:,}", str(b["gaps"]), str(b["crossed"]), b["best_bid"] or "-",
                  b["best_bid_qty"] or "-", b["best_ask"] or "-", b["best_ask_qty"] or "-", str(b["bid_levels"]),
                  str(b["ask_levels"]))
    screen().print(t)


def with_segment_errors(work):
    from tickpath.shm.segment import SegmentError
    try:
        return work()
    except SegmentError as e:
        fail(FAILED, e)
    except (KeyboardInterrupt, BrokenPipeError):
        return None


@tap_app.command("tail")
def tap_tail(instance: InstanceOption = "demo",
             count: Annotated[int | None, typer.Option("--count", "-n", help="Stop after this many events.")] = None,
             kind: Annotated[list[str] | None, typer.Option("--type", help="Only events of this type; repeatable.")] = None,
             start: Annotated[str, typer.Option(help="latest or oldest")] = "latest", as_json: JsonOption = False):
    """Print events as they are written, one a line."""
    from tickpath.types import EVENT_NAMES
    from tickpathd import tap
    unknown = set(kind or ()) - set(EVENT_NAMES.values())
    if unknown or start not in ("latest", "oldest"):
        fail(USAGE, f"--type: expected some of {sorted(set(EVENT_NAMES.values()) - {'none', 'cont'})}, found "
                    f"{sorted(unknown)}" if unknown else f"--start: expected latest or oldest, found {start!r}")
    with_segment_errors(lambda: tap.tail(instance, count=count, kinds=tuple(kind or ()), as_json=as_json, start=start,
                                         out=lambda line: print(line, flush=True)))


@tap_app.command("top")
def tap_top(instance: InstanceOption = "demo",
            duration: Annotated[float | None, typer.Option(help="Stop after this many seconds.")] = None,
            as_json: JsonOption = False):
    """Market, orders, P&L and latency of a running engine, live."""
    from tickpathd import tap
    if as_json:
        emit(with_segment_errors(lambda: tap.snapshot(instance)))
    else:
        with_segment_errors(lambda: tap.top(instance, duration_s=duration))


@tap_app.command("latency")
def tap_latency(instance: InstanceOption = "demo",
                interval: Annotated[float, typer.Option(help="Length of an interval, s.")] = 1.0,
                count: Annotated[int | None, typer.Option("--count", "-n", help="Stop after this many intervals "
                                                                                "(with --orders: orders).")] = None,
                orders: Annotated[bool, typer.Option("--orders", help="One line per order instead.")] = False,
                as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False):
    """How long each step took, over the interval just past."""
    from tickpathd import tap_latency as tap
    if interval < 0.01:
        fail(USAGE, f"--interval: expected at least 0.01, found {interval}")
    positive("--count", count)

    def out(line):
        print(line, flush=True)
    if orders:
        with_segment_errors(lambda: tap.show_orders(instance, count=count, as_json=as_json, out=out))
    else:
        with_segment_errors(lambda: tap.show_intervals(instance, interval_s=interval, count=count, as_json=as_json, out=out,
                                                       console=screen()))


@tap_app.command("record")
def tap_record(output: Annotated[Path, typer.Option("--output", "-o", help="Directory to write to, new or empty.")],
               instance: InstanceOption = "demo",
               duration: Annotated[float | None, typer.Option(help="Stop after this many seconds.")] = None,
               count: Annotated[int | None, typer.Option("--count", "-n", help="Stop after this many records.")] = None,
               kind: Annotated[list[str] | None, typer.Option("--type", help="Only records of this type, as one .npy file "
                                                                             "each; repeatable.")] = None,
               start: Annotated[str, typer.Option(help="latest, or oldest: what the ring still holds, too")] = "latest",
               as_json: JsonOption = False):
    """Write the events of a running engine to a journal directory of its own (or to NumPy files)."""
    from tickpath.shm.journal import JournalError
    from tickpathd import tap_record as tap
    unknown = sorted(set(kind or ()) - tap.TYPE_NUMBERS.keys())
    if unknown:
        fail(USAGE, f"--type: expected some of {sorted(tap.TYPE_NUMBERS)}, found {unknown}")
    if start not in ("latest", "oldest"):
        fail(USAGE, f"--start: expected latest or oldest, found {start!r}")
    positive("--count", count)
    positive("--duration", duration)
    stopped = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.append(True))
    types = tuple(sorted({tap.TYPE_NUMBERS[name] for name in kind or ()}))

    def work():
        with progress_bar(Console(stderr=True).is_terminal and not as_json) as bar:
            task = bar.add_task(f"recording {instance}", total=count)
            return tap.record(instance, output, duration_s=duration, count=count, types=types, start=start,
                              stop=lambda: bool(stopped), progress=lambda n, *_: bar.update(task, completed=n))
    try:
        result = with_segment_errors(work)
    except JournalError as e:
        fail(FAILED, e)
    if as_json:
        emit(result)
    else:
        gaps = f", {result['missed_slots']:,} slots missed in {len(result['gaps'])} gap(s)" if result["missed_slots"] else ""
        print(f"{result['records']:,} records in {result['output']} ({result['format']}){gaps}; ended by {result['ended_by']}")


@app.command()
def record(config: ConfigOption = None, set_: SetOption = None,
           venue: Annotated[list[str] | None, typer.Option(help="Only this live venue of the configuration; repeatable.")] = None,
           out: Annotated[Path | None, typer.Option(help="Directory (default: recordings/ beside the instance's runs).")] = None,
           duration: Annotated[float | None, typer.Option(help="Stop after this many seconds.")] = None,
           segment_mb: Annotated[float, typer.Option(help="Size at which a raw file ends and the next begins, MiB.")] = 256.0,
           segment_minutes: Annotated[float, typer.Option(help="Age at which it does.")] = 60.0,
           as_json: JsonOption = False):
    """Write what the live venues send to disk: frames as received, and the events decoded from them."""
    from tickpath.shm.segment import SegmentError
    from tickpathd.config import ConfigError
    from tickpathd.recorder.recording import Recording, default_out, recording_config, say_on_stderr
    from tickpathd.recorder.screen import Screen
    from tickpathd.run_dir import RunError
    for option, value in (("--duration", duration), ("--segment-mb", segment_mb), ("--segment-minutes", segment_minutes)):
        positive(option, value)
    settings = loaded_config(config, set_)
    try:
        wanted = recording_config(settings, venue or ())
    except ConfigError as e:
        fail(USAGE, e)
    view = Screen(None if as_json else Console(stderr=True))
    job = Recording(wanted, (out or default_out(settings)).resolve(), duration_s=duration, segment_mb=segment_mb,
                    segment_minutes=segment_minutes, on_refresh=view.refresh, say=say_on_stderr)
    try:
        with view:
            result = job.execute()
    except (RunError, SegmentError) as e:
        fail(FAILED, e)
    if as_json:
        emit(result)
    else:
        console = screen()
        console.print(render.recording_summary(result, console.width), soft_wrap=True)
    for problem in result["problems"]:
        print(f"tickpath: {problem}", file=sys.stderr)
    raise typer.Exit(FAILED if result["problems"] else DONE)


def positive(option, value):
    if value is not None and value <= 0:
        fail(USAGE, f"{option}: expected more than 0, found {value}")


@app.command()
def doctor(config: ConfigOption = None, set_: SetOption = None, as_json: JsonOption = False):
    """What of this machine helps or hinders the daemon, and the command that changes it."""
    from tickpathd import doctor as checks
    settings = loaded_config(config, [*(() if config else checks.NO_CONFIG), *(set_ or ())])
    result = checks.examine(settings)
    data = checks.report(result)
    if as_json:
        emit(data)
    else:
        screen().print(render.doctor_table(result))
        counts = {status: sum(c.status == status for c in result) for status in ("ok", "warn", "fail")}
        print(", ".join(f"{n} {status}" for status, n in counts.items()))
    raise typer.Exit(DONE if data["ok"] else FAILED)


@config_app.command("schema")
def config_schema(as_json: JsonOption = False):
    """Every key with its type, unit, default and meaning."""
    from tickpathd.config import schema_rows
    rows = schema_rows()
    if as_json:
        emit([dict(zip(("key", "type", "unit", "default", "meaning"), row, strict=True)) for row in rows])
        return
    t = render.table("Configuration", "<key", "<type", "<unit", "<default", "<meaning")
    t.columns[4].no_wrap = False
    for row in rows:
        t.add_row(*(str(c) for c in row))
    screen().print(t)


@config_app.command("check")
def config_check(config: ConfigOption = None, set_: SetOption = None):
    """Load and validate a configuration; exit 2 says what is wrong and where."""
    loaded_config(config, set_)
    print("ok")


@config_app.command("show")
def config_show(config: ConfigOption = None, set_: SetOption = None):
    """The configuration that a run would use, as JSON."""
    from tickpathd.config import config_to_json
    print(config_to_json(loaded_config(config, set_)).decode())


def main():
    for entry in importlib.metadata.entry_points(group="tickpath.commands"):
        app.add_typer(entry.load(), name=entry.name)
    app()


if __name__ == "__main__":
    main()
