"""Small files that nobody ever finds half written, not even after a power cut."""
import os


def write_whole(path, data):
    """Write bytes to a new file, sync it, put it in the place of `path`, sync the directory. Raises OSError."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    os.rename(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
