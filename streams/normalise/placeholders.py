"""Texts that programs, masks and templates write where a value is missing."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

#: Compared without case, and without whatever is neither a letter nor a digit.
WORDS: Final = frozenset(
    [
        *("undefined", "null", "none", "nil", "nan", "na", "objectobject", "redacted", "filtered", "masked", "hidden"),
        *("removed", "omitted", "protected", "secure", "secret", "sensitive", "sensitivevalue", "scrubbed"),
        *("obfuscated", "anonymized", "yourapikey"),
    ]
)
_NO_LETTER: Final = re.compile(r"[\W_]*")
_REPEATED: Final = re.compile(r"(.)\1{2,}", re.DOTALL)
#: Partly masked: two customers can share what is left.
_MASKED: Final = re.compile(r"[*•●]{3}|\.\.\.|…")
_BRACKETED: Final = re.compile(r"\[.*\]|<.*>|\(.*\)|\{.*\}", re.DOTALL)
#: Variables that a template left as they were, and Go's `%!s(<nil>)`.
_UNRESOLVED: Final = re.compile(r"\$\{.*\}|\$[A-Za-z_]\w*|%\w+%|%![a-z]\(.*\)", re.DOTALL)
_QUOTES: Final = " \t\r\n\"'`\u00a0\ufeff"
TEXTS_CACHED: Final = 100_000


@lru_cache(TEXTS_CACHED)
def is_placeholder(text: str) -> bool:
    """Whether a text stands for no value: empty, a mask, a bracketed remark, an unresolved variable, or one of `WORDS`."""
    text = text.strip(_QUOTES)
    return (
        _NO_LETTER.fullmatch(text) is not None
        or _REPEATED.fullmatch(text) is not None
        or _MASKED.search(text) is not None
        or _BRACKETED.fullmatch(text) is not None
        or _UNRESOLVED.fullmatch(text) is not None
        or re.sub(r"[\W_]", "", text).lower() in WORDS
    )
