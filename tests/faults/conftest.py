import contextlib
import os

import pytest

from process_harness import Started
from tickpath.shm.segment import list_segments


@pytest.fixture
def start(tmp_path, request):
    runs = []

    def launch(*more, name=None):
        run = Started(tmp_path, name or f"proc{os.getpid()}n{abs(hash(request.node.name)) % 10**6}", *more)
        runs.append(run)
        return run

    yield launch
    for run in runs:
        run.stop()
        # Whatever a failed test left: the next start of the same name would reclaim it as well.
        for segment in list_segments(run.name):
            with contextlib.suppress(OSError):
                os.unlink("/dev/shm" + segment)
