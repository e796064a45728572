"""Rows that name someone who is erased, beside the rows of that person or company itself."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from deploy.erasure.statements import Statements, by_kind, parcels
from streams.normalise.suppression_list import SuppressedKind

#: An id on the suppression list.
ErasedId = tuple[SuppressedKind, str]

#: Keys are not among them: a refused message shows none.
_SHOWN: Final = ("user_id", "company_id", "session_token", "lone_session", "anonymous_id")
#: Kinds that are a narrower rule for the ids of an alias.
_ALIAS_OF: Final[dict[SuppressedKind, SuppressedKind]] = {"company_key": "api_key", "lone_session": "session_token"}
#: Longer regular expressions take ClickHouse too much memory.
_PATTERN_BYTES: Final = 10_000


def naming(statements: Statements, erased: Iterable[ErasedId]) -> dict[str, set[tuple[str, str]]]:
    """Subjects whose rows name any of these ids, by table, as (scope, id)."""
    found: dict[str, set[tuple[str, str]]] = {"identity": set(), "profile": set()}
    for some in parcels(sorted(erased)):
        for table, scope, identifier in statements.stream("naming", _values(some)):
            found[table].add((scope, identifier))
    return found


def delete_dead_letters(statements: Statements, erased: Iterable[ErasedId], alive: set[ErasedId]) -> None:
    """Delete refused messages that name any of these ids, but not those in `alive`, which others have too."""
    for pattern in patterns(erased, alive):
        statements.delete("dead_letters_naming", {"pattern": pattern})


def naming_alerts(statements: Statements, erased: Iterable[ErasedId]) -> list[str]:
    """Ids of alerts about a value that names any of these ids: a company, or a text of a first touch."""
    found: set[str] = set()
    for pattern in patterns(erased):
        found.update(alert_id for (alert_id,) in statements.stream("alerts_naming", {"pattern": pattern}))
    return sorted(found)


def delete_alerts(statements: Statements, erased: Iterable[ErasedId], alert_ids: Iterable[str]) -> None:
    """Delete these alerts, and the states of monitors that name the erased. `firstcall alerts` drops alerts without rows."""
    for pattern in patterns(erased):
        statements.delete("monitors_naming", {"pattern": pattern})
    for some in parcels(alert_ids):
        for table in ("alert_delivery_rows", "alert_rows"):
            statements.delete("rows_of_alerts", {"table": table, "alert_ids": some})


def count_traces(statements: Statements, erased: set[ErasedId]) -> Counter[str]:
    """How many rows name any of these ids, by table. Ids on events that are there, later ones or others', may be named."""
    there: set[ErasedId] = set()
    for some in parcels(sorted(erased)):
        there.update(statements.stream("still_there", _values(some)))
    there |= {(derived, identifier) for derived, kind in _ALIAS_OF.items() for one, identifier in there if one == kind}
    gone = erased - there
    found: Counter[str] = Counter()
    for some in parcels(sorted(gone)):
        found.update(dict(statements.rows("left", _values(some))))
    for pattern in patterns(gone):
        found["dead_letter_rows"] += statements.count("dead_letters_naming", {"pattern": pattern})
        found["monitor_rows"] += statements.count("monitors_naming", {"pattern": pattern})
    found["alert_rows"] = len(naming_alerts(statements, gone))
    return +found


def _values(some: Iterable[ErasedId]) -> dict[str, object]:
    """Ids as statements take them. `developers`: users, and visitors, whose developer id is that of an alias."""
    companies = [identifier for kind, identifier in some if kind == "company_id"]
    ids = [(_ALIAS_OF.get(kind, kind), identifier) for kind, identifier in some if kind != "company_id"]
    developers = [identifier if kind == "user_id" else f"{kind}:{identifier}" for kind, identifier in ids]
    return {**by_kind(ids), "aliases": ids, "companies": companies, "developers": developers}


def patterns(erased: Iterable[ErasedId], alive: Iterable[ErasedId] = ()) -> Iterable[str]:
    """Regular expressions for ids as words of their own, plain or as JSON writes them; not for keys, nor those in `alive`."""
    named = {identifier for kind, identifier in set(erased).difference(alive) if kind in _SHOWN}
    spelled = (
        named
        | {json.dumps(each)[1:-1] for each in named}
        | {json.dumps(each, ensure_ascii=False)[1:-1] for each in named}
    )
    for some in parcels([re.escape(each) for each in sorted(spelled)], _PATTERN_BYTES):
        yield rf"(?:^|[^\p{{L}}\p{{N}}])(?:{'|'.join(some)})(?:$|[^\p{{L}}\p{{N}}])"
