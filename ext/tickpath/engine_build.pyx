"""`Engine`, the engine's Python face: builds it from a specification (see `engine_spec` in tickpathd/engine_spec.py)."""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, strncpy

from tickpath.decimal cimport DecimalGrid
from tickpath.engine cimport CONSOLIDATED_MAX, EngineBars, TradeIds, engine_finish, engine_start
from tickpath.engine_l3 cimport order_book_new, order_books_free
from tickpath.engine_state cimport engine_publish_state
from tickpath.market.bar_set cimport bar_set_configure, bar_set_init
from tickpath.market.book cimport Book, book_free, book_init
from tickpath.market.checksum cimport BookChecksum, checksum_init
from tickpath.market.consolidated cimport ConsolidatedBook
from tickpath.market.failover cimport Failover
from tickpath.market.gate cimport GATE_EMPTY, GATE_SYNCING, Gate, GateLimits
from tickpath.market.instruments cimport BookRules, InstrumentTable, book_rules_of, instrument_add
from tickpath.shm.state_page cimport StatePageLayout
from tickpath.signals.indicators.ema cimport ema_init
from tickpath.signals.state cimport SignalState, Top
from tickpath.trading.orders cimport Order, OrderTable, order_table_init
from tickpath.trading.positions cimport Position
from tickpath.trading.risk cimport RATE_SLOTS, RiskState
from tickpath.trading.strategy cimport StrategyContext
from tickpath.types cimport (
    BOOK_SYNCING, MAX_INSTRUMENTS, MAX_STRATEGIES, MAX_VENUES, PRICE_TICKS_NONE, STATUS_OK, TRADING_NORMAL, VENUE_BYBIT,
    VENUE_CCXT, Slot,
)
from tickpath.venues.batch cimport BATCH_SLOTS
from tickpath.venues.binance_encode cimport EncodeBuffer
from tickpath.venues.decoders cimport decoder_free, decoder_new

import dataclasses

import numpy as np

from tickpath.clock import calibrate_cycles_per_ns
from tickpath.market.bar_spec import interval_text, parse_bar_spec
from tickpath.shm.state_page import state_page_bytes
from tickpath.trading.loader import load_strategy
from tickpath.trading.orders import client_order_prefix
from tickpath.trading.python_host import PythonHost
from tickpath.types import SLOT_DTYPE
from tickpath.venues.decoders import KINDS

BAR_GRACE_NS = 250_000_000            # of a specification that does not say


cdef void send_nowhere(void* self, const Order* o, bint is_cancel, EncodeBuffer* buffer, int64_t now_ns) noexcept nogil:
    pass                                   # replay: the replies come from the journal


VENUE_KINDS = KINDS
DEFAULT_VENUES = ("binance_spot",)
MODES = {"backtest": 1, "paper": 2, "live": 3, "replay": 4}


cdef class Engine:
    """The engine of one run.

    Parameters: spec : dict as `engine_spec(config)` makes it.  writer : EventWriter of the event ring.
                state_buffer : memory of `state_page_bytes()` bytes, or None for private memory.
    Errors: ValueError naming the key for a specification that makes no sense; MemoryError.
    """
    def __cinit__(self, spec, EventWriter writer not None, state_buffer=None, *, use_scanner=True):
        cdef uint8_t[::1] memory
        cdef EngineCore* e
        self.spec = spec
        self.writer = writer
        e = self.core = <EngineCore*>calloc(1, sizeof(EngineCore))
        if e == NULL:
            raise MemoryError()
        e.ring = &writer.ring
        self._page_buffer = state_buffer if state_buffer is not None else bytearray(state_page_bytes())
        memory = self._page_buffer
        e.page = <StatePageLayout*>&memory[4096]
        e.instruments = <InstrumentTable*>calloc(1, sizeof(InstrumentTable))
        e.books = <Book*>calloc(MAX_INSTRUMENTS, sizeof(Book))
        e.gates = <Gate*>calloc(MAX_INSTRUMENTS, sizeof(Gate))
        e.trade_ids = <TradeIds*>calloc(MAX_INSTRUMENTS, sizeof(TradeIds))
        e.failovers = <Failover*>calloc(MAX_INSTRUMENTS, sizeof(Failover))
        e.checksums = <BookChecksum*>calloc(MAX_INSTRUMENTS, sizeof(BookChecksum))
        e.gate_limits = <GateLimits*>calloc(MAX_INSTRUMENTS, sizeof(GateLimits))
        e.tops = <Top*>calloc(MAX_INSTRUMENTS, sizeof(Top))
        e.signals = <SignalState*>calloc(MAX_INSTRUMENTS, sizeof(SignalState))
        e.bars = <EngineBars*>calloc(1, sizeof(EngineBars))
        e.risk = <RiskState*>calloc(1, sizeof(RiskState))
        e.orders = <OrderTable*>calloc(1, sizeof(OrderTable))
        e.account = <Position*>calloc(MAX_INSTRUMENTS, sizeof(Position))
        e.positions = <Position*>calloc(MAX_STRATEGIES * MAX_INSTRUMENTS, sizeof(Position))
        e.buffer = <EncodeBuffer*>calloc(1, sizeof(EncodeBuffer))
        if (e.instruments == NULL or e.trade_ids == NULL or e.checksums == NULL or e.gates == NULL or e.gate_limits == NULL
                or e.books == NULL or e.tops == NULL or e.signals == NULL or e.risk == NULL or e.orders == NULL
                or e.account == NULL or e.positions == NULL or e.buffer == NULL or e.bars == NULL or e.failovers == NULL):
            raise MemoryError()
        prefix = client_order_prefix(spec["instance"], spec["epoch"]).encode()
        memcpy(e.id_prefix, <const char*>prefix, 12)
        self._build_instruments(spec)
        self._build_bars(spec)
        for kind in spec.get("venues", DEFAULT_VENUES):
            if decoder_new(&e.decoders[e.venue_count], VENUE_KINDS[kind], e.venue_count, e.instruments, e.id_prefix,
                           spec["max_frame_bytes"], use_scanner) != 0:
                raise MemoryError()
            e.venue_count += 1
        self._build_fallbacks(spec)
        self._batch_slots = np.zeros(BATCH_SLOTS, SLOT_DTYPE)
        memory = self._batch_slots.view(np.uint8)
        e.batch.slots = <Slot*>&memory[0]
        order_table_init(e.orders)
        e.gateway.send = send_nowhere
        e.stamps_on = spec["stamps"]
        e.risk.trading_state = e.operator_state = e.guard_state = TRADING_NORMAL
        self._build_strategies(spec)
        self._write_info(spec)
        engine_publish_state(e)

    cdef void _free(self) noexcept:
        cdef EngineCore* e = self.core
        cdef int i
        if e == NULL:
            return
        self.core = NULL
        order_books_free(e)
        if e.books != NULL:
            for i in range(MAX_INSTRUMENTS):
                book_free(&e.books[i])
        if e.failovers != NULL:
            for i in range(MAX_INSTRUMENTS):
                book_free(&e.failovers[i].standby)
        for i in range(e.venue_count):
            decoder_free(&e.decoders[i])
        free(e.instruments)
        free(e.books)
        free(e.gates)
        free(e.gate_limits)
        free(e.checksums)
        free(e.trade_ids)
        free(e.failovers)
        free(e.tops)
        free(e.signals)
        free(e.bars)
        free(e.risk)
        free(e.orders)
        free(e.account)
        free(e.positions)
        free(e.buffer)
        free(e)

    def __dealloc__(self):
        self._free()

    def _build_instruments(self, spec):
        cdef EngineCore* e = self.core
        cdef DecimalGrid tick, lot
        cdef SignalState* s
        cdef int n
        cdef bytes symbol
        cdef BookRules rules
        venues = spec.get("venues", DEFAULT_VENUES)
        if not 0 < len(venues) <= MAX_VENUES:
            raise ValueError(f"venues: expected 1 to {MAX_VENUES}, found {len(venues)}")
        for item in spec["instruments"]:
            tick = DecimalGrid(item["tick_size"])
            lot = DecimalGrid(item["lot_size"])
            symbol = item["venue_symbol"].encode()
            slot = item.get("venue", 0)
            venue = VENUE_KINDS[venues[slot]]
            rules = book_rules_of(venue, &tick.grid, &lot.grid)
            rules.max_levels = item.get("book_max_levels", 0)
            rules.price_decimals = item.get("price_decimals", rules.price_decimals)
            rules.qty_decimals = item.get("qty_decimals", rules.qty_decimals)
            n = instrument_add(e.instruments, venue, slot, symbol, len(symbol), tick.grid, lot.grid,
                               item["min_notional_ticklots"], item["book_window_ticks"], rules)
            if n < 0:
                raise ValueError(f"instruments: expected at most {MAX_INSTRUMENTS} distinct symbols of 1 to 24 bytes, "
                                 f"found {item['venue_symbol']!r}")
            if book_init(&e.books[n], item["book_window_ticks"], rules) != 0:
                raise MemoryError()
            if item.get("l3_orders", 0) and order_book_new(e, n, item["l3_orders"], item.get("l3_depth", 0)) != 0:
                raise MemoryError()
            if checksum_init(&e.checksums[n], rules.checksum, &tick.grid, &lot.grid, rules.price_decimals,
                             rules.qty_decimals) != STATUS_OK:
                raise ValueError(f"{item['venue_symbol']}: expected price_decimals and qty_decimals of at least those of "
                                 f"tick_size {item['tick_size']} and lot_size {item['lot_size']}, found "
                                 f"{rules.price_decimals} and {rules.qty_decimals}")
            e.tops[n].bid_price_ticks = e.tops[n].ask_price_ticks = PRICE_TICKS_NONE
            e.tops[n].state = e.gates[n].state = BOOK_SYNCING
            e.gates[n].causes = GATE_SYNCING | GATE_EMPTY
            e.gate_limits[n].max_spread = item.get("max_spread_bps", 1e4) / 1e4
            e.gate_limits[n].max_jump = item.get("max_jump_bps", 1e4) / 1e4
            e.gate_limits[n].jump_hold_ns = item.get("jump_hold_ns", 0)
            e.gate_limits[n].max_crossed_ns = item.get("max_crossed_ns", 10 ** 9)
            e.gate_limits[n].max_age_ns = spec["max_data_age_ns"]
            s = &e.signals[n]
            s.imbalance_levels = spec["imbalance_levels"]
            ema_init(&s.ema_fast, spec["ema_fast"])
            ema_init(&s.ema_slow, spec["ema_slow"])
            e.risk.limits[n].max_order_qty_lots = item["max_order_qty_lots"]
            e.risk.limits[n].max_order_notional_ticklots = item["max_order_notional_ticklots"]
            e.risk.limits[n].max_position_notional_ticklots = item["max_position_notional_ticklots"]
            e.risk.limits[n].qty_step_lots = item["qty_step_lots"]
            e.risk.limits[n].price_collar_e2_bps = item["price_collar_e2_bps"]
            e.risk.limits[n].max_open_orders = item["max_open_orders"]
        self._build_consolidated(spec)
        e.risk.max_data_age_ns = spec["max_data_age_ns"]
        e.risk.max_orders_per_min = spec["max_orders_per_min"]
        if not 0 < e.risk.max_orders_per_min <= RATE_SLOTS:
            raise ValueError(f"max_orders_per_min: expected 1 to {RATE_SLOTS}, found {spec['max_orders_per_min']}")

    def _build_bars(self, spec):
        """Of every instrument: spec["bars"], texts as of `parse_bar_spec`; without it time bars of spec["bar_interval_ns"]."""
        cdef EngineCore* e = self.core
        cdef int i
        texts = spec.get("bars") or [interval_text(spec["bar_interval_ns"])]
        self.bar_specs = tuple(texts)
        e.bars_due_ns = INT64_MAX
        for i in range(MAX_INSTRUMENTS):
            e.bars.dues_ns[i] = INT64_MAX
        for i, item in enumerate(spec["instruments"]):
            # Ids that are no numbers of a sequence say nothing about the order of trades (see is_known_trade).
            ordered = e.instruments.items[i].venue not in (VENUE_BYBIT, VENUE_CCXT)
            specs = []
            for text in texts:
                parsed = parse_bar_spec(text, late_rule=spec.get("bar_late_rule", "add"), trade_ids_ordered=ordered)
                specs.append(dataclasses.replace(parsed, emit_empty=bool(spec.get("empty_bars") and parsed.interval_ns)))
            bar_set_init(&e.bars.sets[i], spec.get("bar_grace_ns", BAR_GRACE_NS))
            bar_set_configure(&e.bars.sets[i], tuple(specs), item["tick_size"], item["lot_size"],
                              spec.get("empty_bars_max", 0))

    def _build_consolidated(self, spec):
        """Instruments that several venues quote: spec["consolidated"] is a list of lists of instrument numbers."""
        cdef EngineCore* e = self.core
        cdef ConsolidatedBook book
        cdef int k, i
        for i in range(MAX_INSTRUMENTS):
            e.consolidated_of[i] = -1
        groups = spec.get("consolidated", ())
        if len(groups) > CONSOLIDATED_MAX:
            raise ValueError(f"consolidated: expected at most {CONSOLIDATED_MAX} groups, found {len(groups)}")
        for k, members in enumerate(groups):
            book = ConsolidatedBook([(i, spec["instruments"][i]["tick_size"], spec["instruments"][i]["lot_size"])
                                     for i in members], instrument=members[0])
            e.consolidated[k] = book.c
            for i in members:
                e.consolidated_of[i] = k
        e.consolidated_count = len(groups)

    def _build_fallbacks(self, spec):
        """spec["fallbacks"]: {venue (its slot), source (FeedSource), after_ns, trading} each; their frames have slots of their
        own, behind those of the venues."""
        cdef EngineCore* e = self.core
        cdef Failover* f
        cdef int i
        cdef BookRules rules
        for item in spec.get("fallbacks", ()):
            if e.venue_count == MAX_VENUES:
                raise ValueError(f"fallbacks: expected at most {MAX_VENUES} venues and fallbacks, found one more")
            if decoder_new(&e.decoders[e.venue_count], VENUE_CCXT, item["venue"], e.instruments, e.id_prefix,
                           spec["max_frame_bytes"], True) != 0:
                raise MemoryError()
            for i in range(e.instruments.count):
                if e.instruments.items[i].venue_slot != item["venue"]:
                    continue
                if e.l3[i] != NULL:
                    raise ValueError("fallbacks: expected books of levels, found one made from single orders")
                f = &e.failovers[i]
                rules = book_rules_of(VENUE_CCXT, &e.instruments.items[i].price_grid, &e.instruments.items[i].qty_grid)
                if book_init(&f.standby, e.instruments.items[i].book_window_ticks, rules) != 0:
                    raise MemoryError()
                f.configured = 1
                f.source = item["source"]
                f.trading = item["trading"]
                f.after_ns = item["after_ns"]
                f.venue_slot = e.venue_count
            e.venue_count += 1

    def _build_strategies(self, spec):
        cdef EngineCore* e = self.core
        cdef StrategyContext* ctx
        cdef int i
        self.strategies = []
        if len(spec["strategies"]) > MAX_STRATEGIES:
            raise ValueError(f"strategies: expected at most {MAX_STRATEGIES}, found {len(spec['strategies'])}")
        for i, item in enumerate(spec["strategies"]):
            strategy = load_strategy(item["name"], item["kind"], item["parameters"], spec["seed"])
            if isinstance(strategy, PythonHost):
                strategy.name_bars(self.bar_specs)
            self.strategies.append(strategy)
            e.strategies[i] = <void*>strategy
            ctx = &e.contexts[i]
            ctx.strategy = i
            ctx.instrument = item["instrument"]
            ctx.tops = e.tops
            ctx.signals = e.signals
            ctx.bars = e.bars.sets
            ctx.books = e.books
            ctx.positions = e.positions + i * MAX_INSTRUMENTS
            ctx.orders = e.orders
            ctx.actions = &e.actions
            ctx.timers = &e.timers
            ctx.l3 = e.l3
            ctx.random_state = spec["seed"] * 1000003 + i
        e.strategy_count = len(spec["strategies"])

    def _write_info(self, spec):
        cdef EngineCore* e = self.core
        cdef int i
        cdef bytes name
        e.page.info.cycles_per_ns = spec.get("cycles_per_ns") or calibrate_cycles_per_ns()
        e.page.info.instrument_count = e.instruments.count
        e.page.info.strategy_count = e.strategy_count
        e.page.info.mode = MODES[spec["mode"]]
        e.page.info.started_ns = spec.get("started_ns", 0)
        for i in range(e.instruments.count):
            memcpy(e.page.info.symbols[i], e.instruments.items[i].symbol, 24)
            e.page.info.tick_mantissa[i] = e.instruments.items[i].price_grid.mantissa
            e.page.info.tick_scale[i] = e.instruments.items[i].price_grid.scale
            e.page.info.lot_mantissa[i] = e.instruments.items[i].qty_grid.mantissa
            e.page.info.lot_scale[i] = e.instruments.items[i].qty_grid.scale
            e.page.info.instrument_venues[i] = e.instruments.items[i].venue_slot
        e.page.info.venue_count = e.venue_count
        for i, venue in enumerate(spec.get("venue_names", spec.get("venues", DEFAULT_VENUES))):
            name = venue.encode()[:31]
            strncpy(e.page.info.venues[i], name, 31)
        for i in range(e.strategy_count):
            name = self.strategies[i].name.encode()[:31]
            strncpy(e.page.info.strategies[i], name, 31)
        e.page.bar_spec_count = len(self.bar_specs)
        for i in range(<int>len(self.bar_specs)):
            name = self.bar_specs[i].encode()[:31]
            strncpy(e.page.bar_specs[i], name, 31)

    def start(self, int64_t ts_ns):
        """Call the strategies' on_start. ts_ns: receive time of the first input."""
        engine_start(self.core, ts_ns)

    def finish(self):
        """Write the last record of an orderly run and the last state page."""
        engine_finish(self.core)

    def publish_state(self):
        engine_publish_state(self.core)

    @property
    def now_ns(self):
        return self.core.now_ns

    @property
    def started(self):
        return bool(self.core.started)

    @property
    def open_orders(self):
        return self.core.orders.open_count

    @property
    def state_buffer(self):
        """The state page's memory, for StatePage(engine.state_buffer)."""
        return self._page_buffer

    @property
    def last_request(self):
        """Bytes of the last encoded request, for tests."""
        return (<char*>self.core.buffer.text)[:self.core.buffer.size]
