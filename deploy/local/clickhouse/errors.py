"""Errors as ClickHouse sends them: a code, and a text that ends with the name of the code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_WHY_DENIED: Final = (
    "The embedded ClickHouse keeps to its own tables: no files, URLs, other servers, programs or users. "
    "Use a ClickHouse server for that (FIRSTCALL_CLICKHOUSE)"
)


class ErrorCode(IntEnum):
    """The errors that do not come from the engine itself, by ClickHouse's names and numbers."""

    BAD_ARGUMENTS = 36
    NOT_IMPLEMENTED = 48
    SYNTAX_ERROR = 62
    UNKNOWN_SETTING = 115
    NOT_ENOUGH_SPACE = 243
    CANNOT_DECOMPRESS = 271
    TOO_MANY_BYTES = 307
    SESSION_IS_LOCKED = 373
    ACCESS_DENIED = 497
    UNKNOWN_EXCEPTION = 1002


@dataclass(frozen=True)
class Failure:
    """The answer to a statement that failed."""

    code: int
    text: str

    @classmethod
    def of(cls, code: ErrorCode, reason: str) -> Failure:
        return cls(code, f"Code: {code}. DB::Exception: {reason}. ({code.name})")

    @classmethod
    def from_engine(cls, error: Exception) -> Failure:
        found = re.search(r"Code: (\d+)\. DB::.*", str(error), re.DOTALL)
        if found is None:
            return cls.of(ErrorCode.UNKNOWN_EXCEPTION, str(error).strip() or "no reason given")
        # The name stays the last word: clients look for it there.
        return cls(int(found[1]), found[0].strip().replace("(ACCESS_DENIED)", f"{_WHY_DENIED}. (ACCESS_DENIED)"))
