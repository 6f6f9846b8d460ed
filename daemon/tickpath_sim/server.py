"""The simulated venue: sockets, the clients' subscriptions, the clock's duties, and the faults that act on sockets.

One loop, no threads. `publish` is the way of every event: truth, faults, then each client that listens, in the order in
which they subscribed.
"""
import asyncio
import contextlib
import gc
import logging
import time
from collections import Counter, deque
from dataclasses import dataclass, fields
from decimal import ROUND_HALF_EVEN, Decimal
from urllib.parse import parse_qsl, unquote, urlsplit

import picows

from tickpath_sim.connection import Connection
from tickpath_sim.faults import Injector, wire_position
from tickpath_sim.faults_api import FaultsApi
from tickpath_sim.frames import frame
from tickpath_sim.http_server import HttpServer
from tickpath_sim.playback import Player
from tickpath_sim.rest import RestSide
from tickpath_sim.tls import make_certificates, server_context
from tickpath_sim.trading import wire_log

__all__ = ["Options", "SimServer", "Timings"]

HOST = "127.0.0.1"
TICK_S = 0.02
TRADING_TICK_S = 0.01
CROWD, ROUND_TICKS = 200, 50
FLOOD_TICK_S = 0.01
CROWD_BYTES = 1 << 20
# It grows with what a client sends; ten thousand that send nothing keep this.
READ_BUFFER_BYTES = 4096
CLOSES_KEPT = 256
FRAME_BYTES_MAX = 2 << 20


class OwnFailures(logging.Handler):
    """What picows has to say of failures of ours; a client that breaks the protocol is closed with a code, and no word of it."""

    def emit(self, record):
        if not record.msg.startswith(("WS parser error", "on_ws_frame raised WSProtocolError")):
            logging.getLogger("tickpath_sim").handle(record)


WS_LOG = logging.getLogger("tickpath_sim.ws")
WS_LOG.propagate = False
WS_LOG.addHandler(OwnFailures())
WS_LOG.setLevel(logging.ERROR)


@dataclass
class Timings:
    """The venue's timings and limits; None: the venue's own, 0: none."""
    ping_interval_s: float | None = None
    pong_timeout_s: float | None = None
    cut_after_s: float | None = None
    subscribe_within_s: float | None = None
    idle_timeout_s: float | None = None
    heartbeat_s: float | None = None
    messages_per_s: int | None = None
    rest_weight_per_min: int | None = None
    orders_per_10s: int | None = None
    orders_per_day: int | None = None

    def of(self, protocol):
        """With the protocol's values where none was given; then None means that there is no such limit."""
        values = {}
        for field in fields(self):
            value = getattr(self, field.name)
            values[field.name] = getattr(protocol, field.name) if value is None else (value or None)
        return Timings(**values)


@dataclass
class Options:
    port: int = 0
    rest_port: int = 0
    faults_port: int | None = None
    tls_dir: str | None = None              # certificates are made here; None: no TLS
    speed: float = 1.0                      # 0: as fast as the clients take it
    loop: bool = False
    start_after: int = 1
    queue_bytes_max: int = 64 << 20
    stall_s: float = 5.0                    # without a pace, how long a client may hold up the others
    busy_poll: bool = False                 # the loop never sleeps: shortest replies, a whole core


class SimServer:
    """Parameters: protocol : Protocol that has read its capture.  paths, span_ns : of the capture; no paths: the market is not
    played.  trading : TradingVenue, None for a venue of market data alone.

    `wire` (a log of all bytes), `order_faults` and `at_stop` (functions) are set before `start` by who wants them.
    """

    def __init__(self, protocol, paths, span_ns, options, timings, trading=None):
        self.protocol, self.options, self.trading = protocol, options, trading
        self.wire = self.ledger = self.order_faults = self.scenario = None
        self.at_stop = []
        self.timings = timings.of(protocol)
        # Sessions read it from the protocol.
        protocol.heartbeat_s = self.timings.heartbeat_s
        self.queue_bytes_max = options.queue_bytes_max
        self.injector = Injector(protocol)
        self.injector.actions = {
            "cut": (self._begin_cut, None), "drop_all": (self._begin_drop_all, None),
            "half_open": (self._begin_half_open, self._end_half_open), "flood": (self._begin_flood, self._end_flood),
            "reconnect_move": (self._begin_move, None), "halt": (self._begin_halt, self._end_halt),
            "tick_change": (self._begin_tick_change, None)}
        self.player = Player(protocol, paths, span_ns, self.publish, self._crowded, speed=options.speed, loop=options.loop)
        self.rest = RestSide(protocol, self.injector, self.timings.rest_weight_per_min, trading)
        if trading is not None:
            trading.attach(protocol, self.injector, bool(paths))
        self.connections = {}
        self.listeners = {}                 # key of a stream -> {session: None}, in the order of subscription
        self.latest = {}                    # key of a stream -> its last event
        self.counters = Counter()
        self.closes = deque(maxlen=CLOSES_KEPT)         # close frames that clients sent, in order
        self._numbers = 0
        self._tasks = set()
        self._servers = []
        self._ws_server = None
        self._ticks = 0
        self.stopping = False

    # ---- life

    async def start(self):
        """Listen; returns the addresses as the command prints them."""
        context = ca_file = None
        if self.options.tls_dir is not None:
            ca_file, certificate, key = make_certificates(self.options.tls_dir)
            context = server_context(certificate, key)
        self._ws_server = await picows.ws_create_server(
            self._accept, HOST, self.options.port, ssl=context, enable_auto_pong=False, use_aiofastnet=False,
            disconnect_on_exception=True, backlog=4096, read_buffer_init_size=READ_BUFFER_BYTES,
            max_frame_size=FRAME_BYTES_MAX, logger_name=WS_LOG)
        port = self._ws_server.sockets[0].getsockname()[1]
        if self.trading is not None:
            self.trading.faults = self.trading.users.faults = self.order_faults
        # Faults of bytes need the transport that the tap puts between, also when nothing is logged.
        tapped = None if self.trading is None else (lambda factory: wire_log.tapped(factory, self.wire))
        rest = HttpServer(self.rest.handle, tapped)
        rest_port = await rest.listen(HOST, self.options.rest_port, context)
        self._servers.append(rest)
        faults_url = None
        if self.options.faults_port is not None:
            control = HttpServer(FaultsApi(self).handle)
            faults_url = f"http://{HOST}:{await control.listen(HOST, self.options.faults_port)}"
            self._servers.append(control)
        # Records that live long are looked through seldom: the collector's pauses are the longest replies.
        gc.collect()
        gc.freeze()
        gc.set_threshold(500_000, 50, 1000)
        self.spawn(self._keep_time())
        if self.trading is not None:
            self.spawn(self._keep_trading_time())
        self.spawn(self.player.run())
        if not self.options.start_after:
            self.player.begin()
        if self.options.busy_poll:
            self._spin()
        ws, http = ("wss", "https") if context else ("ws", "http")
        addresses = {"ws_url": f"{ws}://{HOST}:{port}", "rest_url": f"{http}://{HOST}:{rest_port}", "faults_url": faults_url,
                     "ca_file": str(ca_file) if ca_file else None}
        if self.trading is not None:
            addresses["ws_api_url"] = f"{ws}://{HOST}:{port}{self.trading.ws_api_path}"
            addresses["accounts"] = self.trading.listed_accounts()
        return addresses

    def _spin(self):
        """With something always ready to run, the loop asks for events without waiting."""
        if not self.stopping:
            asyncio.get_running_loop().call_soon(self._spin)

    async def stop(self):
        self.stopping = True
        self._ws_server.close()
        for connection in list(self.connections.values()):
            connection.close(picows.WSCloseCode.GOING_AWAY)
        for server in self._servers:
            await server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in self.at_stop:
            end()

    def spawn(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task):
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # A task of ours that fails is a defect: say so, rather than play on with half a venue.
            asyncio.get_running_loop().call_exception_handler(
                {"message": "tickpath-sim: a task failed", "exception": task.exception(), "task": task})
            self.player.failure = repr(task.exception())

    # ---- clients

    def _accept(self, request):
        try:
            parts = urlsplit(request.path.decode("latin-1") if isinstance(request.path, bytes) else request.path)
        except ValueError:
            return None
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self._numbers += 1
        connection = Connection(self, self._numbers, unquote(parts.path), query)
        return connection if connection.session is not None else None

    def session(self, connection, path, query):
        """The Session of a new connection, None for a path that the venue does not have."""
        if self.trading is not None:
            session = self.trading.ws_session(connection, path, query)
            if session is not None:
                return session
        return self.protocol.session(connection, path, query)

    def connected(self, connection):
        self.connections[connection.number] = connection
        self.counters["connections"] += 1

    def disconnected(self, connection):
        self.connections.pop(connection.number, None)
        for key in list(self.listeners):
            self.forget(key, connection.session)
        if self.wire is not None:
            self.wire.closed(connection.number)

    def listen(self, key, session):
        self.listeners.setdefault(key, {})[session] = None

    def forget(self, key, session):
        sessions = self.listeners.get(key)
        if sessions is not None:
            sessions.pop(session, None)
            if not sessions:
                del self.listeners[key]

    def subscriptions_changed(self, connection):
        if not self.player.started.is_set():
            if sum(c.session.subscribed for c in self.connections.values()) >= self.options.start_after:
                self.player.begin()

    def _crowded(self):
        """Whether a client's queue is too full to go on without a pace; one that does not empty it in time is cut off."""
        now, crowded = time.monotonic(), False
        for connection in list(self.connections.values()):
            if connection.closing:
                continue
            if connection.frozen or connection.queued_bytes() <= min(self.queue_bytes_max // 4, CROWD_BYTES):
                connection.crowded_mono = None
            elif connection.crowded_mono is None:
                connection.crowded_mono, crowded = now, True
            elif now - connection.crowded_mono > self.options.stall_s:
                self.counters["slow_disconnects"] += 1
                connection.reset()
            else:
                crowded = True
        return crowded

    # ---- events

    def publish(self, event):
        """One event of the stream: applied to the truth, then sent to whom it concerns."""
        heard = self.listeners.get(event.key)
        before = self.injector.before(event) if heard and self.injector.armed else ()
        event = self.protocol.accept(event)
        if event is None:
            return
        self.latest[event.key] = event
        if self.trading is not None:
            self.trading.market_event(event)
        if not heard:
            return
        sessions = list(heard)
        for armed in before:
            self.injector.note(armed.name, event=event, connections=[wire_position(s.connection) for s in sessions])
        if not self.injector.armed and not self.injector.planted and not self.injector.late:
            for session in sessions:
                for data in session.render(event):
                    session.connection.write_message(frame(data))
            return
        for session, outgoing in self.injector.plan(event, sessions):
            connection = session.connection
            for message in outgoing:
                for data in message.bytes_of(session):
                    if message.gap_s is None:
                        connection.write_message(data)
                    else:
                        connection.write_slowly(data, message.gap_s)

    # ---- the clock's duties

    async def _keep_time(self):
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            self.injector.tick(now)
            self._ticks += 1
            connections = list(self.connections.values())
            if len(connections) > CROWD:
                # A crowd is attended to in turn, each client once a second.
                connections = connections[self._ticks % ROUND_TICKS::ROUND_TICKS]
            for connection in connections:
                if not connection.frozen and not connection.closing:
                    self._attend(connection, now)

    async def _keep_trading_time(self):
        while True:
            await asyncio.sleep(TRADING_TICK_S)
            if self.order_faults is not None:
                self.order_faults.tick(time.monotonic())
            self.trading.tick(self.trading.now_ns())

    def _attend(self, connection, now):
        timings, session = self.timings, connection.session
        if timings.cut_after_s and now - connection.opened_mono >= timings.cut_after_s:
            self.counters["cut"] += 1
            self._say_shutdown(connection)
            connection.close(picows.WSCloseCode.GOING_AWAY)
        elif timings.subscribe_within_s and not session.subscribed and now - connection.opened_mono >= timings.subscribe_within_s:
            self.counters["never_subscribed"] += 1
            connection.close(picows.WSCloseCode.POLICY_VIOLATION, "no subscribe message")
        elif timings.idle_timeout_s and now - max(connection.heard_mono, session.data_mono) >= timings.idle_timeout_s:
            self.counters["idle"] += 1
            connection.close(picows.WSCloseCode.OK)
        elif timings.pong_timeout_s and connection.ping_payload is not None \
                and now - connection.unanswered_mono >= timings.pong_timeout_s:
            self.counters["no_pong"] += 1
            connection.close(picows.WSCloseCode.POLICY_VIOLATION, "Pong timeout")
        else:
            if timings.ping_interval_s and now - connection.pinged_mono >= timings.ping_interval_s:
                connection.ping(now)
            if timings.heartbeat_s:
                session.heartbeat(now)

    def _say_shutdown(self, connection):
        notice = self.protocol.shutdown_notice()
        if notice is not None:
            connection.send_control(notice)

    # ---- faults that act on sockets and instruments

    def _reached(self, armed):
        keys = {key for key, event in self.latest.items() if event.instrument and event.instrument.is_called(armed.symbol)}
        return [c for c in self.connections.values()
                if armed.reaches(c) and (armed.symbol is None or any(c.session in self.listeners.get(k, ()) for k in keys))]

    def _note(self, armed, connections, **detail):
        self.injector.note(armed.name, connections=[wire_position(c) for c in connections], symbol=armed.symbol,
                           **{name: armed.values[name] for name in armed.spec.parameters}, **detail)

    def _begin_cut(self, armed):
        connections = self._reached(armed)
        self._note(armed, connections)
        for connection in connections:
            self._say_shutdown(connection)
        if armed.values["after_ms"]:
            self.spawn(self._cut_later(connections, armed))
        else:
            for connection in connections:
                connection.close(armed.values["code"])

    async def _cut_later(self, connections, armed):
        await asyncio.sleep(armed.values["after_ms"] / 1000)
        for connection in connections:
            connection.close(armed.values["code"])

    def _begin_drop_all(self, armed):
        connections = self._reached(armed)
        self._note(armed, connections)
        for connection in connections:
            connection.reset()

    def _begin_half_open(self, armed):
        armed.held = self._reached(armed)
        self._note(armed, armed.held)
        for connection in armed.held:
            connection.freeze()

    def _end_half_open(self, armed):
        for connection in armed.held:
            if connection.number in self.connections:
                connection.reset()

    def _begin_flood(self, armed):
        connections = self._reached(armed)
        self._note(armed, connections)
        armed.held = [self.spawn(self._flood(connection, armed)) for connection in connections]

    def _end_flood(self, armed):
        for task in armed.held:
            task.cancel()

    async def _flood(self, connection, armed):
        """The last message of each stream the client listens to, in turn, at the rate asked for."""
        start, sent = time.monotonic(), 0
        while connection.number in self.connections and not connection.closing:
            events = [self.latest[key] for key in connection.session.names if key in self.latest]
            events = [event for event in events if armed.symbol is None
                      or event.instrument is not None and event.instrument.is_called(armed.symbol)]
            messages = [data for event in events for data in connection.session.render(event)]
            due = int((time.monotonic() - start) * armed.values["rate"]) - sent
            if messages and due > 0:
                block = b"".join(frame(data) for data in messages)
                repeats, rest = divmod(due, len(messages))
                connection.messages += due - 1
                connection.write_message(block * repeats + b"".join(frame(data) for data in messages[:rest]))
            sent += max(due, 0)
            self.counters["flood_messages"] += max(due, 0) if messages else 0
            await asyncio.sleep(FLOOD_TICK_S)

    def _instruments(self, armed):
        return [item for item in self.protocol.instruments.values() if armed.symbol is None or item.is_called(armed.symbol)]

    def _begin_move(self, armed):
        moves = {}
        for item in self._instruments(armed):
            best_bid = item.book.bids.best_price()
            if best_bid is not None:
                tick = Decimal(item.grid()[0])
                ticks = (best_bid * Decimal(str(armed.values["pct"])) / tick).quantize(Decimal(1), ROUND_HALF_EVEN)
                item.move_prices(ticks * tick)
                # Nobody is left who would have to follow: who comes back begins with a snapshot.
                item.pending = None
                moves[item.key] = format(ticks * tick, "f")
        connections = list(self.connections.values())
        self._note(armed, connections, moved=moves)
        for connection in connections:
            connection.reset()

    def _begin_halt(self, armed):
        armed.held = self._instruments(armed)
        self._note(armed, self.connections.values())
        for item in armed.held:
            item.status = armed.values["status"]
        self._tell_status(armed.held, armed.values["status"])

    def _end_halt(self, armed):
        for item in armed.held:
            item.status = None
        self._tell_status(armed.held, self.protocol.normal_status)

    def _tell_status(self, instruments, status):
        told = set()
        for item in instruments:
            for key, text in self.protocol.status_messages(item, status):
                sessions = [c.session for c in self.connections.values()] if key is None else list(self.listeners.get(key, ()))
                for session in sessions:
                    # A status of the whole venue is told once, however many instruments share it.
                    if (session, key) not in told or key is not None:
                        session.control(text)
                        told.add((session, key))

    def _begin_tick_change(self, armed):
        for item in self._instruments(armed):
            tick, lot = armed.values["tick_size"], armed.values["lot_size"]
            item.listed_before = (item.grid(), time.monotonic() + armed.values["rest_after_ms"] / 1000)
            with contextlib.suppress(ArithmeticError):
                if tick and Decimal(tick) < Decimal(item.grid()[0]):
                    item.move_prices(Decimal(tick))
                elif tick and item.price_shift:
                    item.move_prices(-(item.price_shift % Decimal(tick)))
            item.tick_size, item.lot_size = tick or item.tick_size, lot or item.lot_size
        self._note(armed, self.connections.values())
