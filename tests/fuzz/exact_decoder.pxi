# The oracle of a venue's decoder that C code can hold: one frame through both of its readers, in memory of exactly its size, so
# that a read past the padding is seen. Text of two modules that differ in the decoders they are built with: exact_frame.pyx
# (Binance's) and exact_venue.pyx (all). Each brings decoder_new, decoder_free and KINDS.
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset
from tickpath.decimal cimport DecimalGrid
from tickpath.market.instruments cimport InstrumentTable, book_rules_of, instrument_add
from tickpath.types cimport STATUS_IGNORED, STATUS_OK, Slot
from tickpath.venues.batch cimport BATCH_SLOTS, FRAME_PADDING, DecodeBatch, FrameView
from tickpath.venues.decoders cimport Decoder

# The least bytes of a frame that give a slot: ["1","1"],
cdef enum: LEVEL_BYTES_MIN = 10


cdef class ExactDecoder:
    """Two decoders, scanner on and off, over one instrument table.

    Parameters: instruments : list of (venue_symbol, tick_size, lot_size).  id_prefix : 12 bytes.
                max_frame_bytes : larger frames are refused.  kind : the venue, one of KINDS.
    """
    cdef InstrumentTable* table
    cdef Decoder scanner
    cdef Decoder general
    cdef DecodeBatch[2] batch
    cdef int64_t max_frame_bytes

    def __cinit__(self, instruments, bytes id_prefix, int64_t max_frame_bytes, kind="binance_spot"):
        cdef DecimalGrid tick, lot
        cdef bytes name
        cdef uint8_t venue = KINDS[kind]
        if len(id_prefix) != 12:
            raise ValueError(f"id_prefix: expected 12 bytes, found {len(id_prefix)}")
        self.max_frame_bytes = max_frame_bytes
        self.table = <InstrumentTable*>calloc(1, sizeof(InstrumentTable))
        if self.table == NULL:
            raise MemoryError()
        for symbol, tick_size, lot_size in instruments:
            tick, lot = DecimalGrid(tick_size), DecimalGrid(lot_size)
            name = symbol.encode()
            if instrument_add(self.table, venue, 0, name, len(name), tick.grid, lot.grid, 0, 65536,
                              book_rules_of(venue, &tick.grid, &lot.grid)) < 0:
                raise ValueError(f"instruments: expected a distinct symbol of 1 to 16 bytes, found {symbol!r}")
        if (decoder_new(&self.scanner, venue, 0, self.table, id_prefix, max_frame_bytes, True) != 0
                or decoder_new(&self.general, venue, 0, self.table, id_prefix, max_frame_bytes, False) != 0):
            raise MemoryError()
        self.batch[0].slots = <Slot*>malloc(BATCH_SLOTS * sizeof(Slot))
        self.batch[1].slots = <Slot*>malloc(BATCH_SLOTS * sizeof(Slot))
        if self.batch[0].slots == NULL or self.batch[1].slots == NULL:
            raise MemoryError()

    def __dealloc__(self):
        decoder_free(&self.scanner)
        decoder_free(&self.general)
        free(self.batch[0].slots)
        free(self.batch[1].slots)
        free(self.table)

    cdef int _decode(self, Decoder* decoder, int n, const char* frame, Py_ssize_t size, int padding,
                     int fill, uint32_t hint) except -1:
        # `fill` stands in the slots beforehand, so that a field which nobody writes differs between two decodings.
        cdef FrameView view
        cdef int status
        cdef Py_ssize_t slots = min(size // LEVEL_BYTES_MIN + 4, <Py_ssize_t>BATCH_SLOTS)
        cdef char* memory = <char*>malloc(size + FRAME_PADDING)
        if memory == NULL:
            raise MemoryError()
        memcpy(memory, frame, size)
        memset(memory + size, padding, FRAME_PADDING)
        memset(self.batch[n].slots, fill, slots * sizeof(Slot))
        view.data = memory
        view.size = size
        view.ts_recv_ns = 1
        view.instrument_hint = hint
        view.venue_slot = view.connection = 0
        with nogil:
            status = decoder.decode(decoder.self, &view, &self.batch[n])
        free(memory)
        return status

    def check(self, bytes frame, int padding, uint32_t hint):
        """(Status, slot count, taken by the scanner) of a frame. Raises AssertionError when the scanner and simdjson, or the
        same reader over other bytes behind the frame's end, differ in status or records; when a refused frame leaves a
        record; when the batch holds more than it can; when a record's field is not written."""
        cdef int status = self._decode(&self.scanner, 0, frame, len(frame), 0, 0, hint)
        cdef int count = self.batch[0].count
        cdef bint by_scanner = self.batch[0].by_scanner
        cdef int other
        if not 0 <= count <= BATCH_SLOTS:
            raise AssertionError(f"batch: expected at most {BATCH_SLOTS} slots, found {count}")
        if status < STATUS_OK or status > STATUS_IGNORED:
            raise AssertionError(f"status: expected a Status but INVALID, found {status}")
        if (status == STATUS_OK) != (count > 0):
            raise AssertionError(f"records: expected some with STATUS_OK only, found {count} with status {status}")
        for who in range(3):
            # 0 simdjson; 1 the scanner and 2 simdjson over other bytes behind the frame.
            other = self._decode(&self.scanner if who == 1 else &self.general, 1, frame, len(frame),
                                 padding if who else 0, 0xFF, hint)
            reader = ("simdjson", "scanner over other padding", "simdjson over other padding")[who]
            if other != status:
                raise AssertionError(f"status: expected {status} as from the scanner, found {other} from {reader}")
            self._compare(count, reader)
        return status, count, by_scanner

    cdef int _compare(self, int count, str reader) except -1:
        cdef DecodeBatch* a = &self.batch[0]
        cdef DecodeBatch* b = &self.batch[1]
        cdef int i
        if b.count != count:
            raise AssertionError(f"records: expected {count} as from the scanner, found {b.count} from {reader}")
        if count == 0:
            return 0
        if (a.kind, a.instrument, a.ts_venue_ns, a.last_update_id, a.level_count) != (
                b.kind, b.instrument, b.ts_venue_ns, b.last_update_id, b.level_count):
            raise AssertionError(f"batch: expected kind {a.kind}, instrument {a.instrument}, time {a.ts_venue_ns}, update "
                                 f"{a.last_update_id}, {a.level_count} levels, found {b.kind}, {b.instrument}, "
                                 f"{b.ts_venue_ns}, {b.last_update_id}, {b.level_count} from {reader}")
        for i in range(count):
            # The ring sets `seq`, the first 8 bytes.
            if memcmp(<const char*>(a.slots + i) + 8, <const char*>(b.slots + i) + 8, sizeof(Slot) - 8) != 0:
                raise AssertionError(f"record {i}: expected {(<const char*>(a.slots + i))[8:64].hex()}, found "
                                     f"{(<const char*>(b.slots + i))[8:64].hex()} from {reader}")
        return 0
