"""What names someone who is erased."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from deploy.erasure.statements import Statements, parcels
from streams.normalise.suppression_list import SuppressedKind

#: Whom a mark is about.
Marked = tuple[SuppressedKind, str]

_LISTS: Final = {
    "user_id": "users",
    "api_key": "keys",
    "company_key": "keys",
    "session_token": "sessions",
    "anonymous_id": "devices",
    "company_id": "companies",
}
#: Keys are not among them: a refused message shows none.
_SHOWN: Final = ("user_id", "company_id", "session_token", "anonymous_id")
#: Longer regular expressions take ClickHouse too much memory.
_PATTERN_BYTES: Final = 10_000


def naming(statements: Statements, erased: Iterable[Marked]) -> dict[str, set[tuple[str, str]]]:
    """Whose rows name any of these, by table, as (scope, id)."""
    found: dict[str, set[tuple[str, str]]] = {"identity": set(), "profile": set()}
    for some in parcels(sorted(erased)):
        for table, scope, identifier in statements.stream("naming", _values(some)):
            found[table].add((scope, identifier))
    return found


def delete_dead_letters(statements: Statements, erased: Iterable[Marked], alive: set[Marked]) -> None:
    """Delete refused messages that name any of these; not for devices that others have, too."""
    for pattern in patterns(erased, alive):
        if statements.rows("dead_letters", {"pattern": pattern})[0][0]:
            statements.run("delete_dead_letters", {"pattern": pattern})


def naming_alerts(statements: Statements, erased: Iterable[Marked]) -> list[str]:
    """Ids of alerts about a value that names any of these: a company, or an id within what a first touch says."""
    found: set[str] = set()
    for pattern in patterns(erased):
        found.update(alert_id for (alert_id,) in statements.stream("alerts_naming", {"pattern": pattern}))
    return sorted(found)


def delete_alerts(statements: Statements, erased: Iterable[Marked], alert_ids: Iterable[str]) -> None:
    """Delete these alerts, and what monitors carry of any of the erased. `firstcall alerts` forgets alerts without rows."""
    for pattern in patterns(erased):
        if dict(statements.rows("alerts_left", {"pattern": pattern})).get("monitor_rows"):
            statements.run("delete_monitors", {"pattern": pattern})
    for some in parcels(alert_ids):
        statements.run("delete_deliveries", {"alert_ids": some})
        statements.run("delete_alerts", {"alert_ids": some})


def what_is_left(statements: Statements, erased: set[Marked]) -> Counter[str]:
    """How many rows name any of these, by table. Whose events are there, from a later life or of others, may be named."""
    still: set[Marked] = set()
    for some in parcels(sorted(erased)):
        still.update(statements.stream("still_there", _values(some)))
    still |= {("company_key", identifier) for kind, identifier in still if kind == "api_key"}
    left: Counter[str] = Counter()
    for some in parcels(sorted(erased - still)):
        left.update(dict(statements.rows("left", _values(some))))
    for pattern in patterns(erased - still):
        left["dead_letter_rows"] += statements.rows("dead_letters", {"pattern": pattern})[0][0]
        left.update(dict(statements.rows("alerts_left", {"pattern": pattern})))
    return +left


def _values(some: Iterable[Marked]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {name: [] for name in (*_LISTS.values(), "visitors")}
    for kind, identifier in some:
        values[_LISTS[kind]].append(identifier)
        if kind not in ("user_id", "company_id"):
            values["visitors"].append(f"{'api_key' if kind == 'company_key' else kind}:{identifier}")
    return values


def patterns(erased: Iterable[Marked], alive: Iterable[Marked] = ()) -> Iterable[str]:
    """Regular expressions for ids as words of their own, plain or as JSON writes them; not for keys, nor those in `alive`."""
    named = {identifier for kind, identifier in set(erased).difference(alive) if kind in _SHOWN}
    spelled = (
        named
        | {json.dumps(each)[1:-1] for each in named}
        | {json.dumps(each, ensure_ascii=False)[1:-1] for each in named}
    )
    for some in parcels([re.escape(each) for each in sorted(spelled)], _PATTERN_BYTES):
        yield rf"(?:^|[^\p{{L}}\p{{N}}])(?:{'|'.join(some)})(?:$|[^\p{{L}}\p{{N}}])"
