import subprocess
import sys

import pytest

from process_harness import ROOT

# The simulator's servers and its plain client are those of its own tests.
sys.path.append(str(ROOT / "tests" / "daemon" / "tickpath_sim"))


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(bytes): a directory on a file system of its own that is no larger."""
    mounted = []

    def make(size_bytes):
        directory = tmp_path / "disk"
        directory.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", directory], capture_output=True)
        if done.returncode:
            pytest.skip("a file system of its own needs the right to mount one (root)")
        mounted.append(directory)
        return directory
    yield make
    for directory in mounted:
        subprocess.run(["umount", "-l", directory], check=False)
