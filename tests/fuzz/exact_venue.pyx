"""ExactDecoder (exact_decoder.pxi) of every venue."""
from tickpath.venues.decoders cimport decoder_free, decoder_new

from tickpath.venues.decoders import KINDS

include "exact_decoder.pxi"
