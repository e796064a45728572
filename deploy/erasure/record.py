"""What is kept of an erasure: when and how much, and a keyed digest of the id, which names no one."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.erasure.statements import Statements
from schemas.config.definitions import Level
from streams.erasure.plan import Request
from streams.normalise.suppression_list import digest_of


@dataclass(frozen=True)
class Extent:
    """How much an erasure erases: void events, user ids, session tokens and anonymous ids, API keys."""

    events: int
    users: int
    aliases: int
    keys: int

    def at_least(self, other: Extent) -> Extent:
        """The greater of each number: an interrupted erasure finds less the second time."""
        return Extent(
            max(self.events, other.events),
            max(self.users, other.users),
            max(self.aliases, other.aliases),
            max(self.keys, other.keys),
        )


@dataclass(frozen=True)
class Record:
    """An erasure in the table. Times in ms; `completed_at` 0: it is not."""

    subject: str
    level: Level
    asked_at: int
    completed_at: int
    extent: Extent


def subject_of(request: Request, secret: bytes) -> str:
    """The digest that stands for whom the request is about."""
    return digest_of(secret, "user_id" if request.level == "developer" else "company_id", request.id)


def records(statements: Statements) -> list[Record]:
    """All erasures, the latest last."""
    return [
        Record(subject, level, asked, completed, Extent(*extent))
        for subject, level, asked, completed, *extent in statements.rows("recorded")
    ]


def write(statements: Statements, record: Record) -> None:
    """Write how far an erasure is."""
    extent = record.extent
    statements.run(
        "record",
        {
            "subject": record.subject,
            "level": record.level,
            "asked": record.asked_at,
            "completed": record.completed_at,
            "events": extent.events,
            "users": extent.users,
            "aliases": extent.aliases,
            "keys": extent.keys,
        },
    )
