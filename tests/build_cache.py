"""Programs that tests compile, kept by the content of what they were made of: an unchanged one is not compiled again.

They stand under var/tests, which `make clean` removes. A key is the whole text of the sources, the command and the compiler's
version, so that nothing stale is ever taken; the oldest are dropped beyond KEPT_MAX.
"""
import contextlib
import functools
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent.parent / "var" / "tests"
KEPT_MAX = 200


@functools.cache
def version_of(compiler):
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout


def cached_program(name, compiler, arguments, sources, build):
    """The path of a program, built unless it is known.

    Parameters: name : of the file, for people.  arguments : of the command that make a difference.  sources : files, in order.
    build : called with the path to write the program to; what it raises is the caller's.
    """
    digest = hashlib.blake2b(repr((version_of(compiler), list(map(str, arguments)))).encode(), digest_size=16)
    for source in sources:
        data = Path(source).read_bytes()
        digest.update(f"{Path(source).name} {len(data)}\n".encode() + data)
    path = DIRECTORY / f"{name}-{digest.hexdigest()}"
    if path.exists():
        with contextlib.suppress(OSError):
            os.utime(path)
        return path
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DIRECTORY) as directory:
        fresh = Path(directory) / name
        build(fresh)
        # Two processes may build the same one; both are whole, and the last stays.
        os.replace(fresh, path)
    _drop_oldest()
    return path


def _drop_oldest():
    with contextlib.suppress(OSError):
        known = sorted((p for p in DIRECTORY.iterdir() if p.is_file()), key=lambda p: p.stat().st_mtime)
        for path in known[:-KEPT_MAX]:
            path.unlink(missing_ok=True)
