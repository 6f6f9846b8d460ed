"""Messages to time the decoders with, a module for each venue. `load` gives a module; each has

KIND          the decoder's name of the venue        FLOOR   the program of scripts/floors that reads the same text
CASES         {name: Case}                           FLOOR_KINDS   its number of each case
floor_checksum(name, frames)   the sum that program must print, read from the text by Python's own means

The numbers of a case are drawn anew for each message, so that no branch can be learnt from the text. A case has at most 256 KiB
of messages, which stay in the L2 cache, but for those whose single message is larger.
"""
import importlib
import random
from typing import NamedTuple

VENUES = ("binance_spot", "binance_usdm", "coinbase", "kraken", "okx", "bybit")
BATCH = 16
BYTES_A_CASE = 256 << 10
MASK = (1 << 64) - 1


class Case(NamedTuple):
    """Messages of one kind, all of which the scanner takes. batch : how many are timed at a time."""
    frames: list
    instruments: list
    batch: int = BATCH
    max_frame_bytes: int = 4 << 20


def load(venue):
    return importlib.import_module(f"decode_cases.{venue}")


def generated(seed, make):
    """Frames of make(random.Random, number) -> str: whole batches, two at least."""
    r, frames, total = random.Random(seed), [], 0
    while total < BYTES_A_CASE or len(frames) < 2 * BATCH:
        frames.append(make(r, len(frames)).encode())
        total += len(frames[-1])
    return frames[:len(frames) // BATCH * BATCH]


def weighted(values, levels=()):
    """A floor's sum over one message's values, in its order, and levels."""
    return sum((2 * i + 1) * value for i, value in enumerate(values)) + sum(p + 3 * q for p, q in levels)


def sum_of_answers(answer):
    """floor_checksum made of answer(name, frame) -> (values, levels)."""
    def floor_checksum(name, frames):
        return sum(weighted(*answer(name, frame)) for frame in frames) & MASK
    return floor_checksum
