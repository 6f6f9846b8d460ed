"""Timing loops in Cython for functions that only other compiled code can call: compiled when a benchmark runs, outside the
package, so that the product carries none of them. They reach the core as engine.pyx does, through its .pxd files."""
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import benchlib

HERE = Path(__file__).resolve().parent


def build(name, directory):
    """Compile scripts/loops/NAME.pyx with the build's flags into a directory; returns the module's file."""
    program = """
import sys
from Cython.Build import cythonize
from setuptools import Extension, setup
name, source, root, march = sys.argv[1:5]
directives = {"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True, "initializedcheck": False}
extension = Extension(name, [source], include_dirs=[f"{root}/ext/tickpath", f"{root}/ext/tickpath/shm"],
                      extra_compile_args=["-O3", "-DNDEBUG", "-std=gnu11", "-fno-strict-aliasing", "-w", f"-march={march}"])
setup(ext_modules=cythonize([extension], include_path=[f"{root}/ext"], compiler_directives=directives, quiet=True),
      script_args=["-q", "build_ext", "--inplace"])
"""
    source = Path(directory) / f"{name}.pyx"
    source.write_text((HERE / f"{name}.pyx").read_text())
    done = subprocess.run([sys.executable, "-c", program, name, source.name, str(benchlib.ROOT), benchlib.march()],
                          cwd=directory, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    if done.returncode:
        raise RuntimeError(f"{name}.pyx: expected it to compile, found:\n{done.stdout}{done.stderr}")
    return next(Path(directory).glob(f"{name}.*.so"))


def module_of(path):
    """Import what build() made."""
    name = Path(path).name.split(".")[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(name):
    """Compile scripts/loops/NAME.pyx and import it; the files go to a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="tickpath-loop-") as directory:
        return module_of(build(name, directory))
