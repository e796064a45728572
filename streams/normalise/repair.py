"""Messages that are no JSON: single bad characters are replaced, of the rest it is found out what was sent."""

from __future__ import annotations

import re
from typing import Final

_BOM: Final = b"\xef\xbb\xbf"
#: Escapes in the order in which a parser reads them: a pair of surrogates, half a pair, any other.
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_NO_NUMBER: Final = re.compile(rb"[:\[,]\s*(NaN|-?Infinity)\b")


def repaired(value: bytes) -> bytes:
    """The message with U+FFFD for bytes that are no UTF-8 and for half surrogate pairs, without a byte order mark."""
    text = value.removeprefix(_BOM).decode("utf-8", "replace")
    return _ESCAPE.sub(lambda escape: "\\ufffd" if escape[1] else escape[0], text).encode()


def is_repairable(value: bytes) -> bool:
    """Whether the message may be JSON text but for single characters."""
    return value[:1] != b"\x00" and value[:2] not in (b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b")


def why_no_json(value: bytes, error: ValueError) -> str:
    """What was sent in place of JSON, and what to change at the sender."""
    if value[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "it is UTF-16: send UTF-8"
    if value[:2] == b"\x1f\x8b":
        return "it is compressed with gzip: send plain JSON, and let the Kafka producer compress"
    if value[:1] == b"\x00":
        return "it begins with a zero byte, as the header of a schema registry does: send plain JSON"
    number = _NO_NUMBER.search(value)
    if number:
        return f"{number[1].decode()} is not JSON: send null or leave the field out"
    if str(error).startswith("unexpected content after document"):
        return f"one message holds one JSON value, an object or an array of them, not several: {error}"
    return str(error)
