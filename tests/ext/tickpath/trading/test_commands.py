"""Command lanes through the engine: permission, exactly one answer, no repetition, order, and replay that answers alike."""
import os
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_harness import Market
from example_counts import examples
from tickpath.engine import Engine
from tickpath.session import Session
from tickpath.shm.lane import CommandClient, CommandLane, LaneFull, lane_bytes
from tickpath.shm.ring import EventReader, EventWriter, records, ring_bytes
from tickpath.shm.segment import create_segment
from tickpath.types import CommandKind, EventType, HealthKind, OrderState, Reason, Role, TradingState

ROLES = ["viewer", "agent", "trader", "risk", "admin"]
# Who may do what; each role may do what those before it may.
LEAST = {CommandKind.COMMAND_PING: "viewer", CommandKind.COMMAND_KILL: "trader", CommandKind.COMMAND_CANCEL_ALL: "trader",
         CommandKind.COMMAND_SET_STATE: "risk", CommandKind.COMMAND_STOP: "admin", CommandKind.COMMAND_GUARD: None}


class Laned(Market):
    """A market whose engine has one lane a role, in real segments."""

    def __init__(self, instance, **more):
        ring = create_segment(instance, "ring", ring_bytes(1 << 16), slot_count=1 << 16)
        self.segments = [ring]
        super().__init__(writer=EventWriter(ring.buffer), **more)
        self.lanes = {}
        for index, role in enumerate(ROLES):
            segment = create_segment(instance, f"lane.{role}", lane_bytes(64), slot_count=64, mode=0o660)
            self.segments.append(segment)
            self.lanes[role] = CommandLane(segment.buffer, index, Role[f"ROLE_{role.upper()}"], role)
            self.session.add_lane(self.lanes[role])
        self.instance = instance

    def client(self, role="admin"):
        return CommandClient(self.instance, role)

    def ask(self, client, kind, **fields):
        request = client.send(kind, **fields)
        self.turn()
        return client.wait(request)

    def state(self):
        return TradingState(self.totals()["trading_state"])


@pytest.fixture
def market():
    made = []

    def make(**more):
        made.append(Laned(f"tcmd-{os.getpid()}-{time.monotonic_ns() % 10**9}", **more))
        return made[-1]
    yield make
    for m in made:
        for segment in m.segments:
            segment.close()


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_do_what_its_table_says_and_no_more(market, role):
    m = market()
    client = m.client(role)
    for kind, least in LEAST.items():
        if kind == CommandKind.COMMAND_STOP and role == "admin":
            continue                                   # ends the session: has a test of its own
        answer = m.ask(client, kind, value=int(TradingState.TRADING_NORMAL))
        allowed = least is not None and ROLES.index(role) >= ROLES.index(least)
        assert answer["reason"] == (Reason.REASON_OK if allowed else Reason.REASON_ROLE_FORBIDS), kind


def test_a_role_written_into_the_lane_is_ignored(market):
    m = market()
    client = m.client("viewer")
    segment = next(s for s in m.segments if s.name.endswith("lane.viewer"))
    segment.buffer[256] = int(Role.ROLE_ADMIN)         # where the lane tells its role
    segment.buffer[192] = 4                            # and its index
    assert m.ask(client, CommandKind.COMMAND_KILL)["reason"] == Reason.REASON_ROLE_FORBIDS
    assert m.state() == TradingState.TRADING_NORMAL


def test_a_command_is_journaled_before_it_acts_and_answered_once(market):
    m = market()
    ordinal = m.submit()
    m.quote(ms=20)
    client = m.client("risk")
    answer = m.ask(client, CommandKind.COMMAND_KILL)
    slots = EventReader(m.writer.buffer, 1).read(1 << 16)
    commands = m.records(EventType.EV_COMMAND)
    assert len(commands) == 1 and commands[0]["seq"] == answer["holds_seq"] == answer["seq"]
    assert (commands[0]["lane"], commands[0]["role"]) == (3, Role.ROLE_RISK)
    after = slots["type"][int(np.flatnonzero(slots["seq"] == answer["seq"])[0]) + 2:]
    assert EventType.EV_CANCEL in after and EventType.EV_HEALTH in after
    assert EventType.EV_CANCEL not in slots["type"][:int(np.flatnonzero(slots["seq"] == answer["seq"])[0])]
    m.quote(ms=20)
    assert m.states(ordinal)[-1] == OrderState.ORDER_CANCELED and m.state() == TradingState.TRADING_HALTED


def test_a_repeated_request_gets_the_first_answer_again_and_does_nothing(market):
    m = market()
    client = m.client("risk")
    first = m.ask(client, CommandKind.COMMAND_SET_STATE, value=int(TradingState.TRADING_CANCEL_ONLY), request_id=7)
    m.ask(client, CommandKind.COMMAND_SET_STATE, value=int(TradingState.TRADING_NORMAL), request_id=8)
    again = m.ask(client, CommandKind.COMMAND_SET_STATE, value=int(TradingState.TRADING_CANCEL_ONLY), request_id=7)
    assert again["repeated"] and not first["repeated"]
    assert (again["reason"], again["holds_seq"]) == (first["reason"], first["holds_seq"]) and again["seq"] > first["seq"]
    assert m.state() == TradingState.TRADING_NORMAL
    refused = m.ask(client, CommandKind.COMMAND_STOP, request_id=9)
    assert m.ask(client, CommandKind.COMMAND_PING, request_id=9)["reason"] == refused["reason"] == Reason.REASON_ROLE_FORBIDS


def test_a_request_older_than_what_is_remembered_is_refused_not_done_again(market):
    m = market()
    client = m.client("risk")
    m.ask(client, CommandKind.COMMAND_SET_STATE, value=int(TradingState.TRADING_CANCEL_ONLY), request_id=1)
    m.ask(client, CommandKind.COMMAND_SET_STATE, value=int(TradingState.TRADING_NORMAL), request_id=2)
    for request_id in range(3, 70):
        m.ask(client, CommandKind.COMMAND_PING, request_id=request_id)
    answer = m.ask(client, CommandKind.COMMAND_SET_STATE, value=int(TradingState.TRADING_CANCEL_ONLY), request_id=1)
    assert answer["reason"] == Reason.REASON_REQUEST_TOO_OLD and m.state() == TradingState.TRADING_NORMAL


@pytest.mark.parametrize(("fields", "reason"), [
    ({"kind": 0}, Reason.REASON_COMMAND_UNKNOWN), ({"kind": 99}, Reason.REASON_COMMAND_UNKNOWN),
    ({"kind": 65535}, Reason.REASON_COMMAND_UNKNOWN),
    ({"kind": CommandKind.COMMAND_SET_STATE, "value": 0}, Reason.REASON_COMMAND_MALFORMED),
    ({"kind": CommandKind.COMMAND_SET_STATE, "value": 6}, Reason.REASON_COMMAND_MALFORMED),
    ({"kind": CommandKind.COMMAND_SET_STATE, "value": -2 ** 63}, Reason.REASON_COMMAND_MALFORMED),
    ({"kind": CommandKind.COMMAND_PING, "request_id": 0}, Reason.REASON_COMMAND_MALFORMED)])
def test_a_malformed_command_is_refused_with_its_reason(market, fields, reason):
    m = market()
    fields = dict(fields)
    answer = m.ask(m.client("admin"), int(fields.pop("kind")), **fields)
    assert answer["reason"] == reason and m.state() == TradingState.TRADING_NORMAL
    assert m.totals()["command_refusals"] == 1


def test_sixteen_commands_a_lane_and_turn_lanes_in_index_order(market):
    m = market()
    clients = [m.client("admin"), m.client("viewer")]
    for client in clients:
        for _ in range(40):
            client.send(CommandKind.COMMAND_PING)
    for expected in (16, 16, 8, 0):
        before = len(m.records(EventType.EV_COMMAND))
        assert m.turn() == 2 * expected
        lanes = m.records(EventType.EV_COMMAND)["lane"][before:].tolist()
        assert lanes == [0] * expected + [4] * expected


def test_a_full_lane_refuses_at_the_client_and_loses_nothing(market):
    m = market()
    client = m.client("trader")
    sent = [client.send(CommandKind.COMMAND_PING) for _ in range(64)]
    with pytest.raises(LaneFull, match="expected room for a command, found all 64 slots waiting"):
        client.send(CommandKind.COMMAND_KILL)
    while m.turn():
        pass
    assert [client.wait(r)["reason"] for r in sent] == [Reason.REASON_OK] * 64
    assert m.records(EventType.EV_COMMAND)["request_id"].tolist() == sent
    assert m.ask(client, CommandKind.COMMAND_KILL)["reason"] == Reason.REASON_OK


def test_stop_through_a_lane_ends_the_session(market):
    m = market()
    assert m.ask(m.client("admin"), CommandKind.COMMAND_STOP)["reason"] == Reason.REASON_OK
    assert m.session.stopping and m.state() == TradingState.TRADING_HALTED


def test_cancel_all_cancels_every_order_and_leaves_the_state(market):
    m = market()
    ordinals = [m.submit(price_ticks=9900 - k) for k in range(5)]
    m.quote(ms=20)
    m.ask(m.client("trader"), CommandKind.COMMAND_CANCEL_ALL)
    m.quote(ms=20)
    assert [m.states(o)[-1] for o in ordinals] == [OrderState.ORDER_CANCELED] * 5
    assert m.state() == TradingState.TRADING_NORMAL


ASKS = st.lists(st.tuples(st.sampled_from(ROLES), st.integers(0, 7), st.integers(0, 6), st.integers(0, 12)), max_size=40)


@settings(max_examples=examples(60), deadline=None)
@given(ASKS)
def test_any_commands_give_one_answer_each_and_replay_answers_alike(asks):
    m = Laned(f"tcmd-{os.getpid()}-{time.monotonic_ns() % 10**9}")
    try:
        clients = {role: m.client(role) for role in ROLES}
        for role, kind, value, request in asks:
            if kind == CommandKind.COMMAND_STOP:
                continue
            clients[role].send(kind, value=value, request_id=request)
            m.turn()
            m.quote()
        sent = [(ROLES.index(r), q) for r, k, _, q in asks if k != CommandKind.COMMAND_STOP]
        found = m.records(EventType.EV_COMMAND)
        assert list(zip(found["lane"].tolist(), found["request_id"].tolist(), strict=True)) == sent
        slots = EventReader(m.writer.buffer, 1).read(1 << 16)
        writer = EventWriter.local(1 << 16)
        replayed = Session(Engine({**m.engine.spec, "mode": "replay"}, writer))
        replayed.feed(slots)
        again = EventReader(writer.buffer, 1).read(1 << 16)
        for kind in (EventType.EV_COMMAND, EventType.EV_HEALTH):
            assert records(again, kind).tobytes() == records(slots, kind).tobytes()
        health = records(slots, EventType.EV_HEALTH)
        states = health["value"][health["kind"] == HealthKind.HEALTH_TRADING_STATE].tolist()
        assert all(a != b for a, b in zip(states, states[1:], strict=False))
    finally:
        for segment in m.segments:
            segment.close()
