"""Tools and packages that a test needs: skipped with the command that brings them, failed under TICKPATH_REQUIRE_TOOLS=1."""
import importlib
import os
import shutil

import pytest


def require_tool(name, package):
    """The path of a program of the system. package : that `apt-get install` takes."""
    path = shutil.which(name)
    if path is None:
        _absent(f"{name} is missing. Run: apt-get install {package}")
    return path


def require_package(name, extra):
    """The Python module `name`, which the package's extra brings; may stand at the top of a test file.

    A module that is there and cannot be imported is an error of its own, never a skip.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name is None or not (name + ".").startswith(e.name + "."):
            raise
        _absent(f"{name} is missing. Run: pip install 'tickpath[{extra}]'")


def require_path(path, command):
    """A file that `command` makes."""
    if not path.exists():
        _absent(f"{path.name} is missing in {path.parent.name}. Run: {command}")


def _absent(text):
    if os.environ.get("TICKPATH_REQUIRE_TOOLS") == "1":
        pytest.fail(text, pytrace=False)
    pytest.skip(text, allow_module_level=True)
