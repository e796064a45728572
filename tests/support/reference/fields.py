"""The fields of a message, whatever its format."""

from __future__ import annotations

import re
from typing import Any

Message = dict[str, Any]


class RefusedError(Exception):
    """A message that is no event. Never leaves the reading of one message."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason, field)
        self.reason = reason
        self.field = field


def first(*values: Any) -> Any:
    """The first value that is given; null and the empty string are not."""
    return next((value for value in values if value is not None and value != ""), None)


def mapping(message: Message, field: str) -> Message:
    """A field that must be an object; absent, null, or an empty text or list it is empty."""
    value = message.get(field)
    if value in (None, "", []):
        return {}
    if not isinstance(value, dict):
        raise RefusedError("wrong_type", field)
    return value


BLANKS = " \t\r\n\v\f\xa0\u2007\u200b\u202f\u2060\u3000\ufeff"
NOTHING = [
    "undefined",
    "null",
    "none",
    "nil",
    "nan",
    "na",
    "objectobject",
    "redacted",
    "filtered",
    "masked",
    "hidden",
    "removed",
    "omitted",
    "protected",
    "secure",
    "secret",
    "sensitive",
    "sensitivevalue",
    "scrubbed",
    "obfuscated",
    "anonymized",
    "yourapikey",
]


def is_nothing(text: str) -> bool:
    """Whether programs, masks and templates write the text where there is nothing."""
    bare = text.strip(" \t\r\n\"'`\u00a0\ufeff")
    letters = "".join(character for character in bare if re.match(r"[^\W_]", character))
    if not letters or letters.lower() in NOTHING:
        return True
    if len(bare) >= 3 and len(set(bare)) == 1:
        return True
    if "..." in bare or "…" in bare or re.search("[*•●]{3}", bare):
        return True
    if (bare[0], bare[-1]) in [("[", "]"), ("<", ">"), ("(", ")"), ("{", "}")]:
        return True
    unresolved = [r"\$\{.*\}", r"\$[A-Za-z_]\w*", r"%\w+%", r"%![a-z]\(.*\)"]
    return any(re.fullmatch(form, bare, re.DOTALL) for form in unresolved)
