"""What is read in Python: ClickHouse reduces all events to the different things that they can say, only these come here, one by
one, and what they are goes back. This is reading, not folding, so it is done with the streams' own functions: whether those
read as they should, their tests say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from deploy.audit.workspace import Workspace
from schemas.event import Event

_INSERTED_AT_ONCE: Final = 50_000

#: What the rest of a row says, in the order of its columns; None or nothing if it is not to be kept.
Read = Callable[[Sequence[Any]], dict[str, str] | None]


def read_back(workspace: Workspace, table: str, column: str, candidates: str, read: Read) -> None:
    """Fill a working table of `made_of` and a column. `candidates`: a query whose rows begin with what goes into `made_of`."""
    found = _read(workspace, candidates, read)
    while rows := list(islice(found, _INSERTED_AT_ONCE)):
        workspace.client.insert(
            workspace.tables[table],
            rows,
            column_names=["made_of", column],
            column_type_names=["UInt64", "Map(String, String)"],
        )


def _read(workspace: Workspace, candidates: str, read: Read) -> Iterator[tuple[int, dict[str, str]]]:
    with workspace.client.query_row_block_stream(
        candidates, parameters=workspace.parameters, settings=workspace.settings
    ) as blocks:
        for block in blocks:
            for made_of, *parts in block:
                said = read(parts)
                if said:
                    yield made_of, said


def event_saying(
    name: str = "",
    properties: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    traits: dict[str, Any] | None = None,
) -> Event:
    """A web event that says no more than this, as the streams' functions take whole events."""
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
