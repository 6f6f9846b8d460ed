"""Build of the compiled core. Settings by environment:

TICKPATH_MARCH     -march value; default x86-64-v3 where this machine has AVX2, else x86-64-v2. `native` is allowed.
TICKPATH_DEBUG     1: -O1, C asserts on.
TICKPATH_SANITIZE  address, thread or undefined (comma-separated).
"""
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).parent
CORE = ROOT / "ext" / "tickpath"
DEBUG = os.environ.get("TICKPATH_DEBUG") == "1"
SANITIZE = os.environ.get("TICKPATH_SANITIZE", "")

# The one module that holds simdjson is C++; the rest is C, which compiles several times faster.
CPP_MODULES = {"venues/binance_decode.pyx", "venues/json_tape.pyx", "venues/coinbase_decode.pyx", "venues/kraken_decode.pyx",
               "venues/okx_decode.pyx", "venues/bybit_decode.pyx"}
# Those of them that hold simdjson itself.
SIMDJSON_MODULES = {"venues/json_tape.pyx"}
NEEDS = re.compile(r'^\s*(?:from\s+(tickpath[\w.]*)\s+cimport|cimport\s+(tickpath[\w.]*))|cdef extern from "([\w.]+)"|'
                   r'^\s*#\s*include "([\w.]+)"', re.M)

DIRECTIVES = {
    "language_level": 3, "boundscheck": False, "wraparound": False, "initializedcheck": False,
    "cdivision": True, "nonecheck": False, "embedsignature": True,
}


def fail(message):
    sys.exit(f"tickpath: cannot build: {message}")


def check_toolchain():
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler.split()[0]) is None:
        fail(f"no C++ compiler ({compiler} not found). Run: apt-get install build-essential")
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        fail("no Python headers (Python.h not found). Run: apt-get install python3-dev")


def default_march():
    try:
        flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n", 1)[0].split()
    except (OSError, IndexError):
        flags = []
    return "x86-64-v3" if {"avx2", "bmi2", "fma", "movbe"} <= set(flags) else "x86-64-v2"


def flags():
    march = os.environ.get("TICKPATH_MARCH") or default_march()
    # -ffp-contract=off: a fused multiply-add rounds differently, and the same decisions must come out of every build.
    # -mprfchw: a prefetch for writing; where a processor has none the instruction does nothing.
    compile_args = ["-g1", f"-march={march}", "-mprfchw", "-ffp-contract=off", "-fno-strict-aliasing", "-fvisibility=hidden",
                    "-Wall", "-Wno-unused-function", "-Wno-unused-variable", "-Wno-sign-compare",
                    "-Wno-unused-but-set-variable", "-Wno-maybe-uninitialized", "-Wno-cpp"]
    compile_args += ["-O1", "-UNDEBUG", "-DTICKPATH_DEBUG=1"] if DEBUG else ["-O3", "-DNDEBUG"]
    link_args = []
    for name in filter(None, SANITIZE.split(",")):
        if name not in ("address", "thread", "undefined"):
            fail(f"TICKPATH_SANITIZE: expected address, thread or undefined, found {name!r}")
        compile_args += [f"-fsanitize={name}", "-fno-omit-frame-pointer"]
        link_args.append(f"-fsanitize={name}")
    return compile_args, link_args


def needed_files(path, found):
    """The .pxd and header files that a source draws in, itself and through others: what it is built again for."""
    for cimported, plain, header, included in NEEDS.findall(path.read_text()):
        module = cimported or plain
        if module:
            places = [CORE.parent / (module.replace(".", "/") + ".pxd")]
        else:
            places = [path.parent / (header or included), CORE / "shm" / (header or included), CORE / (header or included)]
        for place in places:
            if place.exists() and place not in found:
                found.add(place)
                needed_files(place, found)
    return found


def extensions():
    compile_args, link_args = flags()
    include = [str(CORE), str(CORE / "shm")]
    for path in sorted(CORE.rglob("*.pyx")):
        relative = path.relative_to(CORE).as_posix()
        name = "tickpath." + relative[:-4].replace("/", ".")
        cpp = relative in CPP_MODULES
        sources = [path.relative_to(ROOT).as_posix()]
        include_dirs, extra = list(include), ["-std=gnu11"]
        if cpp:
            # The -march levels leave PCLMUL out, without which simdjson compiles its slow fallback.
            extra = ["-std=c++17", "-mpclmul", "-DSIMDJSON_IMPLEMENTATION_ICELAKE=0", "-Wno-char-subscripts"]
        if relative in SIMDJSON_MODULES:
            import simdjson
            include_dirs.append(os.path.dirname(simdjson.__file__))
            sources.append("ext/tickpath/venues/simdjson_unit.cc")
        needed = needed_files(path, set())
        if path.with_suffix(".pxd").exists():
            needed |= {path.with_suffix(".pxd")} | needed_files(path.with_suffix(".pxd"), set())
        yield Extension(name, sources, language="c++" if cpp else "c", include_dirs=include_dirs,
                        extra_compile_args=compile_args + extra, extra_link_args=link_args,
                        depends=sorted(p.relative_to(ROOT).as_posix() for p in needed))


def build_commands():
    from Cython.Distutils import build_ext as cython_build_ext

    class build_ext(cython_build_ext):
        def finalize_options(self):
            super().finalize_options()
            self.cython_directives = dict(DIRECTIVES)
            self.cython_include_dirs = [str(ROOT / "ext")]
            if self.parallel is None:
                self.parallel = os.cpu_count() or 1
            check_toolchain()

    return {"build_ext": build_ext}


setup(ext_modules=list(extensions()), cmdclass=build_commands())
