"""Servers for the tests of the simulated venue."""
import pytest
from sim_harness import Sim
from trading_harness import TradingSim


@pytest.fixture(scope="module")
def start_sim(shared_data):
    """start_sim(relative capture, *options): a started server that ends with the module."""
    started = []

    def start(capture, *options, **more):
        started.append(Sim(shared_data(capture), *options, **more))
        return started[-1]
    yield start
    ended = [(server, server.end()) for server in started if server.process.poll() is None]
    assert [(code, err) for _, (code, err) in ended if (code, err) != (0, "")] == []


@pytest.fixture(scope="module")
def standing(start_sim):
    """standing(relative capture, *options): one server a module and capture, standing still; events pass when told to."""
    known = {}

    def get(capture, *options):
        if (capture, options) not in known:
            server = known[capture, options] = start_sim(capture, "--start-after", "0", "--speed", "0.000001", *options)
            server.faults.pause()
        return known[capture, options]
    return get


@pytest.fixture
def calm(standing):
    """As `standing`, and nothing is armed any more when the test has ended."""
    used = []

    def get(capture, *options):
        used.append(standing(capture, *options))
        return used[-1]
    yield get
    for server in used:
        for armed in server.faults.faults()["armed"]:
            server.faults.disarm(armed["name"])
        for client in server.clients:
            client.stop()
        server.clients.clear()
        server.faults.wait(lambda state: not state["clients"])


@pytest.fixture(scope="module")
def trading(tmp_path_factory):
    """A server without limits whose market is made by its clients; ends with the module."""
    server = TradingSim(tmp_path_factory.mktemp("trading"), "--no-limits", "--queue-mib", "8")
    yield server
    for client in server.clients:
        client.stop()
    assert server.end() == (0, "")
