"""What is erased: marks that name no one, and the events that they make void.

A mark holds a keyed digest of an id and the periods in which events of that id are void. A void event counts for
nothing, whenever and however often it arrives, so that neither a replay nor a late copy brings back what was erased.
Whom a mark is about can only be told with the secret that it was made with; without that secret nothing is taken in.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from schemas.errors import StateError
from schemas.event import Event

#: What the id of a mark is, and so which events it makes void: those that name a user, also as the one merged away;
#: those of an alias (their strongest identifier); those that name a company; those of a company's API key that name none.
MarkKind = Literal["user_id", "api_key", "session_token", "anonymous_id", "company_id", "company_key"]

#: Event times (ms) from the first on, before the second.
Period = tuple[int, int]


class Suppression(msgspec.Struct, frozen=True):
    """Events of the id behind `digest` are void in `periods`. `secret`: which one made the digest, by `name_of`."""

    kind: MarkKind
    digest: str
    periods: list[Period]
    secret: str


def unknown_secret() -> StateError:
    """Someone was erased under a secret that is not configured any more: what is void could not be told."""
    return StateError(
        "people or companies were erased under a secret that is not configured any more, so their events could not be "
        "told from others. Add that secret to FIRSTCALL_RETIRED_SECRETS"
    )


def name_of(secret: bytes) -> str:
    """Tells secrets from one another, and nothing else of them."""
    return hmac.digest(secret, b"which secret it is", "sha256")[:4].hex()


def digest_of(secret: bytes, kind: MarkKind, identifier: str) -> str:
    """128 bits of HMAC-SHA-256 in hex. Keyed, because ids are often addresses, which can be guessed from a plain hash."""
    return hmac.digest(secret, f"{kind}\0{identifier}".encode(), "sha256")[:16].hex()


class SuppressionList:
    """All marks of a deployment. `secrets`: those that digests may be made with. Raises StateError."""

    def __init__(self, secrets: Sequence[bytes], marks: Iterable[Suppression] = ()) -> None:
        self._secrets = {name_of(secret): secret for secret in secrets}
        self._marks: dict[str, dict[tuple[MarkKind, str], list[Period]]] = {}
        for mark in marks:
            self.add(mark)

    def add(self, mark: Suppression) -> None:
        """Take in a mark; periods of one id add up. Raises StateError."""
        if mark.secret not in self._secrets:
            raise unknown_secret()
        known = self._marks.setdefault(mark.secret, {}).setdefault((mark.kind, mark.digest), [])
        known.extend(period for period in mark.periods if period not in known)

    def marks(self) -> list[Suppression]:
        """All of them, one for each id and secret."""
        return [
            Suppression(kind, digest, periods, secret)
            for secret, marks in self._marks.items()
            for (kind, digest), periods in marks.items()
        ]

    def periods_of(self, kind: MarkKind, identifier: str) -> list[Period]:
        """When events of an id are void."""
        return [
            period
            for secret, marks in self._marks.items()
            for period in marks.get((kind, digest_of(self._secrets[secret], kind, identifier)), ())
        ]

    def cover(self, event: Event) -> bool:
        """Whether the event is void."""
        if not self._marks:
            return False
        if event.user_id:
            if self._marked("user_id", event.user_id, event.time):
                return True
        elif self._marked(event.alias_kind, event.alias, event.time):
            return True
        if event.merged_id and self._marked("user_id", event.merged_id, event.time):
            return True
        if event.company_id:
            return self._marked("company_id", event.company_id, event.time)
        return bool(event.api_key) and self._marked("company_key", event.api_key, event.time)

    def _marked(self, kind: MarkKind, identifier: str, time: int) -> bool:
        return any(since <= time < until for since, until in self.periods_of(kind, identifier))
