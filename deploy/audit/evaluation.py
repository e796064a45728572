"""Evaluates parts of events in Python. ClickHouse reduces the events to their distinct combinations; the results go back.

Touches and segments depend on how addresses, words and letters are read. That is reading, not folding, so the streams' own
functions do it; their tests show that they read correctly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from deploy.audit.workspace import Workspace
from schemas.event import Event

_INSERTED_AT_ONCE: Final = 50_000

#: The values of one combination of parts, in the order of its columns; None or nothing if it has none.
Evaluate = Callable[[Sequence[Any]], dict[str, str] | None]


def evaluate_distinct(workspace: Workspace, table: str, column: str, candidates: str, evaluate: Evaluate) -> None:
    """Fill a working table of `parts_hash` and a column. `candidates`: a query whose rows begin with the hash."""
    found = _evaluated(workspace, candidates, evaluate)
    while rows := list(islice(found, _INSERTED_AT_ONCE)):
        workspace.client.insert(
            workspace.tables[table],
            rows,
            column_names=["parts_hash", column],
            column_type_names=["UInt64", "Map(String, String)"],
        )


def _evaluated(workspace: Workspace, candidates: str, evaluate: Evaluate) -> Iterator[tuple[int, dict[str, str]]]:
    with workspace.client.query_row_block_stream(
        candidates, parameters=workspace.parameters, settings=workspace.settings
    ) as blocks:
        for block in blocks:
            for parts_hash, *parts in block:
                if values := evaluate(parts):
                    yield parts_hash, values


def partial_event(
    name: str = "",
    properties: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    traits: dict[str, Any] | None = None,
) -> Event:
    """A web event with only these parts, as the streams' functions take whole events."""
    return Event(
        message_id="",
        time=0,
        received_at=0,
        source="web",
        type="event",
        name=name,
        anonymous_id="",
        session_token="",
        api_key="",
        user_id="",
        company_id="",
        previous_id="",
        environment="production",
        properties=properties or {},
        context=context or {},
        traits=traits or {},
        is_internal=False,
        is_bot=False,
    )
