"""Each feed in figures: what came, how much of it was good, how old the newest is. docs/feeds.md says what counts.

    accuracy = good / (messages + errors)

messages: of books and quotes, from the first one on that opened an instrument's gate; good: those of them after which the gate
was open; errors: frames that were refused whole.
"""
import math

from tickpath.types import BookState
from tickpathd.feeds.fallback import POLL_SUFFIX

ACCURACY_WANTED = 0.999
ACCURACY_REGAINED = 0.9992        # a little more than wanted, or a feed on the border would be told of without end
JUDGED_MIN = 1000                 # with fewer messages a single one is more than 0.1 %


def feed_rows(info, totals, instruments):
    """{venue: {frames, errors, messages, good, accuracy, gaps, reconnects, age_ms, state}} from a state page's three parts.

    accuracy is None while nothing was judged, age_ms while nothing was applied; state names the books' state, or how many are
    GOOD where they differ.
    """
    rows = {}
    for slot, name in enumerate(info["venues"]):
        mine = [s for s, venue in zip(instruments, info["instrument_venues"], strict=True) if venue == slot]
        messages, good = sum(s["messages"] for s in mine), sum(s["good_messages"] for s in mine)
        errors = totals["venue_errors"][slot]
        if name.endswith(POLL_SUFFIX) and not totals["venue_frames"][slot]:
            continue                          # a fallback that was not needed
        newest_ns = max((s["ts_recv_ns"] for s in mine), default=0)
        rows[name] = {
            "frames": totals["venue_frames"][slot], "errors": errors, "messages": messages, "good": good,
            "accuracy": good / (messages + errors) if messages + errors else None, "gaps": totals["venue_gaps"][slot],
            "reconnects": totals["venue_losses"][slot],
            # The rows of a state page may be a little newer than its totals.
            "age_ms": round(max(0, totals["now_ns"] - newest_ns) / 1e6, 3) if newest_ns else None, "state": _state(mine)}
    return rows


def _state(instruments):
    states = [BookState(s["book_state"]).name[5:] for s in instruments]
    if not states:
        return "-"
    return states[0] if len(set(states)) == 1 else f"{states.count('GOOD')}/{len(states)} GOOD"


def accuracy_text(accuracy):
    """As a percentage, never rounded up: what misses the mark must not look as if it met it."""
    return "-" if accuracy is None else f"{math.floor(accuracy * 1e5 + 1e-6) / 1e3:.3f} %"


class AccuracyWatch:
    """Says once when a feed falls below what is wanted, and once when it is above again."""

    def __init__(self):
        self.low = set()

    def look(self, rows, *, at_end=False):
        """Lines for the operator. at_end: judge feeds of few messages, too."""
        lines = []
        for name, row in rows.items():
            judged, accuracy = row["messages"] + row["errors"], row["accuracy"]
            if accuracy is None or judged < JUDGED_MIN and not at_end:
                continue
            if name not in self.low and accuracy < ACCURACY_WANTED:
                self.low.add(name)
                lines.append(f"warning: {name}: expected at least {accuracy_text(ACCURACY_WANTED)} good messages, found "
                             f"{accuracy_text(accuracy)} of {judged:,}")
            elif name in self.low and accuracy >= ACCURACY_REGAINED:
                self.low.remove(name)
                lines.append(f"{name}: {accuracy_text(accuracy)} of {judged:,} messages are good again")
        return lines
