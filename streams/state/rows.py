"""State as rows under byte keys, and the view that one batch has of a partition's store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol, TypeVar

import msgspec

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


#: The first byte of a key: the name of its row, and the ids that follow. Each processor has a store of its own.
TAGS: Final = {
    # fold_aliases (with c, f and i); a name is `kind:alias`
    b"w": "web alias: kind, alias",
    b"h": "events of a day: name, day",
    b"v": "share: name, user, company",
    b"s": "subscriber: name, name",
    b"l": "received links: name, name",
    b"q": "received parents: name, hash",
    b"k": "key: hash",
    b"b": "key by user and company: hash, user, company, web",
    # fold_developers
    b"u": "developer: user",
    b"o": "developer's own events: user, company",
    b"c": "contribution: parent, contributor",
    b"g": "merged user: canonical user, user",
    b"i": "internal flag: owner, user",
    b"f": "facts by company: owner, company",
    # fold_companies (with c and i)
    b"m": "company: company",
    # resolve_merges
    b"p": "pointer: user",
    b"t": "pointer back: target, user",
    # r is the canonical user there, and the rolling counts everywhere else.
    b"r": "canonical user: user; rolling count: metric, level, segment, value, then window and hour",
    # all
    b"e": "checkpoint of the partition",
}


class Store(Protocol):
    """One partition's rows, kept in the order of their keys."""

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows under `prefix` (a tag and one id), in order."""


def row_key(tag: bytes, *parts: str) -> bytes:
    """A key of `tag` (one byte of `TAGS`) and ids.

    Every part carries its length, so no id can be mistaken for two, or for a prefix.
    """
    pieces = [tag]
    for part in parts:
        encoded = part.encode()
        pieces.append(len(encoded).to_bytes(2, "big"))
        pieces.append(encoded)
    return b"".join(pieces)


def last_part(prefix: bytes, key: bytes) -> str:
    """The id that a key has behind a prefix."""
    return key[len(prefix) + 2 :].decode()


class Rows:
    """Reads through to the store, buffers writes until the batch is done, decodes each row once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[bytes, Any] = {}
        self._written: dict[bytes, None] = {}
        self._written_by_owner: dict[bytes, list[bytes]] = {}

    def get(self, key: bytes, kind: type[T]) -> T | None:
        """The row under `key`, or None."""
        if key in self._seen:
            found: T | None = self._seen[key]
            return found
        value = self._store.get(key)
        row = None if value is None else decode_row(kind, value)
        self._seen[key] = row
        return row

    def put(self, key: bytes, row: object) -> None:
        self._seen[key] = row
        if key not in self._written:
            self._written_by_owner.setdefault(_owner(key), []).append(key)
        else:
            del self._written[key]
        self._written[key] = None

    def delete(self, key: bytes) -> None:
        self.put(key, None)

    def scan(self, prefix: bytes, kind: type[T]) -> Iterator[tuple[bytes, T]]:
        """The rows under `prefix` (a tag and one id), including the batch's own writes, in no order."""
        stored = set()
        for key, value in self._store.scan(prefix):
            stored.add(key)
            if key not in self._seen:
                yield key, decode_row(kind, value)
            elif self._seen[key] is not None:
                yield key, self._seen[key]
        for key in tuple(self._written_by_owner.get(prefix, ())):
            if key not in stored and self._seen[key] is not None:
                yield key, self._seen[key]

    def beside(self) -> Rows:
        """A view of the same store whose changes are its own."""
        return Rows(self._store)

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """What the batch wrote, encoded, in the order in which keys were last written; None deletes."""
        return [(key, None if (row := self._seen[key]) is None else _encode(row)) for key in self._written]


def decode_row(kind: type[T], value: bytes) -> T:
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    row: T = decoder.decode(value)
    return row


def _owner(key: bytes) -> bytes:
    """The tag and the first id of a key."""
    return key[: 3 + int.from_bytes(key[1:3], "big")]


class MemoryStore:
    """A store in memory, for running without Kafka and for tests."""

    def __init__(self) -> None:
        self._owners: dict[bytes, dict[bytes, bytes]] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._owners.get(_owner(key), {}).get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted(self._owners.get(prefix, {}).items()))

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        return (row for rows in self._owners.values() for row in rows.items())

    def write(self, changes: list[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            rows = self._owners.setdefault(_owner(key), {})
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._owners.values())
