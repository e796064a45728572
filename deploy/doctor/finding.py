"""What a check of `firstcall doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """What one check found. `advice` is what to do; it is empty when all is well."""

    check: str
    verdict: Literal["ok", "note", "wrong"]
    detail: str
    advice: str = ""
