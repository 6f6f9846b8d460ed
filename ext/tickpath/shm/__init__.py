"""Shared memory and the journal: event ring, state page, feed lane, segments."""
from tickpath.shm.ring import EventReader, EventWriter, records
from tickpath.shm.state_page import StatePage

__all__ = ["EventReader", "EventWriter", "StatePage", "records"]
