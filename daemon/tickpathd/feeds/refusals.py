"""Subscriptions that a venue refuses: said once, and asked for again with growing pauses for as long as it does.

A venue names what it refuses, or not; and one unknown symbol may cost a whole request its other symbols (Bybit). So what is asked
for again is what was named and whatever still has no book, one stream a request, the named ones last; where nothing was named,
the streams without a book as well, which a venue that has them already takes again or says so.
"""
import random
import re
import time

from tickpath.types import BookState

RETRY_MIN_S = 0.5
RETRY_MAX_S = 60.0
SETTLED_S = 2.0               # without a further refusal for so long after asking again: it was taken
SAID_MAX = 16                 # different texts of one line; a venue whose texts never repeat is heard, not echoed


def streams_named(text, streams):
    """Those of the streams whose symbol stands in the venue's text, as a word of its own."""
    words = set(re.findall(r"[\w/-]+", text)) | set(re.findall(r"\w+", text))
    return [s for s in streams if s.symbol in words]


class Refusals:
    """What one socket was refused.

    Parameters: line : Line, whose streams they are.  send : coroutine function of messages, sends them on this socket.
    """

    def __init__(self, line, send):
        self.line, self.send = line, send
        self.instruments = set()      # that the venue named
        self.unnamed = False          # or something that it did not name
        self.pause_s = RETRY_MIN_S
        self.bookless = set()         # instruments that may have no book because of it
        self.due_s = None             # when to ask again
        self.asking = False           # one request after another, as fast as the venue allows
        self.asked_s = None           # when we last did

    def covers(self, instrument):
        """Whether a book waits for its beginning because it was refused: nothing was lost, and it is asked for here."""
        return instrument in self.bookless

    def _waits(self, instrument):
        return self.line.feeds.gate(instrument)[0] == BookState.BOOK_SYNCING

    def refused(self, text):
        line = self.line
        line.feeds.count("subscriptions_refused")
        named = streams_named(text, line.streams)
        self.instruments.update(s.instrument for s in named)
        self.unnamed |= not named
        self.bookless.update(i for i in ({s.instrument for s in named} or line.instruments) if self._waits(i))
        subject = frozenset(s.symbol for s in named) or text
        if subject not in line.refusals_said and len(line.refusals_said) < SAID_MAX:
            line.refusals_said.add(subject)
            line.feeds.say(line, f"the venue refused a subscription: {text}; asking again")
        self.asked_s = None
        if self.due_s is None:
            self.due_s = time.monotonic() + random.uniform(self.pause_s / 2, self.pause_s)
            self.pause_s = min(self.pause_s * 2, RETRY_MAX_S)

    def look(self, now_s):
        """Ask again when it is time; called several times a second."""
        if self.bookless:
            # One that has had its book is no longer spared: what it loses from now on was lost.
            self.bookless = {i for i in self.bookless if self._waits(i)}
        if self.due_s is not None and now_s >= self.due_s and not self.asking:
            self.due_s, self.asking = None, True
            self.line.feeds.count("subscription_retries")
            self.line.feeds.spawn(self._ask())
        elif self.asked_s is not None and now_s - self.asked_s > SETTLED_S:
            self.asked_s, self.pause_s, self.unnamed = None, RETRY_MIN_S, False
            self.instruments.clear()
            self.bookless.clear()
            self.line.refusals_said.clear()
            self.line.feeds.say(self.line, "the venue takes what it had refused")

    async def _ask(self):
        try:
            await self.send(self._requests())
        finally:
            self.asking = False
        if self.due_s is None:
            self.asked_s = time.monotonic()

    def _requests(self):
        line = self.line
        first, last = [], []
        for stream in line.streams:
            named = stream.instrument in self.instruments
            if self._waits(stream.instrument) or (named or self.unnamed) and stream.channel != "book":
                (last if named else first).append(stream)
        return list(dict.fromkeys(message for stream in (*first, *last) for message in line.protocol.subscribe([stream])))
