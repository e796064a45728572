"""What the levels tell each other: the messages on the internal topics.

A message is either a delta to be joined (no version: joining twice changes nothing), or an absolute value with the
offset of the message that caused it as its version (the sender's state is a function of its log up to that offset, so
an older version is an older truth, whoever sends it), or an order that an erasure gives.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeVar, cast

import msgspec

from schemas.event import AliasKind, Rejected
from streams.facts.compiled_definitions import Observation
from streams.facts.facts import Facts

#: Evidence of a link: (time in ms, id of the parent).
Link = tuple[int, str]

#: Evidence that two hashes are of one API key: (under a newer secret, under an older one).
SameKey = tuple[str, str]

#: What an erasure orders, in a message of its own. `forget`: drop all that is known of the owner, taking back what was
#: said of it; what its remaining events say comes again after it. `tidy`: drop what only says that something is gone.
Order = Literal["", "forget", "tidy"]


class Bucket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Facts of an API key's events that carried the same explicit user and company ('' for none)."""

    user: str
    company: str
    facts: Facts


class InternalFlag(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A developer tells a key of his, or a user who is merged into him, whether he is internal: so its use counts or does not."""

    user: str
    internal: bool
    version: int


class FirstHash(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first hash of an API key tells another one of it whose the key is, which that one publishes as its own."""

    first: str
    owner: Link | None
    company: Link | None
    version: int


class AliasUpdate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """To the owner of an alias. `users`, `companies`: evidence. `events`: (explicit company, observation) of a web
    alias; `buckets`: facts of an API key; `same_key`, `first_hashes`: of an API key too.
    """

    kind: AliasKind
    alias: str
    users: list[Link] = []
    companies: list[Link] = []
    events: list[tuple[str, Observation]] = []
    buckets: list[Bucket] = []
    internal_flags: list[InternalFlag] = []
    same_key: list[SameKey] = []
    first_hashes: list[FirstHash] = []
    order: Order = ""

    @property
    def owner(self) -> tuple[str, str]:
        """Whom the update is for."""
        return (self.kind, self.alias)


class Contribution(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a child contributes to its parent, under one company ('' if none is stamped). No facts: it withdraws.

    `child`: who contributes, unique among the parent's children. `api_key`: the key that it is a bucket of, or ''.
    """

    child: str
    company: str
    facts: Facts
    version: int
    api_key: str = ""


def contributor_name(name: str, company: str) -> str:
    """What a subject is called as a child of its developer, one child for each company named on its events.

    No two pairs have one name, whatever characters they are made of.
    """
    return f"{len(company)}/{company}/{name}"


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A merged user's latest company, told to the developer he is part of. `link` None: none, or no member any more."""

    user: str
    link: Link | None
    present: bool
    version: int


class Root(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The canonical developer of a user, by the pointers seen so far."""

    root: str
    version: int


class DeveloperUpdate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """To the owner of a user id. `own`: (explicit company, facts) of events that named the user and no key."""

    user: str
    own: list[tuple[str, Facts]] = []
    companies: list[Link] = []
    children: list[Contribution] = []
    members: list[Member] = []
    roots: list[Root] = []
    internal_flags: list[InternalFlag] = []
    order: Order = ""

    @property
    def owner(self) -> str:
        """Whom the update is for."""
        return self.user


class CompanyUpdate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """To the owner of a company: what its developers, keys and stamped visitors contribute."""

    company: str
    children: list[Contribution] = []
    order: Order = ""

    @property
    def owner(self) -> str:
        """Whom the update is for."""
        return self.company


class Pointer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Evidence that `previous` is the same person as `target`; of several the latest (time, target) holds."""

    previous: str
    time: int
    target: str
    order: Order = ""

    @property
    def owner(self) -> str:
        """Whom the update is for: all pointers have one owner."""
        return ""


U = TypeVar("U", AliasUpdate, DeveloperUpdate, CompanyUpdate, Pointer)
Update = AliasUpdate | DeveloperUpdate | CompanyUpdate | Pointer

_encode = msgspec.msgpack.Encoder().encode
_NO_ORDER: Final = _encode("")
_DECODERS: Final[dict[type, msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(kind) for kind in (AliasUpdate, DeveloperUpdate, CompanyUpdate, Pointer)
}


def encode(update: Update) -> bytes:
    """The value of the message."""
    return _encode(update)


def is_order(value: bytes | None) -> bool:
    """Whether a message is an order, without decoding it: `order` is the last field of each update, '' one byte."""
    return value is not None and value[-1:] != _NO_ORDER


def decode(kind: type[U], value: bytes | None) -> U | Rejected:
    """The update of that kind, or that the message is none: someone else has written it.

    Raises msgspec.ValidationError for what is an update by its form and does not fit: another version may have written it,
    so it must not be left out.
    """
    if not value:
        return Rejected("not_an_update", "", "the message has no value")
    try:
        return cast("U", _DECODERS[kind].decode(value))
    except msgspec.DecodeError as error:
        if isinstance(error, msgspec.ValidationError) and _has_form(value):
            raise
        return Rejected("not_an_update", "", str(error))


def _has_form(value: bytes) -> bool:
    """Whether a message has the form of an update of any version: a list that begins with a text."""
    try:
        fields = msgspec.msgpack.decode(value, type=list[msgspec.Raw])
        return bool(fields) and isinstance(msgspec.msgpack.decode(fields[0]), str)
    except (msgspec.DecodeError, RecursionError):
        return False
