"""All merges: which users are one person.

Merges are rare, so one partition holds every pointer. Each id points at most at one other, by the latest evidence; of equal
times, to the larger id. Any rule that does not depend on the order of arrival would do. The
pointers lead to the canonical id; in a cycle it is the smallest id. An id that points at itself is canonical.
"""

from __future__ import annotations

from collections.abc import Callable

from streams.messages.updates import Pointer, Root
from streams.state.batch_context import BatchContext
from streams.state.rows import Rows, row_key


def fold(context: BatchContext, pointers: list[Pointer]) -> None:
    """Store pointers; send every user whose canonical id changed the new one."""
    rows = context.rows
    turned: set[str] = set()
    for pointer in pointers:
        if pointer.order == "drop":
            _drop(rows, pointer.previous)
            turned.add(pointer.previous)
            continue
        key = row_key(b"p", pointer.previous)
        known = rows.get(key, Pointer)
        # An equal pointer is applied again: an interrupted batch may have written only a part of this.
        if known is not None and (known.time, known.target) > (pointer.time, pointer.target):
            continue
        if known is not None and known.target != pointer.target:
            rows.delete(row_key(b"t", known.target, pointer.previous))
        rows.put(row_key(b"t", pointer.target, pointer.previous), pointer.previous)
        rows.put(key, pointer)
        turned.add(pointer.previous)

    def target_of(user: str) -> str | None:
        pointer = rows.get(row_key(b"p", user), Pointer)
        return None if pointer is None else pointer.target

    for start in turned:
        root = canonical(target_of, start)
        for user in _led_to(rows, start):
            key = row_key(b"r", user)
            if (rows.get(key, str) or user) != root:
                if user == root:
                    rows.delete(key)
                else:
                    rows.put(key, root)
                context.outbox.developer(user).roots.append(Root(root, context.version))


def _drop(rows: Rows, previous: str) -> None:
    key = row_key(b"p", previous)
    known = rows.get(key, Pointer)
    if known is not None:
        rows.delete(row_key(b"t", known.target, previous))
        rows.delete(key)


def canonical(target_of: Callable[[str], str | None], user: str) -> str:
    """The id at the end of the pointers from `user`; of a cycle, its smallest id."""
    path: list[str] = []
    seen: set[str] = set()
    while user not in seen:
        seen.add(user)
        path.append(user)
        target = target_of(user)
        if target is None:
            return user
        user = target
    return min(path[path.index(user) :])


def _led_to(rows: Rows, user: str) -> set[str]:
    """All ids from which the pointers lead to `user`, itself among them."""
    found = {user}
    waiting = [user]
    while waiting:
        for _, previous in rows.scan(row_key(b"t", waiting.pop()), str):
            if previous not in found:
                found.add(previous)
                waiting.append(previous)
    return found
