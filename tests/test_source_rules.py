"""Rules over the source text and the generated C: what a reader of the hot path may rely on without reading all of it."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "ext" / "tickpath"
DAEMON = ROOT / "daemon" / "tickpathd"

# Hot modules, and their functions that run only at start and end, at attach, or with the GIL by design.
HOT_MODULES = {
    "engine": set(), "engine_bars": set(), "engine_reports": set(), "engine_prefetch": set(), "engine_state": set(),
    "market/book": {"book_init", "book_free", "_depth_array"},
    "market/bars": set(), "market/bar_set": {"_bytes", "_take", "bar_set_configure"}, "market/consolidated": set(), "engine_feeds": set(),
    "engine_grid": set(), "engine_l3": {"order_book_new", "order_books_free"}, "market/grid_change": set(),
    "market/checksum": set(), "market/l3_book": {"l3_init", "l3_free"}, "market/l3_queues": {"queues_init", "queues_free"},
    "trading/orders": set(),
    "trading/risk": set(),
    "trading/positions": {"int128_to_int"},
    "trading/strategy": set(),
    "trading/strategies/market_maker": set(),
    "trading/strategies/ema_cross": set(),
    "trading/strategies/every_event": set(),
    "venues/binance_decode": {"binance_decoder_new", "binance_decoder_free"}, "venues/binance_general": set(),
    "venues/binance_sbe_decode": set(), "venues/coinbase_decode": {"coinbase_decoder_new", "coinbase_decoder_free"},
    "venues/kraken_decode": {"kraken_decoder_new", "kraken_decoder_free"},
    "venues/okx_decode": {"okx_decoder_new", "okx_decoder_free"},
    "venues/bybit_decode": {"bybit_decoder_new", "bybit_decoder_free"},
    "venues/binance_encode": set(),
    "sim/venue": {"sim_new", "sim_free", "sim_from"}, "sim/queue_models": set(),
    "sim/recorded": {"recorded_new", "recorded_new_owned", "on_free", "grow_places"},
    "sim/latency": {"latency_init", "latency_free", "latency_from", "copied"},
    "session": {"use_gateway"},
    "shm/ring": {"_check_size"},
    "shm/lane": {"_slot_count"},
    "shm/journal_guard": set(),
    "shm/feed_lane": {"_data_bytes", "_append"},
    "trading/commands": set(),
    "outbox": {"outbox_new", "outbox_free"},
    "decimal": set(),
}
# One function of every hot module that must be found, so that a change of Cython's naming cannot empty the check.
MUST_FIND = {
    "engine": "create_order", "engine_bars": "bars_turn", "engine_reports": "publish_fill", "engine_prefetch": "engine_prefetch",
    "engine_state": "engine_publish_state", "market/book": "book_apply", "market/bars": "bar_on_trade",
    "market/bar_set": "bar_set_on_trade", "market/consolidated": "consolidated_on_top", "engine_feeds": "gate_turn",
    "engine_grid": "engine_regrid", "engine_l3": "orders_apply", "market/grid_change": "bar_regrid",
    "market/checksum": "checksum_kraken", "market/l3_book": "l3_on_order", "market/l3_queues": "queues_find",
    "trading/orders": "order_apply_report", "trading/risk": "risk_check", "trading/positions": "position_apply_fill",
    "trading/strategy": "ctx_submit", "trading/strategies/market_maker": "on_quote",
    "trading/strategies/ema_cross": "on_quote", "trading/strategies/every_event": "on_quote",
    "venues/binance_decode": "binance_decode", "venues/binance_general": "binance_general",
    "venues/binance_sbe_decode": "binance_sbe_decode", "venues/coinbase_decode": "coinbase_decode",
    "venues/kraken_decode": "kraken_decode", "venues/okx_decode": "okx_decode", "venues/bybit_decode": "bybit_decode",
    "venues/binance_encode": "binance_encode_order",
    "sim/venue": "sim_on_market", "sim/queue_models": "place_on_display", "sim/recorded": "recorded_on_trade",
    "sim/latency": "latency_due", "session": "_on_frame", "shm/ring": "_check_size", "shm/feed_lane": "feed_next",
    "shm/lane": "lane_repair", "shm/journal_guard": "journal_guard_look", "trading/commands": "command_judge",
    "outbox": "outbox_send",
    "decimal": "quoted_decimal",
}
FORBIDDEN = re.compile(
    r"\b(PyGILState_\w+|PyEval_\w+|__Pyx_PyGILState_\w+|Py_X?INCREF|Py_X?DECREF|__Pyx_X?INCREF|__Pyx_X?DECREF|__Pyx_X?GOTREF"
    r"|PyObject_\w+|__Pyx_PyObject\w*|PyErr_\w+|__Pyx_ErrFetch\w*|__Pyx_ErrRestore\w*|__Pyx_AddTraceback"
    r"|__Pyx_WriteUnraisable|__Pyx_Raise\w*|Py(?:Long|Float|Bytes|Unicode|List|Dict|Tuple|Mem)_\w+"
    r"|malloc|calloc|realloc|free|posix_memalign|aligned_alloc)\s*\(")
NEW_IN_CPP = re.compile(r"\bnew\b|\bdelete\b|std::(?:string|vector|make_)")


# ---- the checker

def blank_comments_and_strings(text):
    """C text with comments, strings and characters blanked out, every offset kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def closing(text, start, opening, closer):
    """Offset behind the bracket that closes the one at `start`."""
    depth = 0
    for match in re.compile(re.escape(opening) + "|" + re.escape(closer)).finditer(text, start):
        depth += 1 if match.group() == opening else -1
        if depth == 0:
            return match.end()
    raise ValueError(f"offset {start}: expected the {opening!r} to be closed, found the end of the text")


def function_bodies(text):
    """{C name: body} of every `__pyx_f_` function defined in a generated file."""
    text = blank_comments_and_strings(text)
    bodies = {}
    for match in re.finditer(r"\b(__pyx_f_\w+)\s*\(", text):
        # A definition starts its line with a return type; a call stands in an expression and is followed by no brace.
        end = closing(text, match.end() - 1, "(", ")")
        rest = re.compile(r"\s*\{").match(text, end)
        line_start = text.rfind("\n", 0, match.start()) + 1
        if rest is None or not re.match(r" *(static|CYTHON_|int|void|struct|__pyx_t_)", text[line_start:]):
            continue
        bodies[match.group(1)] = text[rest.end() - 1:closing(text, rest.end() - 1, "{", "}")]
    return bodies


def source_name(c_name):
    """`__pyx_f_8tickpath_6engine_6Engine__free` -> `_free`: the mangled path's parts carry their lengths."""
    rest = c_name.removeprefix("__pyx_f_")
    while match := re.match(r"(\d+)", rest):
        rest = rest[match.end() + int(match.group(1)):].removeprefix("_")
    return rest


def violations(text, cold=(), cpp=False):
    """["function: forbidden call", …] of a generated file."""
    found = []
    for c_name, body in function_bodies(text).items():
        name = source_name(c_name)
        if name in cold or name.startswith("__pyx_unpickle"):        # Cython writes these itself
            continue
        hits = {m.group(1) for m in FORBIDDEN.finditer(body)}
        if cpp:
            hits |= {m.group() for m in NEW_IN_CPP.finditer(body)}
        found += [f"{name}: {hit}" for hit in sorted(hits)]
    return found


def generated(module):
    for suffix in (".c", ".cpp"):
        path = CORE / (module + suffix)
        if path.exists():
            return path
    if os.environ.get("TICKPATH_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{module}: expected its generated C beside the .pyx, found none: the rule was not checked")
    pytest.skip(f"{module}: no generated C beside its .pyx: the package was installed from a wheel")


# ---- hot functions touch no Python and allocate nothing

@pytest.mark.parametrize("module", HOT_MODULES)
def test_hot_functions_call_neither_python_nor_the_allocator(module):
    path = generated(module)
    assert violations(path.read_text(), HOT_MODULES[module], path.suffix == ".cpp") == []


@pytest.mark.parametrize("module", HOT_MODULES)
def test_the_checker_sees_the_functions_of_every_hot_module(module):
    names = {source_name(n) for n in function_bodies(generated(module).read_text())}
    assert MUST_FIND[module] in names
    assert HOT_MODULES[module] <= names, "a function of the allow-list is gone: take it off the list"


@pytest.mark.parametrize("line", ["Py_INCREF(o);", "x = PyObject_Call(f, a, NULL);", "PyErr_Clear();", "p = malloc(8);",
                                  "__Pyx_DECREF(t); t = 0;", "s = __Pyx_PyGILState_Ensure();", "free(p);"])
def test_the_checker_finds_a_planted_violation(line):
    text = ("static void __pyx_f_8tickpath_6engine_publish(int x); /*proto*/\n"
            "static CYTHON_INLINE void __pyx_f_8tickpath_6engine_publish(int x) {\n"
            f"  if (x) {{ char c = '}}'; /* }} */ const char *s = \"}}\";\n    {line}\n  }}\n}}\n"
            "static int other(void) { return 0; }\n")
    assert [v.split(":")[0] for v in violations(text)] == ["publish"]
    assert violations(text, cold={"publish"}) == []


def test_the_checker_ignores_comments_strings_and_other_functions():
    text = ('static int __pyx_f_8tickpath_6engine_6Engine_quiet(int x) { /* Py_INCREF(o) */ return f("malloc(1)", x); }\n'
            "static int loud(void) { return PyErr_Occurred() != 0; }\n")
    assert list(function_bodies(text)) == ["__pyx_f_8tickpath_6engine_6Engine_quiet"]
    assert source_name("__pyx_f_8tickpath_6engine_6Engine_quiet") == "quiet"
    assert violations(text) == []


@pytest.mark.parametrize("module", HOT_MODULES)
def test_hot_sources_take_no_gil_and_print_nothing(module):
    text = (CORE / f"{module}.pyx").read_text()
    assert not re.search(r"with gil|(?<![\w.])print\(", text)


def test_only_the_python_host_and_the_socket_take_the_gil():
    takers = [p.relative_to(CORE).as_posix() for p in sorted(CORE.rglob("*.pyx")) if re.search(r"\bwith gil\b", p.read_text())]
    assert takers == ["trading/python_host.pyx", "venues/order_gateway.pyx"]      # picows' transport is a Python object


# ---- imports point one way

def imported_modules(path):
    """Dotted names a source file imports or cimports, with their lines."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r"\s*(?:from\s+([\w.]+)\s+c?import\b|c?import\s+([\w., ]+))", line)
        if match:
            for name in (match.group(1) or match.group(2)).split(","):
                yield number, name.split(" as ")[0].strip()


def forbidden_imports(folder, prefixes, except_for=()):
    return [f"{path.relative_to(ROOT)}:{number}: {name}"
            for path in sorted(folder.rglob("*")) if path.suffix in (".py", ".pyx", ".pxd")
            and path.relative_to(CORE if CORE in path.parents else ROOT).as_posix() not in except_for
            for number, name in imported_modules(path)
            if any(name == p or name.startswith(p + ".") for p in prefixes)]


def test_the_core_imports_no_other_package_of_the_project():
    assert forbidden_imports(CORE, ["tickpathd", "tickpath_admin", "tickpath_research"]) == []


def test_the_daemon_imports_neither_admin_nor_research():
    assert forbidden_imports(DAEMON, ["tickpath_admin", "tickpath_research"]) == []


def test_venues_and_sim_know_nothing_of_engine_and_session():
    # The sockets stand around the engine: a listener hands frames to the session, before step 1; the order gateway is step 9.
    listeners = ["venues/feed_listener.pyx", "venues/feed_listener.pxd", "venues/order_gateway.pyx"]
    above = ["tickpath.engine", "tickpath.session"]
    assert forbidden_imports(CORE / "venues", above, listeners) == []
    assert forbidden_imports(CORE / "sim", above) == []


def test_shared_memory_knows_nothing_of_trading():
    above = ["market", "trading", "signals", "venues", "sim", "engine", "session"]
    assert forbidden_imports(CORE / "shm", [f"tickpath.{name}" for name in above]) == []


def test_the_engines_process_loads_no_library_that_is_not_on_the_path():
    unwanted = ["grpc", "ccxt", "typer", "pydantic", "fastapi", "pandas", "nicegui", "rich"]
    code = f"import tickpathd.engine_process, sys; print(*[m for m in {unwanted!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


# ---- atomics

ATOMIC = re.compile(r"\b(?:load_acquire|store_release|fence_)\w*\s*\(")
LABEL = re.compile(r"#.*\b[A-Z]\d+\b.*\bsee [A-Z]\d+|/[/*].*\b[A-Z]\d+\b.*\bsee [A-Z]\d+")


def test_every_atomic_carries_its_label_and_its_partners():
    unlabelled = []
    for path in sorted(p for p in CORE.rglob("*") if p.suffix in (".pyx", ".pxd", ".h", ".hpp") and p.stem != "atomics"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if ATOMIC.search(line.split("#")[0]) and not LABEL.search(line):
                unlabelled.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert unlabelled == []


def test_every_label_names_a_partner_that_exists():
    pairs = []
    for path in sorted(p for p in CORE.rglob("*") if p.suffix in (".pyx", ".pxd", ".h")):
        for label, partner in re.findall(r"(?:# |/\* )([A-Z]\d+), see ([A-Z]\d+)", path.read_text()):
            pairs.append((label, partner, path.name))
    own = {label for label, _, _ in pairs}
    assert [pair for pair in pairs if pair[1] not in own] == []
    assert len(own) > 25


# ---- the README

def life_of_a_frame():
    """(file, function) of every `file:function` in the README's table."""
    text = (ROOT / "README.md").read_text()
    section = text.split("## Life of a frame", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"`([\w/]+\.(?:pyx|pxd|py|h)):(\w+)`", section)


def test_the_readme_names_all_nine_steps():
    text = (ROOT / "README.md").read_text()
    steps = re.findall(r"^\| (\d) (\w+) \|", text, flags=re.M)
    assert steps == [(str(n), name) for n, name in enumerate(
        ["receive", "decode", "book", "signal", "strategy", "risk", "order", "encode", "send"], 1)]


def test_every_function_in_the_life_of_a_frame_exists():
    named = life_of_a_frame()
    assert len(named) >= 9
    missing = [f"{file}:{function}" for file, function in named
               if not (CORE / file).exists()
               or not re.search(rf"^\s*(?:c?p?def|static inline)\b[^\n=]*\b{function}\(", (CORE / file).read_text(), flags=re.M)]
    assert missing == []


def test_the_nine_calls_stand_in_engine_pyx_in_order():
    text = (CORE / "engine.pyx").read_text()
    calls = re.findall(r"# (\d) (receive|decode|book|signal|strategy|risk|order|encode|send)\b", text)
    assert [int(n) for n, _ in calls[:9]] == list(range(1, 10))
