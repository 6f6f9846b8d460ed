"""Scenarios: faults that are armed and taken back by time or by what has happened, from a TOML file or from Python.

    name = "a reply is lost, then the stream falls silent"

    [[step]]
    at = "2s"                           # after the server's start
    arm = "lost_reply"                  # what stands beside it are the fault's own parameters
    symbol = "BTCUSDT"
    count = 1

    [[step]]
    after_fault = "lost_reply"          # when that one has hit
    then = "500ms"                      # so much later
    arm = "silent_user_stream"

    [[step]]
    after_orders = 100                  # accepted orders; likewise after_fills: each party's part of a trade
    disarm = "silent_user_stream"

    [[step]]
    at = "10s"
    playback = "pause"                  # or "resume"; `step = 5` lets five events pass

A step has one condition (none: at once) and one action, and is done once. The server runs a scenario with `--scenario FILE`; from
outside `run(FaultClient(url), load(path))` does the same, to within its polling.
"""
import asyncio
import re
import time
import tomllib
from typing import NamedTuple

from tickpath_sim.fault_table import FAULTS, FaultError, checked

__all__ = ["Scenario", "ScenarioError", "Step", "attach", "load", "parse", "run"]

POLL_S = 0.005
CONDITIONS = ("at", "after_orders", "after_fills", "after_fault")
ACTIONS = ("arm", "disarm", "playback", "step")
STEP_KEYS = {*CONDITIONS, *ACTIONS, "then"}
DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
STEPS_MAX = 10_000


class ScenarioError(ValueError):
    """A scenario that cannot be used: file, step, key, what was expected, what was found."""


class Step(NamedTuple):
    """condition : one of CONDITIONS, or None.  value : of it (seconds, a count, a fault's name).  then_s : later by so much.
    action : one of ACTIONS.  what : a fault's name, "pause", "resume", or a count.  parameters : of the fault, or of `step`."""
    number: int
    condition: str | None
    value: object
    then_s: float
    action: str
    what: object
    parameters: dict


class Scenario(NamedTuple):
    name: str
    steps: list


def load(path):
    """The Scenario of a TOML file. Errors: ScenarioError."""
    try:
        with open(path, "rb") as file:
            found = tomllib.load(file)
    except OSError as e:
        raise ScenarioError(f"{path}: expected a readable scenario, found {e.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ScenarioError(f"{path}: expected TOML, found {e}") from None
    return parse(found, path)


def parse(found, where="scenario"):
    """The Scenario of {"name": …, "step": [{…}, …]}. Errors: ScenarioError, which names `where` and the key."""
    for key in found:
        if key not in ("name", "step"):
            raise ScenarioError(f"{where}: key {key}: expected name and [[step]], found {key!r}")
    name, rows = found.get("name", ""), found.get("step")
    if not isinstance(name, str):
        raise ScenarioError(f"{where}: key name: expected a text, found {name!r}")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ScenarioError(f"{where}: key step: expected [[step]] tables, found {rows!r}"[:300])
    if len(rows) > STEPS_MAX:
        raise ScenarioError(f"{where}: key step: expected at most {STEPS_MAX} steps, found {len(rows)}")
    return Scenario(name, [_step(number, row, where) for number, row in enumerate(rows, 1)])


def _step(number, row, where):
    def wrong(key, expected, value):
        return ScenarioError(f"{where}: step {number}, key {key}: expected {expected}, found {value!r}")
    conditions = [key for key in CONDITIONS if key in row]
    actions = [key for key in ACTIONS if key in row]
    if len(conditions) > 1:
        raise wrong(conditions[1], f"one condition beside {conditions[0]}: none", row[conditions[1]])
    # `step` may be a number of events beside a fault that has no such parameter, never a second action.
    if len(actions) != 1:
        raise ScenarioError(f"{where}: step {number}, key {actions[1] if actions else 'arm'}: expected one action of "
                            f"{', '.join(ACTIONS)}, found {', '.join(actions) or 'none'}")
    condition, action = conditions[0] if conditions else None, actions[0]
    value = row.get(condition)
    if condition == "at":
        value = _seconds(value)
        if value is None:
            raise wrong("at", 'a time such as "2s" or "500ms"', row["at"])
    elif condition == "after_fault":
        if value not in FAULTS:
            raise wrong("after_fault", "a fault's name", value)
    elif condition is not None and (type(value) is not int or value <= 0):
        raise wrong(condition, "a number above 0", value)
    then_s = _seconds(row.get("then", 0))
    if then_s is None:
        raise wrong("then", 'a time such as "500ms"', row["then"])
    what, parameters = row[action], {key: v for key, v in row.items() if key not in STEP_KEYS}
    if action == "arm":
        _check_fault(what, parameters, wrong)
    elif action == "disarm" and what not in FAULTS:
        raise wrong("disarm", "a fault's name", what)
    elif action == "playback" and what not in ("pause", "resume"):
        raise wrong("playback", '"pause" or "resume"', what)
    elif action == "step" and (type(what) is not int or what <= 0):
        raise wrong("step", "a number of events above 0", what)
    allowed = {"step": {"symbol"}}.get(action, set())
    if action != "arm" and (unknown := sorted(parameters.keys() - allowed)):
        raise wrong(unknown[0], f"only {', '.join(sorted(allowed)) or 'a condition'} beside {action}", parameters[unknown[0]])
    return Step(number, condition, value, then_s, action, what, parameters)


def _check_fault(name, parameters, wrong):
    spec = FAULTS.get(name) if isinstance(name, str) else None
    if spec is None:
        raise wrong("arm", "a fault's name", name)
    venue = spec.venues[0] if spec.venues else "binance_spot"
    for key, value in parameters.items():
        try:
            checked(name, {key: value}, venue, lambda symbol: symbol)
        except FaultError as e:
            raise wrong(key, str(e).partition("expected ")[2].partition(", found")[0] or "another value", value) from None


def _seconds(value):
    """Seconds of "2s", "500ms", "1.5m" or a plain number; None when it is neither."""
    if type(value) in (int, float):
        return float(value) if value >= 0 else None
    match = DURATION.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) * UNIT_S[match[2]] if match else None


class Progress:
    """Which steps are due; each is given out once, in the order in which they become due, then that of the file."""

    def __init__(self, scenario):
        self.waiting = list(scenario.steps)
        self._delayed = []                  # (due seconds, step)
        self.done = []

    def due(self, elapsed_s, counters):
        """The steps to do now. counters : {"orders", "fills", "fired": {fault: times}}."""
        kept = []
        for step in self.waiting:
            if not self._holds(step, elapsed_s, counters):
                kept.append(step)
            else:
                # By its own time, however late it is looked at.
                since_s = step.value if step.condition == "at" else elapsed_s
                self._delayed.append((since_s + step.then_s, step))
        self.waiting = kept
        ready = sorted([pair for pair in self._delayed if pair[0] <= elapsed_s], key=lambda pair: (pair[0], pair[1].number))
        self._delayed = [pair for pair in self._delayed if pair[0] > elapsed_s]
        self.done += [step for _, step in ready]
        return [step for _, step in ready]

    @property
    def over(self):
        return not self.waiting and not self._delayed

    @staticmethod
    def _holds(step, elapsed_s, counters):
        if step.condition is None:
            return True
        if step.condition == "at":
            return elapsed_s >= step.value
        if step.condition == "after_fault":
            return counters["fired"].get(step.value, 0) > 0
        return counters[step.condition.removeprefix("after_")] >= step.value

    def describe(self):
        return {"done": [step.number for step in self.done], "waiting": [step.number for step in self.waiting]
                + [step.number for _, step in self._delayed]}


# ---- inside the server

class Runner:
    """Runs a scenario in the server: by its clock, and at the very order that fulfils a condition."""

    def __init__(self, server, scenario):
        self.server, self.scenario = server, scenario
        self.progress = Progress(scenario)
        self.orders = self.fills = 0
        self.failures = []                  # steps that the server refused: (number, why)
        self._begun = time.monotonic()
        trading = getattr(server, "trading", None)
        if trading is not None:
            trading.orders.listeners.append(self)
        server.spawn(self._watch())

    # ---- what the order service calls

    def on_order(self, order, ts_ns):
        self.orders += 1
        self._look()

    def on_events(self, events):
        fills = sum(event.kind == 2 and event.ref != 0 for event in events)
        if fills:
            self.fills += fills
            self._look()

    def on_deposit(self, account, asset, units, why=""):
        """A deposit fulfils no condition."""

    # ----

    async def _watch(self):
        while not self.progress.over:
            self._look()
            await asyncio.sleep(POLL_S)

    def counters(self):
        return counters_of(self.server, self.orders, self.fills)

    def _look(self):
        if self.progress.over:
            return
        for step in self.progress.due(time.monotonic() - self._begun, self.counters()):
            try:
                self._do(step)
            except FaultError as e:
                self.failures.append((step.number, str(e)))
                self.server.injector.note("scenario", step=step.number, refused=str(e))

    def _do(self, step):
        injector, player = self.server.injector, self.server.player
        if step.action == "arm":
            injector.arm(step.what, step.parameters)
        elif step.action == "disarm":
            injector.disarm(step.what)
        elif player is None:
            raise FaultError(f"{step.action}: expected a capture that is played, found none")
        elif step.action == "playback":
            player.set_paused(step.what == "pause")
        else:
            symbol = step.parameters.get("symbol")
            player.step(step.what, None if symbol is None else self.server.protocol.find(symbol))
        injector.note("scenario", step=step.number, action=step.action, what=step.what)

    def describe(self):
        return {"name": self.scenario.name, **self.progress.describe(), "refused": self.failures}


def attach(server, scenario):
    """Run a scenario in a server, from now on; returns its Runner. The loop must be running."""
    return Runner(server, scenario)


def counters_of(server, orders=0, fills=0):
    """What conditions look at."""
    return {"orders": orders, "fills": fills, "fired": server.injector.counts}


# ---- from outside

def run(client, scenario, seconds=None):
    """Run a scenario over the control; returns when all steps are done.

    Parameters: client : FaultClient.  seconds : at most so long.
    Returns: [(step number, seconds after the beginning)].  Errors: FaultError (a step is refused), TimeoutError.
    """
    progress, begun, done = Progress(scenario), time.monotonic(), []
    first = client.state().get("conditions", {})
    fired_before = dict(first.get("fired", {}))
    while not progress.over:
        elapsed = time.monotonic() - begun
        if seconds is not None and elapsed > seconds:
            left = progress.describe()["waiting"]
            raise TimeoutError(f"expected the scenario to end within {seconds} s, found steps {left} left")
        now = client.state().get("conditions", {})
        counters = {key: now.get(key, 0) - first.get(key, 0) for key in ("orders", "fills")}
        counters["fired"] = {name: times - fired_before.get(name, 0) for name, times in now.get("fired", {}).items()}
        for step in progress.due(elapsed, counters):
            if step.action == "arm":
                client.arm(step.what, **step.parameters)
            elif step.action == "disarm":
                client.disarm(step.what)
            elif step.action == "playback":
                (client.pause if step.what == "pause" else client.resume)()
            else:
                client.step(step.what, **step.parameters)
            done.append((step.number, time.monotonic() - begun))
        if not progress.over:
            time.sleep(POLL_S)
    return done
