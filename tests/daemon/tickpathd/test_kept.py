"""A child that may die: started again with pauses, said once an end, and given up where that would not help."""
import subprocess
import sys
import time

from tickpathd.kept import Kept


class Child:
    def __init__(self, code):
        self.process = subprocess.Popen([sys.executable, "-S", "-c", code])

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout_s):
        return self.process.wait(timeout_s)

    def kill(self):
        self.process.kill()


def watched(kept, until, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        problem = kept.look()
        if problem or until():
            return problem
        time.sleep(0.01)
    raise AssertionError("expected an end")


def test_child_that_ends_is_started_again_and_said_once_each_time(capfd):
    made = []

    def start():
        made.append(Child("raise SystemExit(3)" if len(made) < 2 else "import time; time.sleep(60)"))
        return made[-1]
    kept = Kept("worker", start, "nothing is fed meanwhile")
    assert watched(kept, lambda: len(made) == 3) is None
    assert kept.restarts == 2 and kept.look() is None
    err = capfd.readouterr().err
    assert err.count("tickpath: worker: expected it to run as long as the engine, found it ended with 3: started again") == 2
    kept.stop(5.0)
    assert made[-1].process.returncode == -15


def test_child_that_cannot_run_ends_the_run_with_its_name():
    kept = Kept("worker", lambda: Child("raise SystemExit(2)"), "", fatal_code=2)
    problem = watched(kept, lambda: False)
    assert problem == "worker: expected a configuration that it can run with, found none; see the line above"
    assert kept.look() is None and kept.restarts == 0
