"""The suppression list: which events are suppressed because their person or company was erased.

An entry holds a keyed digest of an id and periods of event time, so it names no one. A suppressed event counts for nothing
whenever and however often it arrives: neither a replay nor a late copy brings back what was erased. An entry can only be
compared with ids under the secret of its digest; without that secret no event is accepted.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from schemas.errors import StateError
from schemas.event import Event

#: The kind of a suppressed id, and so which events it suppresses: those that name a user, also as the one merged away; those
#: that name no user and carry an alias (`lone_session`: a session token and no anonymous id); those that name a company; those
#: of a company's API key that name none.
SuppressedKind = Literal[
    "user_id", "api_key", "session_token", "anonymous_id", "lone_session", "company_id", "company_key"
]

#: Event times (ms) from the first on, before the second.
Period = tuple[int, int]


class Suppression(msgspec.Struct, frozen=True):
    """Suppresses events of the id behind `digest` in `periods`. `secret`: the one behind the digest, by `name_of`.

    `exempt`: digests of stronger identifiers that lead to somebody else; an event that carries one is not suppressed.
    """

    kind: SuppressedKind
    digest: str
    periods: list[Period]
    secret: str
    exempt: list[str] = []


def name_of(secret: bytes) -> str:
    """A name that distinguishes secrets and reveals nothing else of them."""
    return hmac.digest(secret, b"which secret it is", "sha256")[:4].hex()


def digest_of(secret: bytes, kind: SuppressedKind, identifier: str) -> str:
    """128 bits of HMAC-SHA-256 in hex. Keyed, because ids are often addresses, which can be guessed from a plain hash."""
    return hmac.digest(secret, f"{kind}\0{identifier}".encode(), "sha256")[:16].hex()


class SuppressionList:
    """All suppressions of a deployment. `secrets`: those that digests may be made with. Raises StateError."""

    def __init__(self, secrets: Sequence[bytes], suppressions: Iterable[Suppression] = ()) -> None:
        self._secrets = {name_of(secret): secret for secret in secrets}
        #: By secret, then by kind and digest, then by what is exempt.
        self._entries: dict[str, dict[tuple[SuppressedKind, str], dict[tuple[str, ...], Suppression]]] = {}
        for suppression in suppressions:
            self.add(suppression)

    def add(self, one: Suppression) -> None:
        """Add an entry. The periods of one id with equal exemptions add up to one entry. Raises StateError."""
        if one.secret not in self._secrets:
            raise StateError(
                "people or companies were erased under a secret that is not configured any more, so their events could not be "
                "recognised. Add that secret to FIRSTCALL_RETIRED_SECRETS"
            )
        entries = self._entries.setdefault(one.secret, {}).setdefault((one.kind, one.digest), {})
        exempt = tuple(one.exempt)
        known = entries[exempt].periods if exempt in entries else []
        periods = [*known, *(period for period in one.periods if period not in known)]
        entries[exempt] = msgspec.structs.replace(one, periods=periods)

    def suppressions(self) -> list[Suppression]:
        """All entries."""
        return [
            one for by_digest in self._entries.values() for entries in by_digest.values() for one in entries.values()
        ]

    def entries_of(self, kind: SuppressedKind, identifier: str) -> list[Suppression]:
        """All entries of an id."""
        return [
            one
            for secret, by_digest in self._entries.items()
            for one in by_digest.get((kind, digest_of(self._secrets[secret], kind, identifier)), {}).values()
        ]

    def digests_of(self, kind: SuppressedKind, identifier: str) -> list[str]:
        """The digests of an id under all secrets."""
        return [digest_of(secret, kind, identifier) for secret in self._secrets.values()]

    def suppresses(self, event: Event) -> bool:
        if not self._entries:
            return False
        if event.user_id:
            if self._is_suppressed("user_id", event.user_id, event.time):
                return True
        elif self._is_suppressed_by_alias(event):
            return True
        if event.merged_id and self._is_suppressed("user_id", event.merged_id, event.time):
            return True
        if event.company_id:
            return self._is_suppressed("company_id", event.company_id, event.time)
        return bool(event.api_key) and self._is_suppressed("company_key", event.api_key, event.time)

    def _is_suppressed_by_alias(self, event: Event) -> bool:
        stronger: list[tuple[SuppressedKind, str]] = []
        aliases: list[tuple[SuppressedKind, str]] = [("api_key", event.api_key), ("session_token", event.session_token)]
        if event.anonymous_id:
            aliases.append(("anonymous_id", event.anonymous_id))
        else:
            aliases.append(("lone_session", event.session_token))
        for kind, identifier in aliases:
            if identifier:
                if self._is_suppressed(kind, identifier, event.time, stronger):
                    return True
                stronger.append((kind, identifier))
        return False

    def _is_suppressed(
        self,
        kind: SuppressedKind,
        identifier: str,
        time: int,
        stronger: Sequence[tuple[SuppressedKind, str]] = (),
    ) -> bool:
        return any(
            any(since <= time < until for since, until in one.periods)
            and not any(digest_of(self._secrets[one.secret], *other) in one.exempt for other in stronger)
            for one in self.entries_of(kind, identifier)
        )
