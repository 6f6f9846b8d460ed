// simdjson itself, from the sources that the pysimdjson package ships (nothing is vendored).
#include "simdjson.cpp"
