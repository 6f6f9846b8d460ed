"""The planted bug of planted.c: proof that coverage, sanitizer and attribution work."""
import ctypes
import os
from pathlib import Path

DICTIONARY = ()
TRACE_PYTHON = False
MAX_BYTES = 64


def seeds():
    return [b"hello, world"]


class Target:
    def __init__(self):
        self._read = ctypes.CDLL(str(Path(os.environ["TICKPATH_FUZZ_BUILD"]) / "planted.so")).planted_read
        self._read.argtypes = (ctypes.c_char_p, ctypes.c_size_t)

    def run(self, data):
        self._read(data, len(data))
