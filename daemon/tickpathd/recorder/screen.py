"""What `tickpath record` shows while it runs: a live table on a terminal, else a line for each feed now and then."""
import time

from rich.live import Live

from tickpathd import render
from tickpathd.feed_report import accuracy_text

LINE_INTERVAL_S = 10.0
RATE_WINDOW_S = 2.0


class Screen:
    """Parameters: console : rich Console, or None to show nothing. A context manager around the recording."""

    def __init__(self, console):
        self.console = console
        self.live = None
        if console is not None and console.is_terminal:
            self.live = Live(console=console, refresh_per_second=4, transient=True)
        self.next_line_s = time.monotonic() + LINE_INTERVAL_S
        self.marks = []                           # (time, {venue: frames}) within the window of the rates

    def __enter__(self):
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_):
        if self.live is not None:
            self.live.stop()

    def refresh(self, rows):
        """Show the rows of Recording.rows()."""
        if self.console is None:
            return
        now_s = time.monotonic()
        self.marks.append((now_s, {name: row["frames"] for name, row in rows.items()}))
        rates = self._rates()
        if self.live is not None:
            paused = next((row["paused"] for row in rows.values() if row["paused"]), None)
            self.live.update(render.recording_table(rows, rates, self.console.width,
                                                    f"Recording   PAUSED: {paused}" if paused else "Recording"))
        elif now_s >= self.next_line_s:
            self.next_line_s = now_s + LINE_INTERVAL_S
            for name, row in rows.items():
                self.console.print(self.line(name, row, rates.get(name, 0.0)), highlight=False, soft_wrap=True)

    def _rates(self):
        now_s, frames = self.marks[-1]
        while len(self.marks) > 2 and now_s - self.marks[0][0] > RATE_WINDOW_S:
            del self.marks[0]
        then_s, before = self.marks[0]
        return {name: (n - before.get(name, 0)) / (now_s - then_s) if now_s > then_s else 0.0 for name, n in frames.items()}

    @staticmethod
    def line(name, row, rate):
        paused = f" PAUSED ({row['paused']})" if row["paused"] else ""
        return (f"{name}: {row['state']}{paused} frames={row['frames']} per_s={rate:.0f} bytes_raw={row['bytes_raw']} "
                f"bytes_stored={row['bytes_stored']} dropped={row['dropped']} accuracy={accuracy_text(row['accuracy'])} "
                f"gaps={row['gaps']} errors={row['errors']} age={render.age_text(row['age_ms'])}")
