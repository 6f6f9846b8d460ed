"""The tickpath processes and the `tickpath` command."""
__version__ = "0.1.0"
