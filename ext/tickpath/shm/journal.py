"""The journal: what the event ring held, in checksummed segment files. Cold; the journal process writes, replay reads.

One door to its parts: journal_format.py (the files, byte by byte, and the errors), journal_writer.py (JournalWriter, and
GroupSync, which syncs from a thread of its own), journal_reader.py (JournalReader).
"""
from tickpath.shm.journal_format import (
    BLOCK_HEADER_BYTES,
    BLOCK_MAX_SLOTS,
    SEGMENT_HEADER_BYTES,
    SEGMENT_MAX_BYTES,
    JournalDamage,
    JournalDiskError,
    JournalError,
    index_file,
    segment_file,
    segment_numbers,
)
from tickpath.shm.journal_reader import JournalReader
from tickpath.shm.journal_writer import GroupSync, JournalWriter

__all__ = [
    "BLOCK_HEADER_BYTES", "BLOCK_MAX_SLOTS", "GroupSync", "JournalDamage", "JournalDiskError", "JournalError",
    "JournalReader", "JournalWriter", "SEGMENT_HEADER_BYTES", "SEGMENT_MAX_BYTES", "index_file", "segment_file",
    "segment_numbers",
]
