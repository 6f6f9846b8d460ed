"""`tickpath record`: raw frames and the events decoded from them, written by processes that have nothing to do with trading.

    recording.py    the command's job: starts the processes, shows what goes on, ends them in order
    process.py      the sockets, and an engine without strategies that decodes and judges
    raw_writer.py   its second thread: blocks of frames, compressed, to files
"""
