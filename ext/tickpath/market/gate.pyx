"""Why an instrument's market data are not to be traded on (GateCause); see gate.pxd."""


def cause_names(causes):
    """The words of a mask of GateCause, in the order of the bits: "CROSSED SPREAD"; "" for none."""
    return " ".join(cause.name[5:] for cause in GateCause if cause and causes & cause)
