"""Words shared by everything here: a series and where it stands, times, coverage, exact decimals, errors.

Errors: DataError (exit 1) <- UsageError (2), StoreDamage (3), Disagreement (3).
"""
import datetime
import os
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

MS = 1_000_000                        # ns
DAY_MS = 86_400_000
KINDS = ("candles", "trades")
INT64_MAX = 2**63 - 1
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}


class DataError(Exception):
    """It could not be done; the text is the one line that the user sees."""


class UsageError(DataError):
    """What was asked for makes no sense."""


class StoreDamage(DataError):
    """Stored bytes are not what was written. `path`, `row` (0-based, or None) and `what` say where and how."""

    def __init__(self, path, row, what):
        super().__init__(f"{path}: {'' if row is None else f'row {row}: '}{what}")
        self.path, self.row, self.what = Path(path), row, what


class Disagreement(DataError):
    """The venue now tells another history than the one that is stored."""


# ---- series
def interval_ms(text):
    """Length of a candle, ms. Raises UsageError when it is none that divides a day: only those form one grid for ever."""
    match = re.fullmatch(r"([1-9]\d{0,4})([smhd])", text)
    length = int(match[1]) * _UNIT_MS[match[2]] if match else 0
    if not length or DAY_MS % length:
        raise UsageError(f"--interval: expected a length that divides a day (1s, 1m, 5m, 1h, 4h, 1d), found {text!r}")
    return length


def path_name(text):
    """A symbol as a directory's name, as freqtrade spells it: BTC/USDT -> BTC_USDT."""
    name = re.sub(r"[/:]", "_", text)
    if not name or name.startswith(".") or re.search(r"[\\\0\s]", name) or len(name.encode()) > 120:
        raise UsageError(f"expected a symbol like BTC/USDT, found {text!r}")
    return name


@dataclass(frozen=True)
class Series:
    """One thing that is fetched and stored: candles of one length, or trades, of one symbol at one exchange (ccxt's words)."""
    exchange: str
    symbol: str
    kind: str
    interval: str = ""

    def __post_init__(self):
        if self.kind not in KINDS:
            raise UsageError(f"--kind: expected candles or trades, found {self.kind!r}")
        if (self.kind == "candles") != bool(self.interval):
            raise UsageError(f"--interval: expected one for candles and none for trades, found {self.interval!r} for "
                             f"{self.kind}")
        if self.interval:
            interval_ms(self.interval)
        path_name(self.symbol)

    @property
    def interval_ms(self):
        return interval_ms(self.interval) if self.interval else 0

    @property
    def folder(self):
        kind = f"candles-{self.interval}" if self.interval else self.kind
        return Path(path_name(self.exchange)) / path_name(self.symbol) / kind

    def __str__(self):
        return " ".join(part for part in (self.exchange, self.symbol, self.kind, self.interval) if part)


# ---- time
def right_aligned(ts_open_ms, length_ms):
    """(ts_open_ns, ts_close_ns) of a candle that ccxt labels by its open time, ms. The one place where the label moves.

    The close is exclusive: nothing of the candle was known before ts_close_ns, and everything of it is from then on.
    """
    return ts_open_ms * MS, (ts_open_ms + length_ms) * MS


def parse_time(text):
    """ISO 8601 text to epoch ms, UTC where it names no zone. Raises UsageError."""
    try:
        time = datetime.datetime.fromisoformat(text)
        time = time if time.tzinfo else time.replace(tzinfo=datetime.UTC)
        return (time - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(milliseconds=1)
    except ValueError:
        raise UsageError(f"expected a time like 2024-08-08 or 2024-08-08T23:55:00Z, found {text!r}") from None


def time_text(ms):
    """Epoch ms as ISO 8601 in UTC."""
    time = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)
    return time.isoformat(timespec="milliseconds" if ms % 1000 else "seconds") + "Z"


def month_of(ms):
    return time_text(ms)[:7]


def month_end(ms):
    """First ms of the month after the one that `ms` lies in."""
    year, month = map(int, month_of(ms).split("-"))
    return parse_time(f"{year + month // 12:04d}-{month % 12 + 1:02d}-01")


def split_months(from_ms, to_ms):
    """[from_ms, to_ms) in pieces none of which crosses the end of a month."""
    while from_ms < to_ms:
        end = min(month_end(from_ms), to_ms)
        yield from_ms, end
        from_ms = end


# ---- coverage: sorted lists of disjoint [from, to)
def merged(ranges):
    result = []
    for begin, end in sorted(ranges):
        if result and begin <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((begin, end))
    return result


def missing(covered, from_ms, to_ms):
    """What of [from_ms, to_ms) is in none of the merged ranges."""
    result = []
    for begin, end in covered:
        if end <= from_ms:
            continue
        if begin >= to_ms:
            break
        if begin > from_ms:
            result.append((from_ms, begin))
        from_ms = end
    if from_ms < to_ms:
        result.append((from_ms, to_ms))
    return result


# ---- exact decimals
def plain_decimal(text):
    """A finite decimal number as text without an exponent, kept as it was written otherwise; ValueError if it is none."""
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return text
    try:
        number = Decimal(text)
    except (InvalidOperation, TypeError):
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(text)
    return format(number, "f")


def decimal_places(text):
    """Digits behind the point of a plain decimal, zeros at its end not counted."""
    return len(text.partition(".")[2].rstrip("0"))


def scaled(text, scale):
    """A plain decimal as a count of 10**-scale. Raises OverflowError beyond int64; scale must be enough."""
    whole, _, fraction = text.partition(".")
    number = int(whole + fraction.rstrip("0").ljust(scale, "0"))
    if abs(number) > INT64_MAX:
        raise OverflowError(f"{text} at {scale} decimal places")
    return number


def unscaled(number, scale):
    """The decimal text of a count of 10**-scale, all `scale` places written."""
    if not scale:
        return str(number)
    digits = str(abs(number)).rjust(scale + 1, "0")
    return f"{'-' if number < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


# ---- files
def sync_directory(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(temporary, path):
    """Rename a file that is already synced over `path`, and sync the directory."""
    os.rename(temporary, path)
    sync_directory(path.parent)


def write_whole(path, data):
    """Replace a small file so that nobody, not even after a power cut, finds it half written."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    put_in_place(temporary, path)
