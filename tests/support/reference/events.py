"""From a message in native form to the event that everything is computed from."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from schemas.config.definitions import Definitions
from tests.support.reference.calls import Outcome, outcome_of, with_library, with_status
from tests.support.reference.classification import (
    is_bot,
    is_internal,
    matches,
    segment_values,
    selectors_that_matter,
    touch_of,
)
from tests.support.reference.credentials import bare, is_web_token
from tests.support.reference.fields import BLANKS, Message, RefusedError, first, is_nothing, mapping
from tests.support.reference.formats import Record, Rejection, native_messages
from tests.support.reference.moments import is_no_time, milliseconds_of
from tests.support.reference.secrets import TooDeepError, cleaned, cleaned_text, secrets_of

DAY = 86_400_000
HOUR = 3_600_000
YEAR_2000 = 946_684_800_000
YEAR_2100 = 4_102_444_800_000
MAX_BYTES = 512
MAX_NAME_CHARACTERS = 200
RESERVED = ("anonymous_id:", "session_token:", "api_key:")
ENVIRONMENTS = {
    "production": "production prod prd live main",
    "test": "test testing staging stage sandbox qa uat preprod pre-production preview ci demo trial",
    "development": "development develop dev local localhost",
}
IN_TRAITS = {
    "anonymous_id": ("anonymousId", "anonymous_id"),
    "user_id": ("userId", "user_id", "id"),
    "company_id": ("groupId", "group_id"),
}
NAMES = {"identify": "Identify", "group": "Group", "merge": "Merge"}
NEEDED = {"merge": ["previous_id", "user_id"], "group": ["company_id"]}
IDENTIFIERS = ("user_id", "api_key", "session_token", "anonymous_id")

__all__ = ["DAY", "HOUR", "Event", "Record", "Rejection", "read", "without_copies"]


@dataclass(frozen=True, slots=True)
class Event:
    """A valid event. `time` in ms UTC; a missing identifier is ''; `api_key` is the keyed hash.

    Of several copies `time` is the earliest and `latest` the latest time.
    `matched` names the selectors that it matches, of those that any number uses. `content` is a digest of everything
    but the times. `segments`: the value that it has for each segment that is read from events.
    `is_content`: the selector of touches matches it; `is_outreach`: that of outreach does.
    `call`: of an API event with a key, the outcome of the call.
    """

    message_id: str
    time: int
    anonymous_id: str
    session_token: str
    api_key: str
    user_id: str
    company_id: str
    merged_id: str
    environment: str
    matched: frozenset[str]
    touch: dict[str, str] | None
    segments: dict[str, str]
    is_internal: bool
    is_bot: bool
    is_content: bool
    is_outreach: bool
    content: bytes
    latest: int
    call: Outcome | None

    @property
    def alias(self) -> tuple[str, str]:
        """The strongest identifier present, as (kind, value)."""
        if self.user_id:
            return "user_id", self.user_id
        if self.api_key:
            return "api_key", self.api_key
        if self.session_token:
            return "session_token", self.session_token
        return "anonymous_id", self.anonymous_id

    @property
    def holder(self) -> tuple[str, str, bool] | None:
        """The web alias that holds an event without a user: its device, else its session; and whether it has an API key."""
        if self.user_id or not (self.anonymous_id or self.session_token):
            return None
        kind = "anonymous_id" if self.anonymous_id else "session_token"
        return kind, self.anonymous_id or self.session_token, bool(self.api_key)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What copies of one event share: (message_id, alias_kind, alias)."""
        return (self.message_id, *self.alias)

    @property
    def meaning(self) -> tuple[Any, ...]:
        """All of it that any number can depend on, but the times."""
        ids = (self.anonymous_id, self.session_token, self.api_key, self.user_id, self.company_id, self.merged_id)
        touch = None if self.touch is None else tuple(sorted(self.touch.items()))
        values = tuple(sorted(self.segments.items()))
        return (*ids, self.environment, self.matched, touch, values, self.is_internal, self.is_bot)

    @property
    def matters(self) -> bool:
        """Whether any number can depend on it, apart from the links it carries."""
        if self.is_bot:
            return False
        return bool(self.matched) or self.touch is not None or bool(self.segments) or self.is_internal


def read(
    records: Iterable[Record],
    definitions: Definitions,
    secret: bytes,
    is_suppressed: Callable[[Event], bool] = lambda _: False,
) -> Iterator[Event | Rejection]:
    """Every event of the records and every rejection, in order. `is_suppressed`: whether an event has been erased."""
    used = selectors_that_matter(definitions)
    for record in records:
        for message in native_messages(record):
            if isinstance(message, Rejection):
                yield message
                continue
            try:
                event = _event(message, record, definitions, used, secret)
                yield Rejection(record.topic, "erased", "") if is_suppressed(event) else event
            except RefusedError as error:
                yield Rejection(record.topic, error.reason, error.field)


def without_copies(events: Iterable[Event], by: Callable[[Event], Any]) -> list[Event]:
    """The events, those of one identity that are equal in what `by` takes of them as one."""
    kept: dict[tuple[Any, ...], Event] = {}
    for event in events:
        key = (event.identity, by(event))
        known = kept.get(key)
        if known is None:
            kept[key] = event
        elif event.time != known.time or event.latest != known.latest:
            kept[key] = replace(known, time=min(event.time, known.time), latest=max(event.latest, known.latest))
    return list(kept.values())


def _event(message: Message, record: Record, definitions: Definitions, used: list[str], secret: bytes) -> Event:
    kind = message.get("type") if message.get("type") is not None else "event"
    if kind not in ("event", "identify", "group", "merge"):
        raise RefusedError("unknown_type", "type")
    name = first(message.get("name")) or NAMES.get(kind)
    if name is None:
        raise RefusedError("missing", "name")
    if not isinstance(name, str):
        raise RefusedError("wrong_type", "name")
    if len(name) > MAX_NAME_CHARACTERS:
        raise RefusedError("too_long", "name")
    source = first(message.get("source"), record.topic)
    if source not in ("web", "api"):
        raise RefusedError("wrong_value", "source")
    ids = {
        field: _identifier(message, field, definitions)
        for field in ("anonymous_id", "session_token", "api_key", "user_id", "company_id", "previous_id", "message_id")
    }
    ids, secrets = _without_what_is_none(message, ids)
    if not (ids["user_id"] or ids["api_key"] or ids["session_token"] or ids["anonymous_id"]):
        raise RefusedError("no_identifier")
    for field in ("user_id", "company_id", "previous_id"):
        if ids[field].startswith(RESERVED):
            raise RefusedError("reserved", field)
    for field in NEEDED.get(kind, []):
        if not ids[field]:
            raise RefusedError("missing", field)
    environment = _environment(message, ids["api_key"], definitions)
    name, ids, (properties, context, traits), disguise = _without_keys(name, kind, ids, message, definitions, secrets)
    if source == "api":
        context = with_library(context, properties)
        properties = with_status(properties)
    time, shown = _times(message, record, definitions)
    # Calls that identify, group or merge are evidence of identity; they are no steps of a journey.
    tried = used if kind == "event" else []
    matched = frozenset(
        selector
        for selector in tried
        if matches(definitions.selectors[selector], source, name, environment, properties)
    )
    touch, selected = None, False
    if kind == "event":
        selected = matches(definitions.selectors[definitions.touch], source, name, environment, properties)
        touch = touch_of(source, name, selected, properties, context)
    content = _digest([kind, source, name, environment, ids, properties, context, traits])
    return Event(
        # A derived id comes from the content, not from the time of sending: a second sending is a copy.
        message_id=ids["message_id"] or "derived:" + _digest([content.hex(), shown, disguise]).hex(),
        time=time,
        anonymous_id=ids["anonymous_id"],
        session_token=ids["session_token"],
        api_key=_hash(ids["api_key"], secret),
        user_id=ids["user_id"],
        company_id=ids["company_id"],
        # An alias call from a device names the device itself: that is a link, not a merge of two users.
        merged_id=ids["previous_id"] if kind == "merge" and ids["previous_id"] != ids["anonymous_id"] else "",
        environment=environment,
        matched=matched,
        touch=touch,
        segments=segment_values(definitions, {"properties": properties, "context": context, "traits": traits}),
        is_internal=is_internal(definitions, ids, properties, context, traits),
        is_bot=is_bot(definitions, properties, context),
        content=content,
        latest=time,
        is_content=touch is not None and selected,
        is_outreach=kind == "event"
        and definitions.outreach is not None
        and matches(definitions.outreach, source, name, environment, properties),
        call=outcome_of(properties, context) if source == "api" and kind == "event" and ids["api_key"] else None,
    )


def _without_keys(
    name: str, kind: str, ids: dict[str, str], message: Message, definitions: Definitions, own: list[str]
) -> tuple[str, dict[str, str], list[Message], str]:
    """The name, the identifiers and the three parts of an event without keys where none belongs, and the message id as it
    would read without one, if it had one: such an id is given up."""
    parts = {field: mapping(message, field) for field in ("properties", "context", "traits")}
    own = [secret for secret in own if len(secret) >= 8]
    prefixes = list(definitions.key_prefixes)
    stored = ("user_id", "session_token", "anonymous_id", "company_id", "previous_id")
    dropped = [field for field in stored if cleaned_text(ids[field], own, prefixes) != ids[field]]
    ids = ids | dict.fromkeys(dropped, "")
    if dropped:
        needed = NEEDED.get(kind, [])
        if any(not ids[field] for field in needed) or not any(ids[field] for field in IDENTIFIERS):
            raise RefusedError("secret", next((field for field in needed if not ids[field]), dropped[0]))
    secrets = list(dict.fromkeys([*own, *secrets_of(*parts.values())]))
    clean = []
    for field, part in parts.items():
        try:
            clean.append(cleaned(part, secrets, prefixes))
        except TooDeepError:
            raise RefusedError("too_deep", field) from None
    disguise = cleaned_text(ids["message_id"], secrets, prefixes)
    if disguise == ids["message_id"]:
        disguise = ""
    else:
        ids = ids | {"message_id": ""}
    return cleaned_text(name, secrets, prefixes), ids, clean, disguise


def _without_what_is_none(message: Message, ids: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The identifiers without masks and without a scheme before the key or the session, and the texts that are secret."""
    session = bare(ids["session_token"])
    ids = ids | {"session_token": "" if is_nothing(session) else session}
    if "(secrets)" in message:
        return ids, message["(secrets)"]
    key = bare(ids["api_key"])
    if is_nothing(key):
        return ids | {"api_key": ""}, []
    return ids | {"api_key": "" if is_web_token(key) else key}, [key]


def _identifier(message: Message, field: str, definitions: Definitions) -> str:
    """The identifier, without blanks around it; '' if there is none, or what a program wrote for none."""
    text = _id_text(message.get(field), field)
    if field in ("api_key", "session_token"):
        return text
    text, given = text.strip(BLANKS), text
    if given and (text.strip("\"'").lower() in [word.lower() for word in definitions.placeholders] or is_nothing(text)):
        inner = mapping(message, "context").get("traits")
        spare = [inner.get(name) for name in IN_TRAITS.get(field, ())] if isinstance(inner, dict) else []
        usable = [
            str(one)
            for one in spare
            if isinstance(one, str | int)
            and not isinstance(one, bool)
            and one != ""
            and len(str(one).encode()) <= MAX_BYTES
        ]
        return usable[0] if usable else ""
    return text


def _id_text(value: Any, field: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or value in ([], {}):
        value = str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, int):
        value = str(value)
    if not isinstance(value, str):
        raise RefusedError("wrong_type", field)
    try:
        encoded = value.encode("utf-8")
    except UnicodeEncodeError:
        raise RefusedError("wrong_type", field) from None
    if len(encoded) > MAX_BYTES:
        raise RefusedError("too_long", field)
    return value


def _environment(message: Message, api_key: str, definitions: Definitions) -> str:
    given = str(message.get("environment")).strip().lower()
    for environment, words in ENVIRONMENTS.items():
        if given in words.split():
            return environment
    prefixes = [prefix for prefix in definitions.key_prefixes if api_key.startswith(prefix)]
    return definitions.key_prefixes[max(prefixes, key=len)] if prefixes else "production"


def _times(message: Message, record: Record, definitions: Definitions) -> tuple[int, int | None]:
    """The event time and what the client's clock showed then (None: not given), in ms.

    The client's clock is corrected by what it showed when it sent the message, unless somebody has corrected it. Only a
    receipt that the message itself states does so: the broker's timestamp changes with a replay.
    """
    written = {field: first(message.get(field)) for field in ("time", "original_timestamp", "sent_at", "received_at")}
    written = {field: None if is_no_time(value) else value for field, value in written.items()}
    read = {field: milliseconds_of(value) for field, value in written.items()}
    time, original, sent, received = read.values()
    broken = [field for field in written if written[field] is not None and read[field] is None]
    if broken and time is original is received is None:
        raise RefusedError("wrong_time", broken[0])
    kafka = record.timestamp_ms if YEAR_2000 <= record.timestamp_ms <= YEAR_2100 else None
    ahead = definitions.limits.future_hours * HOUR
    latest = (YEAR_2100 if kafka is None else kafka) + ahead
    if received is not None and received > latest:
        raise RefusedError("future", "received_at")
    shown = original if time is None else time
    if shown is None:
        seconds = record.timestamp_ms * 1000
        others = [received, kafka, seconds if YEAR_2000 <= seconds <= YEAR_2100 else None, sent]
        result = next((value for value in others if value is not None), None)
    elif (time is not None and original is not None) or None in (sent, received):
        result = shown
    else:
        assert sent is not None
        assert received is not None
        result = shown if sent < shown else received - (sent - shown)
    if result is None:
        raise RefusedError("missing", "time")
    if result > (latest if received is None else received + ahead):
        raise RefusedError("future", "time")
    result = result if received is None else min(result, received)
    if result < YEAR_2000:
        raise RefusedError("ancient", "time")
    return result, time if original is None else original


def _hash(api_key: str, secret: bytes) -> str:
    """The key's alias: the first 16 bytes of the HMAC-SHA-256, in hex."""
    return hmac.digest(secret, api_key.encode("utf-8"), hashlib.sha256)[:16].hex() if api_key else ""


def _digest(content: Any) -> bytes:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).digest()
