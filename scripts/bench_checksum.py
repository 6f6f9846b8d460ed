"""What does the checksum of a book's top cost behind each message?

Workload: recorded books, each message applied whole, then the checksum, alone between two fenced readings of the cycle counter
(their own time subtracted). `kraken_*`: ten books of Kraken v1, 10 levels a side; `okx_*`: thirty of OKX, 25 levels a side.
`*_incremental`: as the engine does it, levels that did not change being known from before, with the messages' times by how many
levels they change; `*_opening`: the same run's first message of each book, whose levels are all new and whose memory nobody has
touched yet (30 of 4,328 OKX messages: they alone would make the p99); `*_full`: all levels of every message rendered anew;
`*_portable`: incremental on a processor without PCLMULQDQ; `kraken_small_window`: incremental, with ladders too narrow for the
widest book's top, whose levels then wait in the far map, which each of its checksums has to search.
Where the recordings are absent (TICKPATH_DATA, ../shared/data): the generated market of l2_market.py, 1 to 3 changes a message,
under the same names, and the recordings are listed as missing.
Every checksum must be the venue's (of the generated market: the floor's) before a time is printed (exit 3).

Times are those of the best pass of each message, since a shared machine disturbs a whole pass; p50_all is over all passes.
Floor: scripts/floors/checksum.c, the plain way. `other_ways`: what else was tried there. Peer: Python's zlib.crc32 over the
joined text, which has only to hash.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from decimal import Decimal
from pathlib import Path

import numpy as np
import zstandard

import benchlib
import loops
from l2_market import l2_changes
from tickpath.market import OrderBook
from tickpath.market.checksum import Checksum
from tickpath.market.instruments import ChecksumKind
from tickpath.types import DTYPES, SLOT_DTYPE, EventType

TARGET_NS = 400.0
PASSES = 5                                                # of a round
WINDOW_TICKS = 65536
# OMG/USD's ten best levels span 27,000 ticks on either side of a gap of 13,000.
KRAKEN_WINDOW_TICKS = 262144
FLOOR_WINDOW_TICKS = 262144                               # floors/checksum.c, TICKS
SNAPSHOT, FIRST, LAST = 2, 4, 8                           # types.pxd, DELTA_*
WAYS = ("plain", "folded", "text")
CASES = {"incremental": {}, "full": {"full": True}, "portable": {"portable": True}}
KRAKEN, OKX = int(ChecksumKind.CHECKSUM_KRAKEN), int(ChecksumKind.CHECKSUM_OKX)
RECORDINGS = {KRAKEN: "ws/kraken/cryptofeed_KRAKEN_20210417.jsonl.zst", OKX: "ws/okx/cryptofeed_OKEX_20210722.jsonl.zst"}


class Feed:
    """Messages of some books: (book, [(side, price_ticks, qty_lots)]), and the checksums that the venue sent (None: none)."""

    def __init__(self, kind):
        self.kind, self.books, self.messages, self.expected = kind, [], [], []

    def add_book(self, tick, lot, decimals):
        self.books.append((tick, lot, decimals))
        return len(self.books) - 1

    def add(self, book, changes, expected):
        if not changes:
            return                                        # a keep-alive: the book is as it was
        self.messages.append((book, changes))
        self.expected.append(expected)


def recorded_lines(relative):
    path = Path(os.environ.get("TICKPATH_DATA") or benchlib.ROOT.parent / "shared" / "data") / relative
    if not path.exists():
        return None
    text = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().decode()
    return [json.loads(line) for line in text.splitlines()]


def rows_to_changes(rows, side, tick, lot):
    return [(side, int(Decimal(r[0]) / Decimal(tick)), int(Decimal(r[1]) / Decimal(lot))) for r in rows]


def cut(levels, changes, depth):
    """Apply changes to a book's {price: qty} of each side; adds the deletions that cut it to the subscribed depth."""
    for side, price, qty in changes:
        levels[side].pop(price, None)
        if qty:
            levels[side][price] = qty
    for side in (0, 1):
        while len(levels[side]) > depth:
            worst = max(levels[side]) if side else min(levels[side])
            del levels[side][worst]
            changes.append((side, worst, 0))
    return changes


def kraken_feed(records):
    feed, pairs, books, levels = Feed(KRAKEN), {}, {}, {}
    for record in records:
        if record["t"] == "http":
            pairs = {p["wsname"]: p["pair_decimals"] for p in json.loads(record["data"])["result"].values() if "wsname" in p}
        frame = json.loads(record["data"]) if record["t"] == "recv" else None
        if not isinstance(frame, list) or not frame[-2].startswith("book"):
            continue
        parts = {k: v for part in frame[1:-2] for k, v in part.items()}
        name = frame[-1]
        if "as" in parts:
            price, qty = (len(text.partition(".")[2]) for text in parts["as"][0][:2])
            books[name] = feed.add_book(f"1e-{pairs[name]}", f"1e-{qty}", (price, qty))
            levels[name] = ({}, {})
        tick, lot, _ = feed.books[books[name]]
        changes = [c for side, key in enumerate("ba")
                   for c in rows_to_changes(parts.get(key, parts.get(key + "s", [])), side, tick, lot)]
        feed.add(books[name], cut(levels[name], changes, int(frame[-2][5:])), int(parts["c"]) if "c" in parts else None)
    return feed


def okx_feed(records):
    feed, ticks, books = Feed(OKX), {}, {}
    for record in records:
        if record["t"] == "http":
            ticks |= {i["instId"]: i["tickSz"] for i in json.loads(record["data"])["data"]}
        frame = json.loads(record["data"]) if record["t"] == "recv" else {}
        if "action" not in frame:
            continue
        key = record["conn"], frame["arg"]["instId"]
        if frame["action"] == "snapshot":
            books[key] = feed.add_book(ticks[key[1]], "0.00000001", (0, 0))
        tick, lot, _ = feed.books[books[key]]
        for data in frame["data"]:
            changes = [c for side, name in enumerate(("bids", "asks")) for c in rows_to_changes(data[name], side, tick, lot)]
            feed.add(books[key], changes, data["checksum"] & 0xFFFFFFFF)
    return feed


def generated_feed(kind):
    feed = Feed(kind)
    changes, snapshot = l2_changes(60_000)
    feed.add_book("0.01", "0.00001", (2, 5) if kind == KRAKEN else (0, 0))
    feed.add(0, snapshot.tolist(), None)
    counts = 1 + np.arange(len(changes)) % 3
    ends = np.cumsum(counts)
    ends = ends[ends <= len(changes)]
    for begin, end in zip(np.concatenate([[0], ends[:-1]]), ends, strict=True):
        feed.add(0, changes[begin:end].tolist(), None)
    return feed


def records_of(feed):
    """(the messages as BookDelta records, where each ends, whose it is)."""
    counts = np.array([len(changes) for _, changes in feed.messages])
    out = np.zeros(counts.sum(), DTYPES[EventType.EV_BOOK_DELTA])
    ends = np.cumsum(counts)
    rows = np.array([c for _, changes in feed.messages for c in changes], np.int64)
    out["type"], out["flags"] = EventType.EV_BOOK_DELTA, rows[:, 0]
    out["price_ticks"], out["qty_lots"] = rows[:, 1], rows[:, 2]
    out["flags"][ends - counts] |= FIRST
    out["flags"][ends - 1] |= LAST
    owners = np.array([book for book, _ in feed.messages], np.int32)
    for first in np.unique(owners, return_index=True)[1]:
        out["flags"][ends[first] - counts[first]:ends[first]] |= SNAPSHOT
    return out.view(SLOT_DTYPE).view(np.uint64), ends.astype(np.int64), owners


def product_pass(loop, feed, slots, *, full=False, portable=False, window=WINDOW_TICKS):
    """(cycles of each message's checksum, less the clock's; the checksums as uint32)."""
    books = [OrderBook(tick, lot, window, sync="stream") for tick, lot, _ in feed.books]
    checksums = [Checksum(feed.kind, tick, lot, *decimals, portable=portable) for tick, lot, decimals in feed.books]
    cycles, found = loop.replay(books, checksums, *slots, full)
    return cycles - loop.overhead_cycles(), found & 0xFFFFFFFF


def opening_messages(feed):
    """Which messages are the first of their book: bool[messages]."""
    owners = np.array([book for book, _ in feed.messages])
    opening = np.zeros(len(owners), bool)
    opening[np.unique(owners, return_index=True)[1]] = True
    return opening


def by_changes(feed, times, kept):
    """[{changes, n, p50, p99}]: times of the kept messages by how many levels they change, in powers of two."""
    counts = np.array([len(changes) for _, changes in feed.messages])
    result, low = [], 1
    while low <= counts[kept].max():
        chosen = kept & (counts >= low) & (counts < 2 * low)
        if chosen.any():
            figures = benchlib.percentiles(times[chosen])
            result.append({"changes": f"{low}-{2 * low - 1}" if low > 1 else "1", **{k: figures[k] for k in ("n", "p50", "p99")}})
        low *= 2
    return result


def floor_pass(program, feed, way, passes):
    words = [feed.kind, len(feed.books), len(feed.messages)]
    opened = {}
    for book, changes in feed.messages:
        opened.setdefault(book, changes[0][1] - FLOOR_WINDOW_TICKS // 2 & ~63)
    for book, (tick, lot, decimals) in enumerate(feed.books):
        tick, lot = Decimal(tick), Decimal(lot)
        if feed.kind == OKX:
            decimals = -tick.as_tuple().exponent, -lot.as_tuple().exponent
        words += [opened[book], int(tick * 10 ** decimals[0]), int(lot * 10 ** decimals[1]), *decimals]
    for book, changes in feed.messages:
        words += [book, len(changes), *(v for change in changes for v in change)]
    with tempfile.NamedTemporaryFile() as f:
        f.write(np.array(words, np.int64).tobytes())
        f.flush()
        done = subprocess.run([program, f.name, str(WAYS.index(way)), str(passes)], capture_output=True, text=True, check=True)
    table = np.array([line.split() for line in done.stdout.splitlines()], np.int64)
    return table[:, 0], table[:, 1]


def zlib_ns(feed):
    """ns a call of zlib.crc32 over a text as long as the middle one, its loop subtracted: windows of 1,000 calls."""
    text = b"0123456789" * (40 if feed.kind == KRAKEN else 69)
    found = []
    for _ in range(50):
        begin = time.perf_counter_ns()
        for _ in range(1000):
            zlib.crc32(text)
        middle = time.perf_counter_ns()
        for _ in range(1000):
            pass
        found.append((2 * middle - begin - time.perf_counter_ns()) / 1000)
    return np.array(found)


def expect(what, expected, found):
    wrong = [i for i, (e, v) in enumerate(zip(expected, found, strict=True)) if e is not None and e != v]
    if wrong:
        print(f"bench_checksum: {what}: expected the checksum {expected[wrong[0]]} behind message {wrong[0]}, found "
              f"{found[wrong[0]]}; {len(wrong)} of {len(expected)} differ", file=sys.stderr)
        sys.exit(3)


def main():
    options = benchlib.arguments(__doc__).parse_args()
    benchlib.pin(options.core)
    loop = loops.load("checksum_loop")
    program = benchlib.build_floor("checksum")
    per_ns = loop.cycles_per_ns()
    cases, missing, ways_tried = [], [], {}
    for name, kind, parse in (("kraken", KRAKEN, kraken_feed), ("okx", OKX, okx_feed)):
        records = recorded_lines(RECORDINGS[kind])
        if records is None:
            missing.append(f"recordings: {RECORDINGS[kind]}")
        feed = parse(records) if records else generated_feed(kind)
        slots = records_of(feed)
        floors = {way: floor_pass(program, feed, way, options.rounds * PASSES) for way in WAYS}
        expected = feed.expected if records else floors["plain"][1]
        for way, (_, found) in floors.items():
            expect(f"{name}, floor, way {way}", expected, found)
        ways_tried[name] = {way: benchlib.percentiles(cycles / per_ns) for way, (cycles, _) in floors.items()}
        peer = benchlib.percentiles(zlib_ns(feed))
        window = KRAKEN_WINDOW_TICKS if kind == KRAKEN else WINDOW_TICKS
        how_of = {suffix: {"window": window, **how} for suffix, how in CASES.items()}
        if kind == KRAKEN:
            how_of["small_window"] = {}
        for suffix, how in how_of.items():
            passes = []
            for _ in range(options.rounds * PASSES):
                cycles, found = product_pass(loop, feed, slots, **how)
                expect(f"{name}_{suffix}", expected, found)
                passes.append(cycles / per_ns)
            times, opening = np.min(passes, axis=0), opening_messages(feed)
            kept = ~opening if suffix == "incremental" else np.ones(len(times), bool)
            figures = benchlib.percentiles(times[kept])
            floor = ways_tried[name]["plain"]
            if suffix == "incremental":
                cases.append({"case": f"{name}_opening", "unit": "ns", **benchlib.percentiles(times[opening]), "peers": {}})
            cases.append({"case": f"{name}_{suffix}", "unit": "ns", **figures,
                          "p50_all": round(float(np.median(np.array(passes)[:, kept])), 1), "target": TARGET_NS,
                          "ratio_to_target": round(figures["p99"] / TARGET_NS, 2),
                          **({"by_changes": by_changes(feed, times, kept)} if suffix == "incremental" else {}),
                          "floor": {"p50": floor["p50"], "p99": floor["p99"]},
                          "ratio_to_floor": round(figures["p50"] / floor["p50"], 2),
                          "peers": {"zlib.crc32": {"p50": peer["p50"], "p99": peer["p99"], "version": zlib.ZLIB_RUNTIME_VERSION}},
                          "ratio_to_best_peer": round(figures["p50"] / peer["p50"], 2)})
    benchlib.finish({"name": "bench_checksum", "machine": benchlib.machine(), "rounds": options.rounds, "cases": cases,
                     "other_ways": ways_tried, "missing": missing}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
