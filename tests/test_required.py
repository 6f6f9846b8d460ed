import pytest

from required import require_package, require_tool

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("value, outcome", [(None, pytest.skip.Exception), ("0", pytest.skip.Exception), ("1", pytest.fail.Exception)])
@pytest.mark.parametrize("require, text", [
    (lambda: require_tool("no-such-program", "some-package"), "no-such-program is missing. Run: apt-get install some-package"),
    (lambda: require_package("no_such_module", "research"), "no_such_module is missing. Run: pip install 'tickpath[research]'"),
    (lambda: require_package("no_such_module.part", "research"), "no_such_module.part is missing. Run: pip install 'tickpath[research]'"),
])
def test_what_is_missing_skips_with_the_command_and_fails_where_tools_are_required(monkeypatch, value, outcome, require, text):
    monkeypatch.delenv("TICKPATH_REQUIRE_TOOLS", raising=False)
    if value is not None:
        monkeypatch.setenv("TICKPATH_REQUIRE_TOOLS", value)
    with pytest.raises(outcome) as found:
        require()
    assert found.value.msg == text


def test_a_module_that_is_there_but_cannot_be_imported_is_no_reason_to_skip(monkeypatch, tmp_path):
    (tmp_path / "half_installed.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        require_package("half_installed", "research")


def test_what_is_there_is_handed_over():
    assert require_tool("sh", "dash").endswith("/sh") and require_package("json", "research").loads("1") == 1


@pytest.mark.parametrize("value, expected", [("", "1 skipped"), ("1", "1 error")])
def test_a_test_file_whose_package_is_missing_is_skipped_or_fails_as_a_whole(pytester, monkeypatch, value, expected):
    monkeypatch.setenv("TICKPATH_REQUIRE_TOOLS", value)
    pytester.makepyfile("from required import require_package\nrequire_package('no_such_module', 'research')\ndef test_it(): pass\n")
    done = pytester.runpytest_inprocess("-ra", "-p", "no:cacheprovider")
    assert expected in "\n".join(done.outlines)
    assert "no_such_module is missing" in "\n".join(done.outlines)
