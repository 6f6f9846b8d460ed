"""The book's checksum against zlib over the text, against what Kraken and OKX themselves sent, and against corruption."""
import bisect
import gzip
import json
import random
import zlib
from decimal import Decimal, localcontext

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from example_counts import examples
from tickpath.market import OrderBook
from tickpath.market.checksum import Checksum, crc32
from tickpath.market.instruments import ChecksumKind

KRAKEN, OKX = ChecksumKind.CHECKSUM_KRAKEN, ChecksumKind.CHECKSUM_OKX
KRAKEN_V1 = "ws/kraken/cryptofeed_KRAKEN_20210417.jsonl.zst"
KRAKEN_V2 = "ws/kraken/kraken_v2_book10_BTCUSD_20260719T1754.jsonl.gz"
KRAKEN_V2_STATES = "ws/kraken/kraken_v2_checksum_states_BTCUSD_20260721.json.gz"
OKX_2022 = "ws/okx/cryptofeed_OKX_20220513.jsonl.zst"
OKX_2021 = "ws/okx/cryptofeed_OKEX_20210722.jsonl.zst"


# ---- CRC-32

@pytest.mark.parametrize("portable", [False, True])
@settings(max_examples=examples(200), deadline=None)
@given(data=st.binary(max_size=700), cut=st.integers(0, 700))
def test_crc32_equals_zlib_whole_and_in_two_pieces(portable, data, cut):
    assert crc32(data, portable=portable) == zlib.crc32(data)
    assert crc32(data[cut:], portable=portable, start=crc32(data[:cut], portable=portable)) == zlib.crc32(data)


@pytest.mark.parametrize("portable", [False, True])
def test_crc32_equals_zlib_at_every_length_around_the_steps_of_the_folding(portable):
    data = random.Random(7).randbytes(5000)
    for n in [*range(300), 1023, 1024, 1025, 4999, 5000]:
        assert crc32(data[:n], portable=portable) == zlib.crc32(data[:n]), n


def test_folding_constants_are_the_powers_of_x_that_their_names_say(root):
    def power(n):
        value = 1
        for _ in range(n):
            value <<= 1
            if value >> 32:
                value ^= 0x104C11DB7
        return value

    def reflected(value, bits):
        return int(f"{value:0{bits}b}"[::-1], 2)
    text = (root / "ext/tickpath/market/crc32.h").read_text()
    found = {line.split()[1]: int(line.split()[2].removesuffix("ull"), 16) for line in text.splitlines()
             if line.startswith("#define TP_") and "ull" in line}
    expected = {f"TP_FOLD_{n}": reflected(power(n), 32) << 1 for n in (544, 480, 160, 96, 64)}
    quotient, rest = 0, 1 << 64
    for shift in range(32, -1, -1):
        if rest >> (shift + 32) & 1:
            rest ^= 0x104C11DB7 << shift
            quotient |= 1 << shift
    expected |= {"TP_POLYNOMIAL": reflected(0x104C11DB7, 33), "TP_BARRETT": reflected(quotient, 33)}
    assert found == expected


# ---- the plain reference: text from Decimals

def digits(value, decimals):
    return f"{value:.{decimals}f}".replace(".", "").lstrip("0")


def kraken_reference(bids, asks, price_decimals, qty_decimals):
    """bids, asks: {price: qty} of Decimals."""
    levels = sorted(asks.items())[:10] + sorted(bids.items(), reverse=True)[:10]
    return zlib.crc32("".join(digits(p, price_decimals) + digits(q, qty_decimals) for p, q in levels).encode())


def canonical(value):
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def okx_reference(bids, asks):
    sides = [sorted(bids.items(), reverse=True)[:25], sorted(asks.items())[:25]]
    parts = [f"{canonical(p)}:{canonical(q)}" for i in range(25) for side in sides for p, q in side[i:i + 1]]
    value = zlib.crc32(":".join(parts).encode())
    return value - (value >> 31 << 32)


PRICES = st.one_of(st.integers(900, 1100), st.integers(1, 300_000), st.sampled_from([1, 10, 63, 64, 65, 4096, 99_999, 10 ** 12]))
UPDATES = st.lists(st.tuples(st.integers(0, 1), PRICES, st.sampled_from([0, 1, 7, 10, 100, 250_000, 10 ** 8, 10 ** 15])), max_size=160)
GRIDS = st.sampled_from([("0.01", "0.00001", 2, 5), ("0.5", "1", 1, 0), ("0.0005", "0.01", 8, 8), ("1", "0.00000001", 0, 8),
                         ("0.000000001", "0.000001", 9, 8), ("25", "100", 3, 2)])


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("kind", [KRAKEN, OKX])
@settings(max_examples=examples(100), deadline=None)
@given(updates=UPDATES, grid=GRIDS, window=st.sampled_from([4096, 65536]))
def test_checksum_equals_the_reference_after_every_change_of_any_book(kind, portable, updates, grid, window):
    tick, lot, price_decimals, qty_decimals = grid
    book, checksum = OrderBook(tick, lot, window), Checksum(kind, tick, lot, price_decimals, qty_decimals, portable=portable)
    levels = ({}, {})
    for side, price, qty in updates:
        book.set_level(side, price, qty)
        key = price * Decimal(tick)
        levels[side].pop(key, None)
        if qty:
            levels[side][key] = qty * Decimal(lot)
        expected = (kraken_reference(*levels, price_decimals, qty_decimals) if kind == KRAKEN else okx_reference(*levels))
        assert checksum.of(book) == expected


@pytest.mark.parametrize("kind", [KRAKEN, OKX])
def test_numbers_beyond_64_bits_and_the_longest_of_all_are_rendered_whole(kind):
    tick, lot = "9.223372036854775807", "9.223372036854775807"
    book, checksum = OrderBook(tick, lot), Checksum(kind, tick, lot)
    levels = ({}, {})
    for side, price in ((0, 2 ** 62), (1, 2 ** 62 + 1), (1, 2 ** 62 + 5)):
        book.set_level(side, price, 2 ** 63 - 1)
        levels[side][price * Decimal(tick)] = (2 ** 63 - 1) * Decimal(lot)
    with_28_digits = kraken_reference(*levels, 18, 18) if kind == KRAKEN else okx_reference(*levels)
    with localcontext() as context:
        context.prec = 60
        levels = ({2 ** 62 * Decimal(tick): (2 ** 63 - 1) * Decimal(lot)},
                  {(2 ** 62 + k) * Decimal(tick): (2 ** 63 - 1) * Decimal(lot) for k in (1, 5)})
        expected = kraken_reference(*levels, 18, 18) if kind == KRAKEN else okx_reference(*levels)
    assert checksum.of(book) == expected != with_28_digits


def test_empty_book_has_the_checksum_of_no_text():
    assert Checksum(KRAKEN, "0.1", "0.1").of(OrderBook("0.1", "0.1")) == 0
    assert Checksum(OKX, "0.1", "0.1").of(OrderBook("0.1", "0.1")) == 0


def test_only_levels_that_changed_are_rendered_again():
    book, checksum = OrderBook("0.1", "0.00000001"), Checksum(KRAKEN, "0.1", "0.00000001")
    for k in range(20):
        book.set_level(0, 1000 - k, 10 + k)
        book.set_level(1, 1001 + k, 10 + k)
    first = checksum.of(book)
    assert checksum.rendered == 20
    assert checksum.of(book) == first and checksum.rendered == 20
    book.set_level(0, 1000, 99)
    assert checksum.of(book) != first and checksum.rendered == 21
    # A new best level pushes the others down by one place and the tenth out.
    book.set_level(1, 1000, 5)
    book.set_level(0, 1000, 0)
    checksum.of(book)
    assert checksum.rendered == 23
    checksum.clear()
    checksum.of(book)
    assert checksum.rendered == 20


def test_matches_takes_zero_from_okx_for_no_statement_but_not_from_kraken():
    book = OrderBook("0.1", "1")
    book.set_level(0, 100, 5)
    okx, kraken = Checksum(OKX, "0.1", "1"), Checksum(KRAKEN, "0.1", "1")
    assert okx.matches(book, 0) and okx.matches(book, okx.of(book)) and not okx.matches(book, okx.of(book) ^ 1)
    assert not kraken.matches(book, 0) and kraken.matches(book, kraken.of(book))


def test_text_with_fewer_decimals_than_the_grid_is_refused():
    with pytest.raises(ValueError, match="expected at least the decimals of 0.001 and 1, .* found 2 and 0"):
        Checksum(KRAKEN, "0.001", "1", 2, 0)
    with pytest.raises(ValueError, match="found 40 and 0"):
        Checksum(KRAKEN, "0.001", "1", 40, 0)
    with pytest.raises(ValueError, match="kind: expected CHECKSUM_KRAKEN or CHECKSUM_OKX, found 7"):
        Checksum(7, "0.001", "1")


# ---- recorded books. The driver is plain Python: json, Decimal, and OrderBook.set_level.

def lines(path):
    raw = path.read_bytes()
    raw = zstandard.ZstdDecompressor().stream_reader(raw).read() if path.suffix == ".zst" else gzip.decompress(raw)
    return raw.decode().splitlines()


def places(text):
    return len(text.partition(".")[2])


class Recorded:
    """One book of a recording: fed with the venue's text, cut to the subscribed depth after each message."""

    def __init__(self, kind, tick, lot, decimals, depth, window=65536):
        self.tick, self.lot, self.depth = Decimal(tick), Decimal(lot), depth
        self.book = OrderBook(tick, lot, window)
        self.checksum = Checksum(kind, tick, lot, *decimals)
        self.prices = ([], [])                          # in ticks, ascending

    def units(self, text, increment):
        value = Decimal(text) / increment
        assert value == int(value), (text, increment)
        return int(value)

    def apply(self, bids, asks):
        """bids, asks: (price, qty) as text."""
        for side, rows in ((0, bids), (1, asks)):
            for price, qty in rows:
                self.set_level(side, self.units(price, self.tick), self.units(qty, self.lot))
        for side, prices in enumerate(self.prices):
            while self.depth and len(prices) > self.depth:
                self.set_level(side, prices[-1 if side else 0], 0)

    def set_level(self, side, price, qty):
        self.book.set_level(side, price, qty)
        prices = self.prices[side]
        at = bisect.bisect_left(prices, price)
        known = at < len(prices) and prices[at] == price
        if known and qty == 0:
            prices.pop(at)
        elif qty and not known:
            prices.insert(at, price)

    def right(self, expected):
        return self.checksum.of(self.book) == expected and self.checksum.matches(self.book, expected)


def kraken_v1(path, fine=()):
    """(books, right, checked) of the capture; pairs in `fine` get a tick of the text's own decimals."""
    pairs, books, right, checked = {}, {}, 0, 0
    for line in lines(path):
        record = json.loads(line)
        if record["t"] == "http":
            pairs |= {p["wsname"]: p["pair_decimals"] for p in json.loads(record["data"])["result"].values() if "wsname" in p}
        if record["t"] != "recv":
            continue
        frame = json.loads(record["data"])
        if not isinstance(frame, list) or not frame[-2].startswith("book"):
            continue
        parts = {k: v for part in frame[1:-2] for k, v in part.items()}
        if "as" in parts:
            sample = parts["as"][0]
            decimals = places(sample[0]), places(sample[1])
            tick = decimals[0] if frame[-1] in fine else pairs[frame[-1]]
            # The pair's price decimals and those of the text are two things: XMR/USD has 2 and 8, ADA/XBT 8 and 9.
            assert decimals[0] >= pairs[frame[-1]]
            books[frame[-1]] = Recorded(KRAKEN, f"1e-{tick}", f"1e-{decimals[1]}", decimals, int(frame[-2][5:]))
        bids, asks = ([r[:2] for r in parts.get(side, parts.get(side + "s", []))] for side in "ba")
        books[frame[-1]].apply(bids, asks)
        if "c" in parts:
            checked += 1
            right += books[frame[-1]].right(int(parts["c"]))
    return books, right, checked


def kraken_v2(path):
    """(book, its levels before and the message) of each message."""
    recorded = None
    for line in lines(path):
        frame = json.loads(line, parse_float=str, parse_int=str)
        if frame.get("channel") != "book":
            continue
        data = frame["data"][0]
        if frame["type"] == "snapshot":
            recorded = Recorded(KRAKEN, "0.1", "0.00000001", (1, 8), 10)
        recorded.apply(*([(r["price"], r["qty"]) for r in data[side]] for side in ("bids", "asks")))
        yield recorded, int(data["checksum"])


def okx(path):
    """(books, right, checked); a book is one connection's view of one instrument."""
    books, right, checked, ticks = {}, 0, 0, {}
    for line in lines(path):
        record = json.loads(line)
        if record["t"] == "http":
            ticks |= {i["instId"]: i["tickSz"] for i in json.loads(record["data"])["data"]}
        frame = json.loads(record["data"]) if record["t"] == "recv" else {}
        if "action" not in frame:
            continue
        key = record["conn"], frame["arg"]["instId"]
        for data in frame["data"]:
            if frame["action"] == "snapshot":
                # Quantities come finer than lotSz says (FUN-BTC: 0.01, and eight decimals in the book).
                books[key] = Recorded(OKX, ticks[key[1]], "0.00000001", (), 0)
            books[key].apply(*([r[:2] for r in data[side]] for side in ("bids", "asks")))
            checked += 1
            right += books[key].right(data["checksum"])
    return books, right, checked


def test_every_checksum_of_the_recorded_kraken_v1_books_is_reproduced(shared_data):
    books, right, checked = kraken_v1(shared_data(KRAKEN_V1))
    assert (len(books), right, checked) == (10, 4269, 4269)


def test_books_whose_levels_lie_mostly_outside_the_window_are_reproduced_as_well(shared_data):
    # With ticks of the text's eight decimals XMR/USD's prices are a million ticks apart.
    books, right, checked = kraken_v1(shared_data(KRAKEN_V1), fine={"XMR/USD"})
    assert books["XMR/USD"].tick == Decimal("1e-8")
    assert (right, checked) == (4269, 4269)


def test_every_checksum_of_the_recorded_kraken_v2_book_is_reproduced(shared_data):
    found = [recorded.right(expected) for recorded, expected in kraken_v2(shared_data(KRAKEN_V2))]
    assert (sum(found), len(found)) == (1254, 1254)


def test_every_recorded_kraken_v2_state_with_its_small_quantities_is_reproduced(shared_data):
    right = 0
    for state in json.loads(gzip.decompress(shared_data(KRAKEN_V2_STATES).read_bytes()))["captures"]:
        recorded = Recorded(KRAKEN, "0.1", "0.00000001", (1, 8), 10)
        recorded.apply(state["local_book_bids"], state["local_book_asks"])
        right += recorded.right(state["expected_checksum"])
    assert right == 200


@pytest.mark.parametrize("name, books, messages", [(OKX_2022, 3, 290), (OKX_2021, 30, 4372)])
def test_every_checksum_of_the_recorded_okx_books_is_reproduced(shared_data, name, books, messages):
    found, right, checked = okx(shared_data(name))
    assert (len(found), right, checked) == (books, messages, messages)


def test_one_flipped_digit_in_a_thousand_random_places_is_always_found(shared_data):
    source = random.Random(20210417)
    states = [(r.book.levels(), r.checksum.of(r.book)) for r, _ in kraken_v2(shared_data(KRAKEN_V2))]
    assert len(states) == 1254
    for levels, expected in source.choices(states, k=1000):
        book, checksum = OrderBook("0.1", "0.00000001"), Checksum(KRAKEN, "0.1", "0.00000001")
        rows = [(side, price, qty) for side in (0, 1) for price, qty in levels[side].items()]
        at, field = source.randrange(len(rows)), source.choice((1, 2))
        row = list(rows[at])
        text = str(row[field])
        k = source.randrange(len(text))
        # Another first digit than 0, which would be a shorter number and not a flipped digit.
        other = source.choice([d for d in "0123456789" if d != text[k] and (d != "0" or k)])
        row[field] = int(text[:k] + other + text[k + 1:])
        for side, price, qty in rows:
            book.set_level(side, price, qty)
        assert checksum.matches(book, expected)
        book.set_level(rows[at][0], rows[at][1], 0)
        book.set_level(*row)
        assert not checksum.matches(book, expected), (rows[at], row)
