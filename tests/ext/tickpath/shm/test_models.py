"""The models of the shared-memory protocols: they hold, their mutants do not, and they are about the code that runs."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

from models.check_models import MODELS, MUTANTS, Case, check

ROOT = Path(__file__).resolve().parents[4]
MODEL_DIR = ROOT / "tests" / "models"
HEADER_DIR = ROOT / "ext" / "tickpath" / "shm"
LABELS = {
    "ring": ["W1", "W2", "W3", "W4", "R1", "R2", "R3", "R4", "H1", "H2"],
    "seqlock": ["L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8"],
    "lane": ["K1", "K2", "K3", "K4"],
}
# What each function of atomics.h is, in the words of the models.
ACCESSES = {
    "store_relaxed_u64": ("store", "RELAXED"), "store_release_u64": ("store", "RELEASE"),
    "load_relaxed_u64": ("load", "RELAXED"), "load_acquire_u64": ("load", "ACQUIRE"),
    "fence_release": ("fence", "RELEASE"), "fence_acquire": ("fence", "ACQUIRE"),
    "copy_to_shared": ("store", "RELAXED"), "copy_from_shared": ("load", "RELAXED"),
}


def header_accesses(text):
    """{label: (kind, order, partner)} of every labelled line of a header, in its order."""
    found = {}
    for line in text.splitlines():
        match = re.search(r"/\* ([A-Z]\d+), see ([A-Z]\d+) \*/$", line)
        if match is None:
            continue
        label, partner = match.groups()
        calls = re.findall(r"\b(" + "|".join(ACCESSES) + r")\(", line)
        assert len(calls) == 1, f"{label}: expected one atomic access on its line, found {calls}"
        assert label not in found, f"{label}: expected once, found again: {line.strip()}"
        found[label] = (*ACCESSES[calls[0]], partner)
    return found


def model_accesses(text):
    """The same of a model: the order and partner where the label is defined, the kind where it is used."""
    defined = dict((label, (order, partner)) for label, order, partner in
                   re.findall(r"^#define ([A-Z]\d+) ([A-Z]+) +/\* see ([A-Z]\d+): ", text, flags=re.M))
    found = {}
    for kind, label in re.findall(r"\b(store|load|fence)\(([A-Z]\d+),", text):
        order, partner = defined[label]
        assert found.get(label, (kind,))[0] == kind, f"{label}: expected one kind of access, found {found[label][0]} and {kind}"
        found[label] = (kind, order, partner)
    assert set(found) == set(defined), "expected every label that is defined to be used"
    return found


def by_letter(labels):
    """The labels in their order, one group for each letter: one side of a protocol runs through its letter in order."""
    return {letter: [label for label in labels if label[0] == letter] for letter in sorted({label[0] for label in labels})}


def texts(name):
    return (HEADER_DIR / f"{name}.h").read_text(), (MODEL_DIR / f"{name}.pml").read_text()


@pytest.fixture
def tools(require_tool):
    require_tool("spin", "spin")
    require_tool("gcc", "gcc")


def test_every_model_holds_and_every_mutant_is_rejected(tools):
    done = subprocess.run([sys.executable, MODEL_DIR / "check_models.py"], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mutant_that_is_accepted_or_breaks_another_property_is_reported(tools):
    outcomes = [check(case) for case in (Case("lane", (), "untorn"), Case("lane", ("K1=RELAXED",), "vacant"),
                                         Case("lane", ("K1=RELAXED",)))]
    assert [outcome.result for outcome in outcomes] == ["passed", "rejected: untorn", "rejected: untorn"]
    assert not any(outcome.is_expected for outcome in outcomes)


def test_a_model_that_leaves_statements_unreached_does_not_pass(tools):
    # One command never meets a full lane.
    assert "never reached" in check(Case("lane", ("COMMAND_COUNT=1",))).result


def test_a_missing_tool_is_named_with_its_package(tmp_path):
    done = subprocess.run([sys.executable, MODEL_DIR / "check_models.py"], env={"PATH": str(tmp_path)}, capture_output=True,
                          text=True, timeout=30)
    assert (done.returncode, done.stderr) == (2, "check_models: spin is missing. Run: apt-get install spin\n")


@pytest.mark.parametrize("name", LABELS)
def test_labels_orders_and_partners_are_those_of_the_source(name):
    header, model = texts(name)
    assert sorted(header_accesses(header)) == sorted(LABELS[name])
    assert model_accesses(model) == header_accesses(header)


@pytest.mark.parametrize("name", LABELS)
def test_accesses_stand_in_the_order_of_the_source(name):
    header, model = texts(name)
    assert by_letter(model_accesses(model)) == by_letter(header_accesses(header))


@pytest.mark.parametrize("name", LABELS)
def test_partners_name_each_other(name):
    accesses = header_accesses(texts(name)[0])
    assert {label: accesses[partner][2] for label, (_, _, partner) in accesses.items()} == {label: label for label in accesses}


@pytest.mark.parametrize("name", LABELS)
def test_every_access_that_is_stronger_than_relaxed_has_a_mutant(name):
    stronger = {label for label, (_, order, _) in header_accesses(texts(name)[0]).items() if order != "RELAXED"}
    weakened = {define.split("=")[0] for case in MUTANTS if case.model == name for define in case.defines}
    assert stronger <= weakened
    assert name in {case.model for case in MODELS}


@pytest.mark.parametrize("before, after", [
    ("store_release_u64(&slot->seq, seq)", "store_relaxed_u64(&slot->seq, seq)"),
    ("/* W4, see R1 */", "/* W4, see R4 */"),
    ("/* W2, see R3 */", ""),
    ("fence_acquire();", "fence_release();"),
])
def test_a_change_of_the_header_alone_is_noticed(before, after):
    header, model = texts("ring")
    assert before in header
    assert header_accesses(header.replace(before, after)) != model_accesses(model)
