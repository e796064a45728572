"""The messages on the internal topics, from one processor to the next.

An update holds deltas, versioned values, or one order of an erasure:

- A delta is joined. It has no version, since joining it twice changes nothing.
- A versioned value is absolute and replaces older ones. Its version is the offset of the message that caused it. The
  sender's state is a function of its log up to that offset, so the same version always carries the same value.
- An order stands in a message of its own.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeVar, cast

import msgspec

from schemas.event import AliasKind, Rejected
from streams.facts.compiled_definitions import Observation
from streams.facts.facts import Facts

#: Evidence of a link: (time in ms, id of the parent).
Link = tuple[int, str]

#: An alias: (kind, identifier).
Alias = tuple[AliasKind, str]

#: Evidence that two hashes are of one API key: (under a newer secret, under an older one).
SameKey = tuple[str, str]

#: What an erasure orders; '' is no order. `drop`: delete the owner's state and withdraw all that was emitted from it; its
#: remaining events are fed again afterwards. `prune`: delete rows that only record a withdrawal.
Order = Literal["", "drop", "prune"]


class Bucket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Facts of an API key's events that carried the same explicit user and company ('' for none).

    `is_web`: the events name no user but a session or an anonymous id, so a web alias holds them while the key has no owner.
    """

    user: str
    company: str
    is_web: bool
    facts: Facts


class InternalFlag(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Whether `user` is internal, sent to each of its API keys and merged users. The use of an internal user does not count.

    Versioned by `user`.
    """

    user: str
    internal: bool
    version: int


class FirstHash(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The owner and company of an API key, sent by its first hash to the key's other hashes, which publish them as theirs.

    Versioned by `first`.
    """

    first: str
    owner: Link | None
    company: Link | None
    version: int


class HeldEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event that names no user, for the web alias that holds it: its anonymous id, else its session token.

    `company`: explicit, or ''. `session`: its session token beside an anonymous id, or ''. `api_key`: its key, or ''.
    """

    company: str
    session: str
    api_key: str
    seen: Observation


class AliasLinks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The ownership intervals of a web alias, sent to those that resolve events by them. Versioned by the alias.

    A session sends them to its devices, a device to its sessions with events that name no device.
    """

    kind: AliasKind
    alias: str
    intervals: list[Link]
    version: int


class KeyParents(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The owner and company of an API key ('' for none), sent to the web aliases that hold events with it.

    Versioned by `api_key`.
    """

    api_key: str
    owner: str
    company: str
    version: int


class Contribution(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one contributor adds to the facts of its parent. Versioned by `contributor`.

    `contributor`: unique among those of the parent. `company`: the one that the events are stamped with, or ''. `facts`:
    absolute; empty if the contributor withdraws. `api_key`: the key that the facts are a bucket of, or ''.
    """

    contributor: str
    company: str
    facts: Facts
    version: int
    api_key: str = ""


def contributor_name(name: str, company: str) -> str:
    """The contributor that stands for a subject's events of one company. Different pairs never share a name."""
    return f"{len(company)}/{company}/{name}"


class AliasUpdate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An update of one alias. `users`, `companies`: evidence of links.

    Of web aliases: `events`; `devices` (of a session: when it was seen with which anonymous id); `is_lone` (of a session: some
    event names no device); `contributions` (to a visitor, of its sessions with such events); `alias_links`, `key_parents`.
    Of API keys: `buckets`, `same_key`, `first_hashes`. `subscribers`: who is to receive the alias's links or parents.
    """

    kind: AliasKind
    alias: str
    users: list[Link] = []
    companies: list[Link] = []
    events: list[HeldEvent] = []
    buckets: list[Bucket] = []
    internal_flags: list[InternalFlag] = []
    same_key: list[SameKey] = []
    first_hashes: list[FirstHash] = []
    devices: list[Link] = []
    subscribers: list[Alias] = []
    alias_links: list[AliasLinks] = []
    key_parents: list[KeyParents] = []
    contributions: list[Contribution] = []
    is_lone: bool = False
    order: Order = ""

    @property
    def owner(self) -> tuple[str, str]:
        """What the update is keyed by."""
        return (self.kind, self.alias)


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The latest company of a user, sent to the developer that the user is merged into. Versioned by `user`.

    `link`: None if the user has no company or has left. `present`: whether the user is still merged into this developer.
    """

    user: str
    link: Link | None
    present: bool
    version: int


class Root(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The canonical id of a user, sent by the owner of the merges. A versioned value."""

    root: str
    version: int


class DeveloperUpdate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An update of one user id. `own`: (explicit company, facts) of events that name the user and no key."""

    user: str
    own: list[tuple[str, Facts]] = []
    companies: list[Link] = []
    contributions: list[Contribution] = []
    members: list[Member] = []
    roots: list[Root] = []
    internal_flags: list[InternalFlag] = []
    order: Order = ""

    @property
    def owner(self) -> str:
        """What the update is keyed by."""
        return self.user


class CompanyUpdate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An update of one company: what its developers, keys and stamped visitors contribute."""

    company: str
    contributions: list[Contribution] = []
    order: Order = ""

    @property
    def owner(self) -> str:
        """What the update is keyed by."""
        return self.company


class Pointer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Evidence that `previous` is the same person as `target`. The latest (time, target) holds."""

    previous: str
    time: int
    target: str
    order: Order = ""

    @property
    def owner(self) -> str:
        """What the update is keyed by: one owner keeps all pointers."""
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
    """The update in a message, or why it holds none: then another program wrote it.

    Raises msgspec.ValidationError if the message has the form of an update but does not fit. Another version may have
    written it, so it must not be skipped.
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
