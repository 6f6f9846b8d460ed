"""WebSocket frames as bytes (RFC 6455 5.2), made here because a venue that misbehaves needs bits that no library will set."""
import struct

__all__ = ["CONTINUATION", "PING", "TEXT", "fragments", "frame", "masked_frame"]

CONTINUATION, TEXT, PING = 0x0, 0x1, 0x9
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10


def frame(payload, *, opcode=TEXT, fin=True, reserved=0):
    """One unmasked frame, as a server sends it. `reserved`: an or of RSV1, RSV2, RSV3."""
    first = opcode | reserved | (0x80 if fin else 0)
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return struct.pack(">BBH", first, 126, size) + payload
    return struct.pack(">BBQ", first, 127, size) + payload


def masked_frame(payload, key=b"\x11\x22\x33\x44"):
    """One masked frame, as only a client may send it. `payload`: below 126 bytes."""
    return bytes((TEXT | 0x80, 0x80 | len(payload))) + key + bytes(b ^ key[n & 3] for n, b in enumerate(payload))


def fragments(payload, count):
    """The message as `count` frames, or as many as it has bytes."""
    count = max(1, min(count, len(payload)))
    size, more = divmod(len(payload), count)
    parts, start = [], 0
    for n in range(count):
        end = start + size + (1 if n < more else 0)
        parts.append(frame(payload[start:end], opcode=TEXT if n == 0 else CONTINUATION, fin=n == count - 1))
        start = end
    return b"".join(parts)
