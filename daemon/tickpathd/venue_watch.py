"""What the gateway asks a venue every now and then: its time, and whether its instruments trade.

One thread for each venue, because such a question may take seconds and snapshots must not wait for it. It touches nothing but
its own connection and hands what it has found to the gateway's loop through a queue.
"""
import http.client
import json
import queue
import random
import threading
import time
from typing import NamedTuple
from urllib.parse import urlencode

from tickpathd.instruments.facts import InstrumentError
from tickpathd.instruments.symbols import kinds_named
from tickpathd.instruments.venues import offered_kinds, parse_bodies, venue_module
from tickpathd.rest import Rest, retry_after_s
from tickpathd.venue_clock import PROBE_ERRORS, TIME_PATHS, probe

__all__ = ["LIST_WEIGHTS", "Problem", "Statuses", "VenueTime", "VenueWatch"]

LOOK_INTERVAL_S = 0.05
# The first estimate comes from a few questions at once: one may have met a busy moment.
FIRST_PROBES, FIRST_INTERVAL_S = 3, 0.2
PAUSE_MAX_S = 300.0
# What the list costs where it is not 1: developers.binance.com, spot "Exchange information", seen 2026-11-21.
LIST_WEIGHTS = {"binance_spot": 20}
# What asks for the listed symbols alone, where the venue can: path -> symbols -> parameters. Binance's whole list is 15 MB.
FILTERS = {"/api/v3/exchangeInfo": lambda symbols: {"symbols": json.dumps(symbols, separators=(",", ":"))}}


class VenueTime(NamedTuple):
    offset: object                # venue_clock.Offset


class Statuses(NamedTuple):
    words: dict                   # venue symbol as streams write it -> (status of facts.STATUSES, the venue's own word)


class Problem(NamedTuple):
    what: str                     # "time" or "instruments"
    text: str                     # "" = it works again
    silent_s: float = 0.0         # how long the venue wants silence


class VenueWatch:
    """Parameters: kind : venue kind.  rest_url, ca_file : of the venue.  symbols : [(unified, venue's own)] to look after.
    clock_check_s, status_check_s : between two questions; 0 = never.  spend(weight) -> bool : may a request of this weight go?
    """

    def __init__(self, kind, rest_url, ca_file, symbols, *, clock_check_s, status_check_s, spend=lambda weight: True):
        self.kind, self.symbols, self.spend = kind, symbols, spend
        self.rest = Rest(rest_url, ca_file)
        self.results = queue.SimpleQueue()
        self.stop_requested = threading.Event()
        self.troubles = {}            # "time" or "instruments" -> failures in a row
        self.probes = 0
        self.duties = []              # [due at, pause between, name, work, weight]
        now_s = time.monotonic()
        if clock_check_s and kind in TIME_PATHS:
            self.duties.append([now_s, clock_check_s, "time", self._ask_time, 1])
        if status_check_s and symbols:
            self.duties.append([now_s, status_check_s, "instruments", self._ask_statuses, LIST_WEIGHTS.get(kind, 1)])
        self.thread = threading.Thread(target=self._run, name=f"watch-{kind}", daemon=True)

    def start(self):
        self.thread.start()

    def stop(self):
        self.stop_requested.set()

    def taken(self):
        """What has been found since the last call: a list of VenueTime, Statuses and Problem."""
        found = []
        while True:
            try:
                found.append(self.results.get_nowait())
            except queue.Empty:
                return found

    def _run(self):
        while not self.stop_requested.wait(LOOK_INTERVAL_S):
            for duty in self.duties:
                if time.monotonic() >= duty[0] and self.spend(duty[4]):
                    self._do(duty)

    def _do(self, duty):
        _, every_s, name, work, _ = duty
        try:
            self.results.put(work())
        except (*PROBE_ERRORS, InstrumentError, ValueError) as e:
            failures = self.troubles[name] = self.troubles.get(name, 0) + 1
            silent_s = getattr(e, "silent_s", 0.0)
            self.results.put(Problem(name, str(e) or type(e).__name__, silent_s))
            duty[0] = time.monotonic() + max(silent_s, min(every_s * 2 ** min(failures, 6), PAUSE_MAX_S) * random.uniform(0.5, 1))
            return
        if self.troubles.pop(name, 0):
            self.results.put(Problem(name, ""))
        if name == "time":
            self.probes += 1
            if self.probes < FIRST_PROBES:
                every_s = min(every_s, FIRST_INTERVAL_S)
        # Many daemons that were started together must not ask together for ever.
        duty[0] = time.monotonic() + every_s * random.uniform(0.9, 1.1)

    def _ask_time(self):
        return VenueTime(probe(self.rest, self.kind)[0])

    def _ask_statuses(self):
        kinds = kinds_named([unified for unified, _ in self.symbols], offered_kinds(self.kind)) or offered_kinds(self.kind)
        table = parse_bodies(self.kind, list(venue_module(self.kind).collect(self.kind, self._get, kinds)))
        wanted = {own for _, own in self.symbols}
        words = {one.ws_symbol: (one.status, one.venue_status) for one in table.facts if one.ws_symbol in wanted}
        # What the venue lists no more has been taken from the market. One that could not be read (an odd entry) is not gone.
        odd = {skipped.venue_symbol for skipped in table.skipped}
        for own in wanted - set(words):
            words[own] = ("UNKNOWN", "unreadable") if own in odd else ("DELISTED", "not listed")
        return Statuses(words)

    def _get(self, path, parameters):
        narrowed = {**parameters, **FILTERS[path]([own for _, own in self.symbols])} if path in FILTERS else parameters
        status, headers, body = self.rest.get(path + (f"?{urlencode(narrowed)}" if narrowed else ""))
        if status == 400 and narrowed is not parameters:
            # One symbol that is no more spoils the narrow question: ask for all.
            status, headers, body = self.rest.get(path + (f"?{urlencode(parameters)}" if parameters else ""))
        if status != 200:
            error = http.client.HTTPException(f"{path}: expected HTTP 200, found {status}: {body[:120]!r}")
            if status in (418, 429):
                error.silent_s = retry_after_s(headers)
            raise error
        return body
