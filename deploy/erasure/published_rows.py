"""What the streams and the sink have published of whoever is erased: rows in ClickHouse, keys on compacted topics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from deploy.erasure.statements import Statements, parcels
from sinks.clickhouse import named_errors
from sinks.reconcile import settle
from streams.topology import ACTIVITY, IDENTITIES, PROFILES

#: (scope, id) as the tables have them, such as ('developer', 'u1') or ('anonymous_id', 'a1').
Subject = tuple[str, str]

TOPIC_OF: Final = {"identity": IDENTITIES, "profile": PROFILES, "activity": ACTIVITY}
#: All whose rows an erasure deletes.
TABLES: Final = (
    *("event_rows", "identity_rows", "profile_rows", "activity_rows", "usage_rows", "dead_letter_rows"),
    "touch_rows",
    *("alert_rows", "alert_delivery_rows", "monitor_rows"),
)


@dataclass(frozen=True)
class Published:
    """What there is of subjects in one table.

    `gone`: keys of the topic whose latest row says that nothing is there. `bounds`: the version up to which the rows of a
    subject are outdated, as its owner has published everything that holds in later ones.
    """

    gone: list[str]
    bounds: list[tuple[str, str, int]]


def published(statements: Statements, table: str, subjects: Iterable[Subject]) -> Published:
    """What there is of subjects in `identity_rows`, `profile_rows` or `activity_rows`, by the name before `_rows`."""
    gone: list[str] = []
    latest: dict[Subject, int] = {}
    living: dict[Subject, int] = {}
    for some in parcels(subjects):
        for scope, identifier, key, version, is_gone in statements.stream(f"states_of_{table}", {"subjects": some}):
            subject = (scope, identifier)
            if is_gone:
                gone.append(key)
                latest[subject] = max(version, latest.get(subject, version))
            else:
                living[subject] = min(version, living.get(subject, version))
    return Published(gone, _bounds(latest, living))


def delete_published(statements: Statements, table: str, found: Published) -> None:
    """Delete the rows that are outdated or say that nothing is there."""
    for some in parcels(found.bounds):
        ids = sorted({identifier for _, identifier, _ in some})
        statements.run(f"delete_{table}", {"ids": ids, "bounds": some})


def recount_usage(statements: Statements, aliases: Iterable[Subject]) -> None:
    """Count the events of aliases anew, and delete all other counts of them."""
    aliases = list(aliases)
    for some in parcels(aliases):
        statements.run("count_anew", {"subjects": some})
    with named_errors(statements.address):
        settle(statements.client)
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
    delete_published(statements, "usage", Published([], bounds))
    counts = [(subject[1], *state) for subject in sorted(living) for state in outdated[subject]]
    for together in parcels(counts):
        states = [(key_hash, version) for _, key_hash, version in together]
        statements.run("delete_counts", {"ids": sorted({alias for alias, _, _ in together}), "bounds": states})


def purge(statements: Statements) -> None:
    """Take what was deleted off the disk."""
    for table in TABLES:
        statements.run(f"purge_{table}")


def _bounds(gone: dict[Subject, int], living: dict[Subject, int]) -> list[tuple[str, str, int]]:
    outdated = gone | {subject: version - 1 for subject, version in living.items()}
    return [(*subject, version) for subject, version in sorted(outdated.items()) if version >= 0]
