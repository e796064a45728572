"""Merged users: where the pointers from user to user end. There are few, so this is done here and not in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final

from deploy.audit.workspace import Workspace

_INSERTED_AT_ONCE: Final = 50_000


def resolve_merges(workspace: Workspace) -> None:
    """Fill the working table of merged users."""
    pointers = {str(user): str(target) for user, target in workspace.rows("pointers")}
    merged = ((user, developer) for user, developer in ends(pointers).items() if developer != user)
    while rows := list(islice(merged, _INSERTED_AT_ONCE)):
        workspace.client.insert(
            workspace.tables["merged"],
            rows,
            column_names=["user_id", "developer"],
            column_type_names=["String", "String"],
        )


def ends(pointers: Mapping[str, str]) -> dict[str, str]:
    """Where each pointer leads in the end: to an id without one or with one to itself, in a cycle to its smallest id."""
    found: dict[str, str] = {}
    for start in pointers:
        # Ids in the order in which they were come by, so that a cycle is the rest of them from its first id on.
        way: dict[str, None] = {}
        user = start
        while user not in found and user not in way and pointers.get(user, user) != user:
            way[user] = None
            user = pointers[user]
        if user in way:
            passed = list(way)
            end = min(passed[passed.index(user) :])
        else:
            end = found.get(user, user)
        found.update(dict.fromkeys([*way, user], end))
    return found
