"""Scenarios: what a file may say, when its steps are due, and a real server that does them."""
import threading

import pytest
from trading_harness import ALICE, BOB, Refused, TradingSim

from tickpath_sim import scenarios
from tickpath_sim.cli import main
from tickpath_sim.scenarios import Progress, ScenarioError, load, parse


def none(**counters):
    return {"orders": 0, "fills": 0, "fired": {}, **counters}


def steps_of(*rows):
    return Progress(parse({"step": list(rows)}))


def due(progress, elapsed_s, **counters):
    return [step.number for step in progress.due(elapsed_s, none(**counters))]


# ---- what it says

@pytest.mark.parametrize(("text", "words"), [
    ("step = [", "expected TOML"),
    ('nam = "x"', "key nam: expected name and [[step]], found 'nam'"),
    ('name = "x"', "key step: expected [[step]] tables, found None"),
    ("name = 1\nstep = []", "key name: expected a text, found 1"),
    ('[[step]]\nat = "soon"\narm = "cut"', 'step 1, key at: expected a time such as "2s" or "500ms", found \'soon\''),
    ('[[step]]\nat = "2s"', "step 1, key arm: expected one action of arm, disarm, playback, step, found none"),
    ('[[step]]\narm = "cut"\ndisarm = "cut"', "step 1, key disarm: expected one action of "),
    ('[[step]]\nat = "1s"\nafter_orders = 2\narm = "cut"', "step 1, key after_orders: expected one condition beside at: none"),
    ('[[step]]\narm = "cut"\n[[step]]\narm = "explode"', "step 2, key arm: expected a fault's name, found 'explode'"),
    ('[[step]]\narm = "lost_reply"\nhow = "loudly"', "step 1, key how: expected one of silence, reset, close, found 'loudly'"),
    ('[[step]]\narm = "lost_reply"\nsymbol = 7', "step 1, key symbol: expected str, found 7"),
    ('[[step]]\narm = "lost_reply"\nwhy = "x"', "step 1, key why: expected keys of "),
    ('[[step]]\nafter_orders = 0\narm = "cut"', "step 1, key after_orders: expected a number above 0, found 0"),
    ('[[step]]\nafter_fault = "x"\narm = "cut"', "step 1, key after_fault: expected a fault's name, found 'x'"),
    ('[[step]]\nplayback = "rewind"', 'step 1, key playback: expected "pause" or "resume", found \'rewind\''),
    ('[[step]]\nstep = -1', "step 1, key step: expected a number of events above 0, found -1"),
    ('[[step]]\ndisarm = "cut"\nsymbol = "X"', "step 1, key symbol: expected only a condition beside disarm, found 'X'"),
    ('[[step]]\narm = "cut"\nthen = "-1s"', 'step 1, key then: expected a time such as "500ms", found \'-1s\'')])
def test_an_error_names_the_file_and_the_key(tmp_path, text, words):
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as error:
        load(path)
    assert str(error.value).startswith(str(path)) and words in str(error.value)


def test_a_file_that_is_not_there_or_is_no_text(tmp_path):
    with pytest.raises(ScenarioError, match="expected a readable scenario, found No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError, match="expected TOML"):
        load(tmp_path / "bytes.toml")


# ---- when

def test_steps_are_due_by_time_in_the_order_of_time_and_file_each_once():
    progress = steps_of({"at": "2s", "arm": "cut"}, {"at": "500ms", "disarm": "cut"}, {"at": 1, "arm": "cut"}, {"arm": "silent"},
                        {"at": "0.5s", "arm": "drop_all"})
    assert due(progress, 0.0) == [4]
    assert due(progress, 0.499) == [] and due(progress, 0.5) == [2, 5]
    assert due(progress, 60.0) == [3, 1]
    assert progress.over and due(progress, 99.0) == []


def test_conditions_hold_from_their_number_on_and_then_waits():
    progress = steps_of({"after_orders": 3, "arm": "cut"}, {"after_fills": 1, "arm": "silent", "then": "1s"},
                        {"after_fault": "cut", "disarm": "silent"})
    assert due(progress, 0.0, orders=2) == []
    assert due(progress, 1.0, orders=4, fills=2) == [1]
    assert due(progress, 1.5, orders=9, fills=9) == [] and due(progress, 2.0, orders=9) == [2]
    assert due(progress, 2.1, fired={"late": 1}) == [] and due(progress, 2.2, fired={"cut": 1}) == [3]
    assert progress.describe() == {"done": [1, 2, 3], "waiting": []}


# ---- a server

SCENARIO = """
name = "the third order is lost, then no more balance"
[[step]]
after_orders = 2
arm = "lost_reply"
how = "reset"

[[step]]
after_fault = "lost_reply"
arm = "no_balance"
seconds = 60.0

[[step]]
after_fault = "no_balance"
disarm = "no_balance"
"""


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    directory = tmp_path_factory.mktemp("scenario")
    path = directory / "scenario.toml"
    path.write_text(SCENARIO)
    venue = TradingSim(directory, "--no-limits", "--scenario", path)
    yield venue
    assert venue.end() == (0, "")


def test_the_server_does_what_the_file_says_at_the_very_order(venue):
    alice = venue.rest(ALICE)
    for _ in range(2):
        alice.order("BUY", "1", "100")
    with pytest.raises((ConnectionError, OSError)):
        alice.order("BUY", "1", "100")
    alice = venue.rest(ALICE)
    venue.faults.wait(lambda state: 2 in state["scenario"]["done"])
    with pytest.raises(Refused) as refused:
        alice.order("BUY", "1", "100")
    assert refused.value.code == -2010
    state = venue.faults.wait(lambda state: not state["scenario"]["waiting"])
    assert state["scenario"]["name"].startswith("the third order") and state["scenario"]["refused"] == []
    alice.order("BUY", "1", "100")
    assert [entry["step"] for entry in venue.faults.log("scenario")] == [1, 2, 3]


def test_the_same_from_outside(venue):
    bob, done = venue.rest(BOB), []
    scenario = parse({"step": [{"arm": "no_balance", "account": "bob", "count": 1},
                               {"after_fault": "no_balance", "arm": "filter_reject", "account": "bob", "then": "50ms"}]})
    runner = threading.Thread(target=lambda: done.extend(scenarios.run(venue.faults, scenario, seconds=20)))
    runner.start()
    venue.faults.wait(lambda state: True)
    while "no_balance" not in [armed["name"] for armed in venue.faults.faults()["armed"]] and runner.is_alive():
        pass
    with pytest.raises(Refused) as refused:
        bob.order("BUY", "1", "100")
    assert refused.value.code == -2010
    runner.join(20)
    with pytest.raises(Refused) as refused:
        bob.order("BUY", "1", "100")
    assert refused.value.code == -1013 and [number for number, _ in done] == [1, 2] and done[1][1] - done[0][1] >= 0.05


def test_a_scenario_that_does_not_end_in_time_says_what_is_left(venue):
    with pytest.raises(TimeoutError, match=r"expected the scenario to end within 0.05 s, found steps \[1\] left"):
        scenarios.run(venue.faults, parse({"step": [{"after_orders": 10**6, "arm": "cut"}]}), seconds=0.05)


def test_a_bad_scenario_or_a_used_log_directory_keeps_the_server_from_starting(tmp_path, capsys):
    path = tmp_path / "scenario.toml"
    path.write_text('[[step]]\narm = "explode"')
    assert main(["serve", "--port", "0", "--scenario", str(path)]) == 1
    assert "scenario.toml: step 1, key arm: expected a fault's name, found 'explode'" in capsys.readouterr().err
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "ledger-000001.jsonl").touch()
    assert main(["serve", "--port", "0", "--log-dir", str(tmp_path / "log")]) == 1
    assert "expected a directory without a ledger" in capsys.readouterr().err
