"""Rows of touches and of outreach: each event that brought a subject here."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from schemas.config.definitions import Definitions
from schemas.event import Event
from streams.facts.compiled_definitions import CompiledDefinitions, Matcher, Observation, event_hash
from streams.facts.touches import touch_of
from streams.identity.held_events import content_of

TOUCH_ROWS: Final = "touch_rows"

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class TouchReader:
    """Makes the row of an event that is a touch, or outreach.

    The streams use the same function, so that a subject's first touch is the one in its profile. Outreach counts also when
    it comes from the own organisation.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._compiled = CompiledDefinitions(definitions)
        self._is_content = Matcher(definitions.selectors[definitions.touch])
        self._is_outreach = Matcher(definitions.outreach) if definitions.outreach else lambda _: False

    def __call__(self, event: Event) -> bytes | None:
        """The row as JSON; None if the event is neither, or automated traffic."""
        if event.type != "event" or event.is_bot:
            return None
        is_content = self._is_content(event)
        touch = touch_of(event, is_content)
        is_outreach = self._is_outreach(event)
        if touch is None and not is_outreach:
            return None
        seen = self._compiled.observe(event)
        values = (seen.segments if seen else None) or {}
        return _encode(
            {
                "alias_kind": event.alias_kind,
                "alias": event.alias,
                "event_hash": event_hash(event),
                "content_hash": _content_hash(event, seen, is_content=is_content, is_outreach=is_outreach),
                "message_id": event.message_id,
                "time": event.time,
                "api_key": event.api_key,
                # What names a user is that user's, whatever session and device it came from.
                "session_token": "" if event.user_id else event.session_token,
                "anonymous_id": "" if event.user_id else event.anonymous_id,
                "company_id": event.company_id,
                "name": event.name,
                **(touch or {}),
                "texts": _texts(touch or {}),
                "segments": {self._compiled.segments.names[i]: value for i, value in values.items()},
                "is_touch": touch is not None,
                "is_content": is_content,
                "is_outreach": is_outreach,
            }
        )


def _content_hash(event: Event, seen: Observation | None, *, is_content: bool, is_outreach: bool) -> int:
    """The hash of a copy but for its time: of everything that facts are made of, and of their owner."""
    web_aliases = () if event.user_id else (event.session_token, event.anonymous_id)
    content = (
        event.api_key,
        *web_aliases,
        event.name,
        seen and content_of(event.company_id, seen),
        is_content,
        is_outreach,
    )
    return int.from_bytes(hashlib.blake2b(_encode(content), digest_size=8).digest(), "big")


def _texts(touch: dict[str, str]) -> str:
    """All fields of a touch as one text, which orders touches by their sorted fields."""
    return "".join(f"{_terminated(field)}{_terminated(text)}" for field, text in sorted(touch.items()))


def _terminated(text: str) -> str:
    """With a terminator that sorts before every continuation."""
    return text.replace("\0", "\0\1") + "\0\0"
