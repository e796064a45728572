"""What the streams and the sink have published of erased subjects: rows in ClickHouse, keys on compacted topics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from deploy.erasure.statements import Statements, parcels
from sinks.clickhouse import named_errors
from sinks.reconcile import reconcile
from streams.topology import ACTIVITY, IDENTITIES, PROFILES

#: (scope, id) as the tables have them, such as ('developer', 'u1') or ('anonymous_id', 'a1').
Subject = tuple[str, str]

TOPIC_OF: Final = {"identity": IDENTITIES, "profile": PROFILES, "activity": ACTIVITY}
#: Where the tables have scope and id.
_COLUMNS: Final = {
    "identity": {"table": "identity_rows", "scope": "alias_kind", "id": "alias"},
    "profile": {"table": "profile_rows", "scope": "level", "id": "id"},
    "activity": {"table": "activity_rows", "scope": "level", "id": "id"},
    "usage": {"table": "usage_rows", "scope": "alias_kind", "id": "alias"},
}
#: All tables from which an erasure deletes rows.
TABLES: Final = (
    *("event_rows", "identity_rows", "profile_rows", "activity_rows", "usage_rows", "dead_letter_rows"),
    "touch_rows",
    *("alert_rows", "alert_delivery_rows", "monitor_rows"),
)


@dataclass(frozen=True)
class Published:
    """What there is of subjects in one table.

    `gone`: keys of the topic whose latest row is a deletion. `bounds`: the version up to which the rows of a subject are
    outdated, as later ones hold everything that its owner has published.
    """

    gone: list[str]
    bounds: list[tuple[str, str, int]]


def published(statements: Statements, table: str, subjects: Iterable[Subject]) -> Published:
    """What there is of subjects in `identity_rows`, `profile_rows` or `activity_rows`, by the name before `_rows`."""
    gone: list[str] = []
    latest: dict[Subject, int] = {}
    living: dict[Subject, int] = {}
    query = "states_of_activity" if table == "activity" else "states"
    for some in parcels(subjects):
        for scope, identifier, key, version, is_gone in statements.stream(query, {**_COLUMNS[table], "subjects": some}):
            subject = (scope, identifier)
            if is_gone:
                gone.append(key)
                latest[subject] = max(version, latest.get(subject, version))
            else:
                living[subject] = min(version, living.get(subject, version))
    return Published(gone, _bounds(latest, living))


def delete_published(statements: Statements, table: str, bounds: Iterable[tuple[str, str, int]]) -> None:
    """Delete the rows of subjects up to their bounds: those that are outdated or deletions."""
    for some in parcels(bounds):
        ids = sorted({identifier for _, identifier, _ in some})
        statements.delete("versions", {**_COLUMNS[table], "ids": ids, "bounds": some})


def recount_usage(statements: Statements, aliases: Iterable[Subject]) -> None:
    """Count the events of aliases again, and delete all other counts of them."""
    aliases = list(aliases)
    for some in parcels(aliases):
        statements.run("rewrite_counts", {"subjects": some})
    with named_errors(statements.address):
        reconcile(statements.client)
    gone: dict[Subject, int] = {}
    outdated: dict[Subject, list[tuple[int, int]]] = {}
    living: set[Subject] = set()
    for some in parcels(aliases):
        for scope, identifier, key_hash, version, is_gone in statements.stream("states_of_usage", {"subjects": some}):
            subject = (scope, identifier)
            gone[subject] = max(version, gone.get(subject, version))
            outdated.setdefault(subject, []).append((key_hash, version if is_gone else version - 1))
            if not is_gone:
                living.add(subject)
    bounds = _bounds({subject: version for subject, version in gone.items() if subject not in living}, {})
    delete_published(statements, "usage", bounds)
    counts = [(subject[1], *state) for subject in sorted(living) for state in outdated[subject]]
    for together in parcels(counts):
        states = [(key_hash, version) for _, key_hash, version in together]
        statements.delete("usage_versions", {"ids": sorted({alias for alias, _, _ in together}), "bounds": states})


def purge(statements: Statements) -> None:
    """Remove what was deleted from the disk."""
    for table in TABLES:
        statements.run("purge", {"table": table})


def _bounds(gone: dict[Subject, int], living: dict[Subject, int]) -> list[tuple[str, str, int]]:
    outdated = gone | {subject: version - 1 for subject, version in living.items()}
    return [(*subject, version) for subject, version in sorted(outdated.items()) if version >= 0]
