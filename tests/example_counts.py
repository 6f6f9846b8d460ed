"""How many examples a property or a random comparison takes: fewer in a test run, more in a soak.

TICKPATH_EXAMPLES is a factor of the number that the test names; `make soak` sets 20, a test run has 0.4. Hypothesis keeps what it
found (.hypothesis), so that a failure once seen is tried again whatever the factor.
"""
import os

FACTOR = float(os.environ.get("TICKPATH_EXAMPLES", "0.4"))
EXAMPLES_MIN = 20


def examples(count):
    """So many examples, in proportion to the run; never fewer than EXAMPLES_MIN, or than `count` where that is less."""
    return max(min(count, EXAMPLES_MIN), round(count * FACTOR))
