"""JSON whose numbers keep their text, so that a message taken apart and put together again is the venue's, digit for digit.

`0.00005100` must stay `0.00005100`: checksums are made over the text.
"""
import json
from json.encoder import encode_basestring

__all__ = ["NumberText", "dumps", "loads", "of_client", "reversed_keys"]


class NumberText(str):
    """The text of a JSON number; written without quotes."""
    __slots__ = ()


def loads(data):
    """Decode JSON bytes or text; numbers with a point or an exponent become NumberText. Errors: ValueError."""
    return json.loads(data, parse_float=NumberText, parse_constant=NumberText)


def of_client(text):
    """Decode JSON that a client sent. Errors: ValueError, also for what only Python takes for JSON, or cannot write again."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
        if "\\u" in text:
            # Half of a surrogate pair has no UTF-8.
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deep") from None
    except UnicodeEncodeError:
        raise ValueError("lone surrogate") from None
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Integers have a greatest length.
        raise ValueError("number out of range") from None
    return value


def _no_constant(name):
    raise json.JSONDecodeError(f"{name} is no JSON", name, 0)


def dumps(value):
    """Encode what `loads` gave, compact, as bytes."""
    parts = []
    _write(value, parts.append)
    return "".join(parts).encode()


def _write(value, put):
    if isinstance(value, NumberText):
        put(value)
    elif isinstance(value, str):
        put(encode_basestring(value))
    elif isinstance(value, dict):
        separator = "{"
        for key, item in value.items():
            put(separator + encode_basestring(key) + ":")
            _write(item, put)
            separator = ","
        put("}" if value else "{}")
    elif isinstance(value, (list, tuple)):
        separator = "["
        for item in value:
            put(separator)
            _write(item, put)
            separator = ","
        put("]" if value else "[]")
    elif value is None or isinstance(value, (bool, int)):
        put(json.dumps(value))
    else:
        raise TypeError(f"expected what JSON holds, found {type(value).__name__}")


def reversed_keys(value):
    """The same value with the keys of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: reversed_keys(item) for key, item in reversed(value.items())}
    if isinstance(value, list):
        return [reversed_keys(item) for item in value]
    return value
