"""From the bytes of a message to events: the formats, the clock, the secrets, and what is refused.

Pure: the same bytes give the same events wherever and whenever they are read. An API key is replaced by its keyed
hash here, before anything else sees it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from schemas.config.definitions import Definitions
from schemas.event import ALIAS_KINDS, Event, Rejected, Source
from streams.facts.compiled_definitions import Matcher
from streams.normalise import clock, redaction
from streams.normalise.authorization import bare_token, given_key
from streams.normalise.exclusions import BLANKS, Exclusions
from streams.normalise.formats import calls, is_batch, read
from streams.normalise.http_status import with_status
from streams.normalise.key_hasher import KeyHasher
from streams.normalise.placeholders import is_placeholder
from streams.normalise.raw_event import MAX_ID_BYTES, Raw, kind_of
from streams.normalise.repair import is_repairable, repaired, why_no_json
from streams.normalise.segment import SPARE_TRAITS
from streams.normalise.suppression_list import SuppressionList
from streams.normalise.user_agent import with_library

MAX_MESSAGE_BYTES: Final = redaction.MAX_WALKED_BYTES
MAX_NAME_CHARACTERS: Final = 200

#: The reason of suppressed events, whose messages must be shown nowhere.
ERASED: Final = "erased"

_STORED_IDS: Final = ("user_id", "session_token", "anonymous_id", "company_id", "previous_id")
_CLEANED: Final = ("message_id", "anonymous_id", "user_id", "company_id", "previous_id")
#: Bounds the memory of the cache of identifiers.
IDS_CACHED: Final = 100_000
_OWNERS: Final = ("user_id", "company_id", "previous_id")
_ENVIRONMENTS: Final = ("production", "test", "development")
_ENVIRONMENT_WORDS: Final = (
    dict.fromkeys(("production", "prod", "prd", "live", "main"), "production")
    | dict.fromkeys(("test", "testing", "staging", "stage", "sandbox", "qa", "uat", "preprod"), "test")
    | dict.fromkeys(("pre-production", "preview", "ci", "demo", "trial"), "test")
    | dict.fromkeys(("development", "develop", "dev", "local", "localhost"), "development")
)
_RESERVED = tuple(f"{kind}:" for kind in ALIAS_KINDS[1:])


class Normaliser:
    """Turns messages into events under one set of definitions and key secrets.

    `secrets`: the HMAC secrets, the oldest first: its hashes are the keys' aliases. `erased`: suppresses events.
    Holds caches and counts only; calls do not influence each other.
    """

    def __init__(
        self, definitions: Definitions, secrets: Sequence[bytes], erased: SuppressionList | None = None
    ) -> None:
        self.definitions = definitions
        self._erased = erased
        self.key_hasher = KeyHasher(secrets)
        self._prefixes = sorted(definitions.key_prefixes.items(), key=lambda item: -len(item[0]))
        self._all_prefixes = tuple(definitions.key_prefixes)
        self._exclusions = Exclusions(definitions)
        #: Knows how this deployment's keys look; dead letters are written with it.
        self.redactor = redaction.Redactor(definitions.key_prefixes)
        self._future_ms = int(definitions.limits.future_hours * 3_600_000)
        #: How many values were ignored, by field and reason. The reader clears it.
        self.ignored: Counter[tuple[str, str]] = Counter()
        words = frozenset(word.lower() for word in definitions.placeholders)
        self._clean_id = lru_cache(IDS_CACHED)(lambda text: _clean_id(text, words))
        self._usage = Matcher(definitions.selectors[definitions.usage])

    def __call__(self, value: bytes | None, *, source: Source, recorded_at: int) -> list[Event | Rejected]:
        """The events of one message, or why it (or a part of a batch) is none.

        `source`: that of the topic, for events that do not name their own. `recorded_at`: the message's own
        timestamp (ms), which stands in for a missing time of receipt.
        """
        if not value:
            return [Rejected("empty", "", "the message has no value")]
        if len(value) > MAX_MESSAGE_BYTES:
            return [Rejected("too_large", "", f"{len(value)} bytes; at most {MAX_MESSAGE_BYTES} are accepted")]
        try:
            body = orjson.loads(value)
        except ValueError as error:
            if str(error).startswith("depth limit"):
                return [Rejected("too_deep", "", str(error))]
            better = repaired(value) if is_repairable(value) else value
            if better == value or len(better) > MAX_MESSAGE_BYTES:
                return [Rejected("not_json", "", why_no_json(value, error))]
            self.ignored["message", "bad_character"] += 1
            return self(better, source=source, recorded_at=recorded_at)
        if type(body) is dict and not is_batch(body):
            event = self._event(body, value, source, recorded_at, suspect=None)
            return [event if type(event) is Event else self._located(event, "", -1, body)]
        if type(body) is not dict and type(body) is not list:
            return [Rejected("not_an_object", "", f"a JSON object is expected, not {kind_of(body)}")]
        # Which part of a batch a key was found in is not known from its bytes.
        suspect = self.redactor.suspects(value, "")
        events: list[Event | Rejected] = []
        for where, number, call in calls(body):
            outcome = call if isinstance(call, Rejected) else self._event(call, value, source, recorded_at, suspect)
            events.append(outcome if isinstance(outcome, Event) else self._located(outcome, where, number, call))
        return events

    def _located(self, refused: Event | Rejected, where: str, number: int, body: Any) -> Event | Rejected:
        """A refusal with its place in the message, and without keys."""
        assert isinstance(refused, Rejected)
        field = f"{where}.{refused.field}".strip(".")
        detail = refused.detail
        if isinstance(body, dict):
            detail = self.redactor.text(detail, redaction.spellings(redaction.keys_in(body)))
        return Rejected(refused.reason, field, detail, number)

    def _event(
        self, body: dict[str, Any], value: bytes, source: Source, recorded_at: int, suspect: bool | None
    ) -> Event | Rejected:
        """The event in one object. `suspect`: whether it may hold a stray key, None if that is not known yet."""
        raw = read(body, self.definitions.named_properties)
        if isinstance(raw, Rejected):
            return raw
        given = raw.source
        if given is not None and given not in (source, ""):
            if given != "web" and given != "api":  # noqa: PLR1714 - narrows the type
                return Rejected("wrong_value", "source", f"{clock.shown(given)} is neither 'web' nor 'api'")
            source = given
        if raw.api_key or raw.session_token:
            _drop_placeholders(raw)
        dropped = self._clean_ids(raw)
        wrong = _check_ids(raw, dropped)
        if wrong:
            self._count_ignored(raw)
            return wrong
        when = clock.read(raw.times, recorded_at, self._future_ms)
        if isinstance(when, Rejected):
            return when
        if when.ignored:
            self.ignored.update(when.ignored)
        environment = raw.environment
        if environment not in _ENVIRONMENTS:
            environment = self._environment(environment, raw.api_key)
        clean = self._without_secrets(raw, value, suspect=suspect)
        self._count_ignored(raw)
        if isinstance(clean, Rejected):
            return clean
        properties, context, traits, disguise = clean
        if source == "api":
            context = with_library(context, properties)
            properties = with_status(properties)
        api_key = self.key_hasher(raw.api_key) if raw.api_key else ""
        message_id = raw.message_id
        if not message_id:
            ids = (raw.anonymous_id, raw.session_token, api_key, raw.user_id, raw.company_id, raw.previous_id)
            content = (raw.type, source, raw.name, ids, environment, properties, context, traits)
            message_id = _digest((when.given, content, disguise) if disguise else (when.given, content)).hex()
        event = Event(
            message_id=message_id,
            time=when.time,
            received_at=when.received_at,
            source=source,
            type=raw.type,
            name=raw.name,
            anonymous_id=raw.anonymous_id,
            session_token=raw.session_token,
            api_key=api_key,
            user_id=raw.user_id,
            company_id=raw.company_id,
            previous_id=raw.previous_id,
            environment=environment,
            properties=properties,
            context=context,
            traits=traits,
            is_internal=self._exclusions.is_internal(raw),
            is_bot=self._exclusions.is_bot(context, properties),
            is_use=bool(api_key)
            and raw.type == "event"
            and self._usage.means(source, raw.name, environment, properties),
        )
        if self._erased is not None and self._erased.suppresses(event):
            return Rejected(ERASED, "", "it belongs to a person or company that has been erased")
        return event

    def _clean_ids(self, raw: Raw) -> str:
        """Strip the identifiers, and drop those that stand for nothing. Returns the last one that was dropped."""
        dropped = ""
        for field in _CLEANED:
            given = getattr(raw, field)
            if not given:
                continue
            clean = self._clean_id(given)
            if clean is given:
                continue
            if not clean:
                dropped = given
                self.ignored[field, "placeholder"] += 1
                clean = _spare_id(raw, field)
            setattr(raw, field, clean)
        return dropped

    def _count_ignored(self, raw: Raw) -> None:
        if raw.ignored:
            self.ignored.update(raw.ignored)
            raw.ignored = []

    def _environment(self, word: str, api_key: str) -> str:
        """The environment that the word means, else the one that the key's prefix names, else production."""
        if word:
            known = _ENVIRONMENT_WORDS.get(word.strip().lower())
            if known:
                return known
            self.ignored["environment", "unknown"] += 1
        if not api_key.startswith(self._all_prefixes):
            return "production"
        for prefix, environment in self._prefixes:
            if api_key.startswith(prefix):
                return environment
        return "production"

    def _drop_secret_ids(self, raw: Raw, own: tuple[str, ...]) -> Rejected | None:
        """Drop the identifiers with a key in them. Refused is a call that means nothing without one."""
        dropped = ""
        for field in _STORED_IDS:
            identifier = getattr(raw, field)
            if identifier and self.redactor.text(identifier, own) != identifier:
                setattr(raw, field, "")
                raw.ignored.append((field, "secret_identifier"))
                dropped = dropped or field
        if not dropped:
            return None
        wrong = _check_ids(raw)
        if wrong is None:
            return None
        advice = "an API key stands in it: send the id of the user or company there, and keys only as the key"
        return Rejected("secret", dropped if wrong.reason == "no_identifier" else wrong.field, advice)

    def _without_secrets(
        self, raw: Raw, value: bytes, *, suspect: bool | None
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], str] | Rejected:
        """Properties, context and traits with no key in them, or why the event cannot be taken.

        They are rebuilt only where they can hold a secret. A key in the name is replaced there. A message id that holds
        one is given up, and returned as fourth with the key replaced: the id is then derived from it and the content.
        An identifier that holds a key is dropped.
        """
        redactor, key = self.redactor, raw.api_key
        secrets = raw.secrets
        if secrets is None:
            secrets = (key,) if key else ()
        parts = (raw.properties, raw.context, raw.traits)
        alone = suspect is None
        if suspect is None:
            suspect = redactor.suspects(value, key)
        elif key:
            # Part of a batch: where else in it the key stands is not known from its bytes.
            suspect = True
        # Moesif's calls hold the credential in another spelling than the key's.
        suspect = suspect or raw.secrets is not None
        walked = [suspect or redaction.needs_scrubbing(part) for part in parts]
        if True not in walked:
            return (*parts, "")
        found = redaction.keys_in([part for part, walk in zip(parts, walked, strict=True) if walk])
        keys: tuple[str, ...] = ()
        looks = suspect
        if suspect or not (found.keys() <= {key}):
            keys = redaction.spellings(dict.fromkeys([*secrets, *found]))
            # A call of a batch is looked through itself: the batch would be read once for each key of each call.
            looks = suspect or not alone or any(value.count(spelled.encode()) > 1 for spelled in keys)
        if suspect:
            refused = self._drop_secret_ids(raw, redaction.spellings(secrets))
            if refused:
                return refused
        disguise = ""
        if looks:
            raw.name = redactor.text(raw.name, keys)
            without = redactor.text(raw.message_id, keys)
            if without != raw.message_id:
                disguise, raw.message_id = without, ""
        for i, name in enumerate(("properties", "context", "traits")):
            if walked[i] or looks:
                clean = redactor.scrub(parts[i], keys, looks=looks)
                if clean is redaction.TOO_DEEP:
                    return Rejected("too_deep", name, f"more than {redaction.MAX_DEPTH} levels of nesting")
                parts = (*parts[:i], clean, *parts[i + 1 :])
        return (*parts, disguise)


def _clean_id(text: str, words: frozenset[str]) -> str:
    """The identifier without blanks around it; empty if it stands for nothing."""
    clean = text.strip(BLANKS)
    if clean.strip("\"'").lower() in words or is_placeholder(clean):
        return ""
    return text if clean == text else clean


def _spare_id(raw: Raw, field: str) -> str:
    """The identifier in the traits of the context, where older SDKs put it."""
    traits = raw.context.get("traits")
    if type(traits) is dict:
        for name in SPARE_TRAITS.get(field, ()):
            spare = traits.get(name)
            if type(spare) in (str, int) and spare != "" and len(str(spare).encode()) <= MAX_ID_BYTES:
                return str(spare)
    return ""


def _drop_placeholders(raw: Raw) -> None:
    """Drop a key and a session token that stand for nothing, or for a web token, which is no key."""
    if raw.api_key and raw.secrets is None:
        key, reason = given_key(raw.api_key)
        if reason:
            raw.ignored.append(("api_key", reason))
            raw.secrets = (bare_token(raw.api_key),) if reason == "web_token" else None
        raw.api_key = key
    if raw.session_token:
        session = bare_token(raw.session_token)
        if is_placeholder(session):
            raw.ignored.append(("session_token", "placeholder"))
            session = ""
        raw.session_token = session


def _check_ids(raw: Raw, dropped: str = "") -> Rejected | None:
    user_id, company_id, previous_id = raw.user_id, raw.company_id, raw.previous_id
    if (
        (user_id and user_id.startswith(_RESERVED))
        or (company_id and company_id.startswith(_RESERVED))
        or (previous_id and previous_id.startswith(_RESERVED))
    ):
        field = next(name for name in _OWNERS if getattr(raw, name).startswith(_RESERVED))
        return Rejected("reserved", field, f"an id must not begin with any of {', '.join(_RESERVED)}")
    if not raw.name:
        return Rejected("missing", "name", "an event needs a name")
    if len(raw.name) > MAX_NAME_CHARACTERS:
        return Rejected("too_long", "name", f"at most {MAX_NAME_CHARACTERS} characters are accepted")
    if raw.type == "merge" and not (previous_id and user_id):
        return Rejected("missing", "previous_id" if user_id else "user_id", "a merge needs previous_id and user_id")
    if raw.type == "group" and not company_id:
        return Rejected("missing", "company_id", "a group call needs the id of the company")
    if not (user_id or raw.api_key or raw.session_token or raw.anonymous_id):
        nothing = f"; {clock.shown(dropped)} stands for nothing" if dropped else ""
        return Rejected("no_identifier", "", f"none of {', '.join(ALIAS_KINDS)} is given{nothing}")
    return None


def _digest(content: tuple[Any, ...]) -> bytes:
    return hashlib.blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()
