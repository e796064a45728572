"""Input that is no event, as a broken producer would send it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import orjson

KINDS = ("broken_json", "unknown_type", "no_identifiers", "far_future")


def messages(count: int, rng: Random, year: int) -> Iterator[tuple[str, bytes]]:
    """So many faulty messages with their topics; the kinds take turns. `year` is one that the others take for the present."""
    for number in range(count):
        yield _message(KINDS[number % len(KINDS)], rng, year)


def _message(kind: str, rng: Random, year: int) -> tuple[str, bytes]:
    # None holds a line break, so that each fits in a file of lines.
    id_ = f"bad-{rng.getrandbits(48):012x}"
    if kind == "broken_json":
        return "api-events", b'{"message_id":"%s","name":"API Call","api_key":"sk_live_fc_' % id_.encode()
    if kind == "unknown_type":
        return "web-events", orjson.dumps(
            {"message_id": id_, "source": "web", "type": "teleport", "user_id": "usr_nobody"}
        )
    if kind == "no_identifiers":
        event = {"messageId": id_, "source": "web", "type": "track", "event": "Signed Up", "properties": {}}
        return "web-events", orjson.dumps(event)
    time = f"{year + 20}-01-01T00:00:00.000Z"
    return "api-events", orjson.dumps(
        {"message_id": id_, "time": time, "source": "api", "name": "API Call", "api_key": f"sk_live_fc_{id_}"}
    )
