"""Message kinds of decoded frames (MessageKind)."""
