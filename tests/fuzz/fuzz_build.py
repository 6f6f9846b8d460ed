"""The instrumented build: the modules under test with ASan, UBSan and edge coverage, in var/fuzz/build.

It needs gcc and Python only. What goes into it is hashed, so that a second run compiles nothing, and after a change only
what changed; Python sources of the core are taken from the checkout at every run. Cold; tests and `fuzz_driver.py` call it.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FUZZ_DIR = ROOT / "var" / "fuzz"
MODULES = (
    "types", "clock", "decimal", "market.bars", "market.instruments", "venues.batch", "venues.json_tape", "venues.binance_decode",
    "venues.binance_general", "venues.binance_sbe_decode",
    "shm.words", "shm.histogram", "shm.ring", "shm.state_page", "shm.feed_lane", "shm.journal_fast",
)
VENUE_MODULES = (
    *(name for name in MODULES if not name.startswith("shm.")), "venues.coinbase_decode", "venues.kraken_decode",
    "venues.okx_decode", "venues.bybit_decode", "venues.decoders",
)
# Needed by those under test, and no reader of foreign bytes themselves: built without instruments. What their .pxd inline into
# the others is instrumented there.
PLAIN_MODULES = ("types", "clock", "market.bars")
# Where the time of an execution goes. The rest, mostly calls of Python and NumPy, costs more to optimize than it would gain.
FAST_PACKAGE = "venues."
COVERAGE_FLAG = "-fsanitize-coverage=trace-pc"
SANITIZE = "address,undefined"
FLAGS = ("-O1", f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", COVERAGE_FLAG)
BUILD_TIMEOUT_S = 800


class FuzzBuildError(Exception):
    """The instrumented build failed; the text ends with the compiler's output."""


def compiler():
    return os.environ.get("CC", "gcc")


def _modules(venues):
    """(modules under test, the one that calls them) of a build."""
    return (VENUE_MODULES, "exact_venue") if venues else (MODULES, "exact_frame")


def _inputs(venues):
    """Files that a build depends on, sorted."""
    core = ROOT / "ext" / "tickpath"
    modules, caller = _modules(venues)
    wanted = {core / (name.replace(".", "/") + ".pyx") for name in modules}
    wanted |= {p for p in core.rglob("*") if p.suffix in (".pxd", ".h", ".hpp", ".cc")}
    wanted |= {p for p in HERE.iterdir() if p.suffix == ".c"} | {HERE / f"{caller}.pyx", HERE / "exact_decoder.pxi"}
    return sorted(wanted | {ROOT / "setup.py"})


def _toolchain():
    """Hash of what changes every module: compiler, packages, settings."""
    version = subprocess.run([compiler(), "-dumpfullversion"], capture_output=True, check=True).stdout
    packages = [metadata.version(name) for name in ("Cython", "pysimdjson", "setuptools", "numpy")]
    settings = (sys.version, str(ROOT), version, packages, FLAGS, PLAIN_MODULES, FAST_PACKAGE, (ROOT / "setup.py").read_bytes())
    return hashlib.blake2b(repr(settings).encode(), digest_size=8).hexdigest()


def _fingerprint(venues):
    digest = hashlib.blake2b(_toolchain().encode(), digest_size=8)
    for path in _inputs(venues):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def instrumented_build(venues=False):
    """The directory of an up-to-date build, of all venues' decoders if asked for; compiles what changed. Raises FuzzBuildError.
    Blocks: one build at a time."""
    FUZZ_DIR.mkdir(parents=True, exist_ok=True)
    target = FUZZ_DIR / ("build-venues" if venues else "build")
    with open(FUZZ_DIR / "build.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done, toolchain = target / "done", target / "toolchain"
        fingerprint = _fingerprint(venues)
        if not done.exists() or done.read_text() != fingerprint:
            # A build that was broken off may have left half a module that looks new.
            if not done.exists() or toolchain.read_text() != _toolchain():
                shutil.rmtree(target, ignore_errors=True)
            _sync_sources(target, venues)
            done.unlink(missing_ok=True)
            _compile(target, venues)
            toolchain.write_text(_toolchain())
            done.write_text(fingerprint)
        _sync(target, (ROOT / "ext" / "tickpath").rglob("*.py"))
        return target


def _sync_sources(target, venues):
    wanted = _inputs(venues)
    _sync(target, wanted)
    # A source that is gone must not be compiled any more.
    for copy in [*(target / "ext").rglob("*.pyx"), *(target / "ext").rglob("*.pxd")]:
        if ROOT / copy.relative_to(target) not in wanted:
            copy.unlink()


def _sync(target, paths):
    """Copies what differs, so that the times of the rest stay and only what changed is compiled."""
    for path in paths:
        copy = target / path.relative_to(ROOT)
        # A package's own imports would need modules that are not built.
        data = b"" if path.name == "__init__.py" else path.read_bytes()
        if not copy.exists() or copy.read_bytes() != data:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(data)


def _compile(target, venues):
    sources = target / "tests" / "fuzz"
    shared = [compiler(), "-shared", "-fPIC", "-g1", "-Wall", "-Wextra"]
    _run([*shared, "-O2", f"-I{sysconfig.get_paths()['include']}", "-o", str(target / "coverage_map.so"),
          str(sources / "coverage_map.c")], target, {})
    _run([*shared, *FLAGS, "-o", str(target / "planted.so"), str(sources / "planted.c")], target, {})
    _run([sys.executable, str(HERE / "fuzz_build.py"), str(target), *(["venues"] if venues else [])], target,
         {"TICKPATH_DEBUG": "1", "TICKPATH_SANITIZE": SANITIZE})


def _run(command, target, env):
    done = subprocess.run(command, cwd=target, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=BUILD_TIMEOUT_S)
    if done.returncode:
        raise FuzzBuildError(f"{command[0]}: expected exit code 0, found {done.returncode}\n{done.stdout[-8000:]}")


def _build_extensions(target, venues):
    """Runs in a process of its own: what setup.py describes, cut down to the modules under test."""
    import runpy

    import setuptools
    captured = {}
    real_setup, setuptools.setup = setuptools.setup, captured.update
    # setup.py lists the modules it finds, so the copy holds just those under test.
    runpy.run_path(str(target / "setup.py"))
    setuptools.setup = real_setup
    found = {e.name: e for e in captured["ext_modules"]}
    modules, caller = _modules(venues)
    expected = {f"tickpath.{name}" for name in modules}
    if set(found) != expected:
        sys.exit(f"{target / 'setup.py'}: expected the modules {sorted(expected)}, found {sorted(found)}")
    decode = found["tickpath.venues.binance_decode"]
    extensions = [*found.values(), setuptools.Extension(
        caller, [f"tests/fuzz/{caller}.pyx"], include_dirs=found["tickpath.types"].include_dirs,
        extra_compile_args=list(found["tickpath.types"].extra_compile_args), extra_link_args=list(decode.extra_link_args))]
    for extension in extensions:
        name = extension.name.removeprefix("tickpath.")
        extension.extra_compile_args.append("-fno-sanitize=all" if name in PLAIN_MODULES else COVERAGE_FLAG)
        if not name.startswith(FAST_PACKAGE):
            extension.extra_compile_args.append("-O0")
    # The longest compilations begin first.
    extensions.sort(key=lambda e: (e.language != "c++", e.name != "tickpath.shm.state_page"))
    setuptools.setup(name="tickpath-fuzz", ext_modules=extensions, cmdclass=captured["cmdclass"], packages=[],
                     package_dir={"": "ext"}, script_args=["-q", "build_ext", "--build-lib", "ext"])


def preload_libraries():
    """What LD_PRELOAD must name for a sanitized module inside an interpreter that is not: ASan first."""
    result = []
    for name in ("libasan.so", "libstdc++.so.6"):
        path = subprocess.run([compiler(), f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
        result.append(str(Path(path.strip()).resolve()))
    return result


if __name__ == "__main__":
    _build_extensions(Path(sys.argv[1]), sys.argv[2:] == ["venues"])
