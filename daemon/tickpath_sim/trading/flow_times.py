"""When generated orders arrive: Poisson and Hawkes processes, made block by block from a seeded NumPy Generator.

The Hawkes process here has two kinds of events, buys and sells, and exponential kernels: after an event of kind j the rate of
kind i is higher by n_ij * decay * exp(-decay * age). It is made as a population (Hawkes and Oakes 1974, "A cluster process
representation of a self-exciting process", J. Appl. Prob. 11): immigrants arrive as a Poisson process, each event has a
Poisson number of children (n_ij on average) at exponential distances. That is exact, as thinning is, and needs no loop over
events. tests/daemon/tickpath_sim/test_sim_flow.py checks it by the recursion of the intensity and Ogata's residuals.
"""
import numpy as np

__all__ = ["HawkesTimes", "poisson_times"]


def poisson_times(rng, rate_hz, start_s, end_s):
    """Times of a Poisson process in [start_s, end_s), ascending, float64 seconds."""
    count = rng.poisson(rate_hz * (end_s - start_s))
    return np.sort(rng.uniform(start_s, end_s, count))


class HawkesTimes:
    """A process of two kinds of events that excite themselves and each other.

    Parameters: rng : numpy Generator.  base_hz : rate of each kind's own accord.  self_excitation, cross_excitation : children
                of the same and of the other kind that an event has on average; their sum, the branching ratio, is below 1.
                decay_hz : how fast the excitement fades.
    The rate of each kind in the long run is base_hz / (1 - branching ratio).
    Errors: ValueError when the process would explode.
    """

    def __init__(self, rng, base_hz, self_excitation, cross_excitation, decay_hz):
        if self_excitation + cross_excitation >= 1:
            raise ValueError("self_excitation + cross_excitation: expected a sum below 1 (an event has so many children), found "
                             f"{self_excitation + cross_excitation:g}")
        self.rng, self.base_hz, self.decay_hz = rng, base_hz, decay_hz
        self.children = (self_excitation, cross_excitation)
        # Children that fall behind the block in which their parents are: they become parents when their block is made.
        self._later = np.empty(0), np.empty(0, np.int8)

    def block(self, start_s, end_s):
        """Events in [start_s, end_s), which begins where the block before ended.

        Returns: (times, kinds): float64 seconds, ascending; int8, 0 or 1.
        """
        rng = self.rng
        immigrants = [poisson_times(rng, self.base_hz, start_s, end_s) for _ in range(2)]
        later_times, later_kinds = self._later
        due = later_times < end_s
        times = np.concatenate([*immigrants, later_times[due]])
        kinds = np.concatenate([np.zeros(len(immigrants[0]), np.int8), np.ones(len(immigrants[1]), np.int8), later_kinds[due]])
        made, beyond = [(times, kinds)], [(later_times[~due], later_kinds[~due])]
        while len(times):
            born = []
            for flip, mean in enumerate(self.children):
                parents = np.repeat(np.arange(len(times)), rng.poisson(mean, len(times)))
                ages = rng.exponential(1 / self.decay_hz, len(parents))
                born.append((times[parents] + ages, kinds[parents] ^ flip))
            times, kinds = (np.concatenate(part) for part in zip(*born, strict=True))
            due = times < end_s
            beyond.append((times[~due], kinds[~due]))
            times, kinds = times[due], kinds[due].astype(np.int8)
            made.append((times, kinds))
        self._later = tuple(np.concatenate(part) for part in zip(*beyond, strict=True))
        times, kinds = (np.concatenate(part) for part in zip(*made, strict=True))
        order = np.argsort(times, kind="stable")
        return times[order], kinds[order].astype(np.int8)
