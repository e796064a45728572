"""What copies of an event agree in."""

from __future__ import annotations

import orjson

from schemas.event import Event


def content_of(event: Event) -> bytes:
    """All of an event but its times: copies that differ in it disagree in content."""
    ids = (event.anonymous_id, event.session_token, event.api_key, event.user_id, event.company_id, event.previous_id)
    content = (event.type, event.source, event.name, ids, event.environment)
    return orjson.dumps((*content, event.properties, event.context, event.traits), option=orjson.OPT_SORT_KEYS)
