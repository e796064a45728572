"""Writes the configuration into the table by which views decide what a stage or a power user is."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver import Client

from schemas.config.definitions import Definitions
from schemas.errors import DeploymentError

#: The sections that views read.
SECTIONS: Final = ("stages", "activations", "segments", "churn_risks", "power_users")

#: The other sections: no view reads them, but they show under which definitions the numbers were made.
_ENTRIES: Final = (*SECTIONS, "selectors")
_SINGLE: Final = (
    *("usage", "touch", "outreach", "bots", "key_prefixes", "limits"),
    *("placeholders", "named_properties"),
)
#: Names people of the own organisation, so only a digest is stored.
_DIGESTED: Final = "internal"
_GENERATION: Final = "generation"

_SHOWN: Final = "SELECT section, name, definition FROM definitions ORDER BY section, position"
_OWN: Final = "SELECT section, name, definition FROM definition_rows FINAL ORDER BY section, position"
_COLUMNS: Final = ("section", "name", "position", "definition", "version", "is_deleted")


class Recorded(NamedTuple):
    """The definitions behind the tables of a database.

    `fingerprint` of the definitions; `database`: where they were written, which is another one if the views show the
    tables of a later generation; `sections` as plain data, `internal` as a digest.
    """

    database: str
    fingerprint: str
    sections: dict[str, Any]


def write_definitions(client: Client, definitions: Definitions) -> None:
    """Bring the view `definitions` in line with these. Entries that agree are not written. Raises the driver's errors."""
    sections = plain_sections(definitions)
    entries = [
        *((section, name, entry) for section in _ENTRIES for name, entry in sections[section].items()),
        *((section, "", sections[section]) for section in (*_SINGLE, _DIGESTED)),
        (_GENERATION, "", {"database": client.database, "fingerprint": definitions.fingerprint()}),
    ]
    positions = {(section, name): list(sections[section]).index(name) for section, name, _ in entries if name}
    wanted = {
        (section, name): (positions.get((section, name), 0), json.dumps(entry, separators=(",", ":")))
        for section, name, entry in entries
    }
    found = {
        (section, name): (position, text)
        for section, name, position, text in client.query(
            "SELECT section, name, position, definition FROM definition_rows FINAL"
        ).result_rows
    }
    version = time.time_ns() // 1_000_000
    rows: list[tuple[Any, ...]] = [
        (*key, *entry, version, 0) for key, entry in wanted.items() if found.get(key) != entry
    ]
    rows += [(*key, 0, "", version, 1) for key in found.keys() - wanted.keys()]
    if rows:
        client.insert("definition_rows", rows, column_names=_COLUMNS)


def record(client: Client, definitions: Definitions) -> None:
    """Write what a sink goes by, before it writes any row.

    Raises DeploymentError if rows were made under something else, and the driver's errors.
    """
    refuse_other(recorded(client, own=True), definitions)
    write_definitions(client, definitions)


def refuse_other(made_under: Recorded | None, definitions: Definitions) -> None:
    """Raise DeploymentError if the tables were made under something else: rows of both would give numbers of neither.

    `made_under` None: they were made under nothing yet.
    """
    configured = definitions.fingerprint()
    if made_under is not None and made_under.fingerprint != configured:
        raise DeploymentError(
            f"the tables were made under other definitions ({made_under.fingerprint}) than the configured ones ({configured})."
            " `firstcall config diff --against-running` shows the difference. Undo the change, or let `firstcall rebuild`"
            " recompute all numbers, while the old ones are served"
        )


def recorded(client: Client, *, own: bool = False) -> Recorded | None:
    """What the view `definitions` shows, or with `own` what the database's own table holds; None if that is nothing.

    Raises the driver's errors.
    """
    rows = client.query(_OWN if own else _SHOWN).result_rows
    made: Mapping[str, str] | None = None
    sections: dict[str, Any] = {section: {} for section in _ENTRIES}
    for section, name, text in rows:
        value = json.loads(text)
        if section == _GENERATION:
            made = value
        elif section in _ENTRIES:
            sections[section][name] = value
        else:
            sections[section] = value
    return Recorded(made["database"], made["fingerprint"], sections) if made is not None else None


def plain_sections(definitions: Definitions) -> dict[str, Any]:
    """The sections of definitions as plain data, in the way in which they are written."""
    sections = definitions.model_dump(mode="json")
    text = json.dumps(sections[_DIGESTED], sort_keys=True)
    sections[_DIGESTED] = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return sections
