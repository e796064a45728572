"""Writes the configuration where the views find it: what a stage or a power user is, they read beside the numbers."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from clickhouse_connect.driver import Client

from schemas.definitions import Definitions

#: The sections that views go by.
SECTIONS: Final = ("stages", "activations", "segments", "churn_risks", "power_users")

_COLUMNS: Final = ("section", "name", "position", "definition", "version", "is_deleted")


def write_definitions(client: Client, definitions: Definitions) -> None:
    """Make the view `definitions` say what these do. Nothing is written where it does. Raises the driver's errors."""
    wanted = {
        (section, name): (position, json.dumps(entry, separators=(",", ":")))
        for section in SECTIONS
        for position, (name, entry) in enumerate(_entries(definitions, section).items())
    }
    found = {
        (section, name): (position, text)
        for section, name, position, text in client.query(
            "SELECT section, name, position, definition FROM definitions"
        ).result_rows
    }
    version = time.time_ns() // 1_000_000
    rows: list[tuple[Any, ...]] = [
        (*key, *entry, version, 0) for key, entry in wanted.items() if found.get(key) != entry
    ]
    rows += [(*key, 0, "", version, 1) for key in found.keys() - wanted.keys()]
    if rows:
        client.insert("definition_rows", rows, column_names=_COLUMNS)


def _entries(definitions: Definitions, section: str) -> dict[str, Any]:
    entries: dict[str, Any] = definitions.model_dump(mode="json")[section]
    return entries
