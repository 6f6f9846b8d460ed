"""The simulated venue as a server: captures played over real WebSockets and REST, with faults on demand.

It knows `tickpath` (the capture reader) and nothing of the daemon: a client cannot tell it from a venue but by its address.
"""
