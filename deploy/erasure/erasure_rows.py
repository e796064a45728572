"""The rows of `erasures`: when and how much was erased, and a keyed digest of the id, which names no one."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass

from deploy.erasure.statements import Statements
from schemas.config.definitions import Level
from streams.erasure.plan import Request
from streams.normalise.suppression_list import digest_of


@dataclass(frozen=True)
class Extent:
    """How much an erasure erases: suppressed events, user ids, session tokens and anonymous ids, API keys."""

    events: int
    users: int
    aliases: int
    keys: int

    def at_least(self, other: Extent) -> Extent:
        """The greater of each number: an interrupted erasure finds less the second time."""
        return Extent(*map(max, astuple(self), astuple(other)))


@dataclass(frozen=True)
class ErasureRow:
    """An erasure in the table. Times in ms; `completed_at` 0: it is not completed."""

    subject: str
    level: Level
    asked_at: int
    completed_at: int
    extent: Extent


def subject_of(request: Request, secret: bytes) -> str:
    """The digest that stands for the erased id."""
    return digest_of(secret, "user_id" if request.level == "developer" else "company_id", request.id)


def read(statements: Statements) -> list[ErasureRow]:
    """All erasures, the latest last."""
    return [
        ErasureRow(subject, level, asked_at, completed_at, Extent(*extent))
        for subject, level, asked_at, completed_at, *extent in statements.rows("erasures")
    ]


def write(statements: Statements, row: ErasureRow) -> None:
    """Write the state of an erasure."""
    times = {"asked_at": row.asked_at, "completed_at": row.completed_at}
    statements.run("write_erasure", {"subject": row.subject, "level": row.level} | times | asdict(row.extent))
