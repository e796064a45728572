"""From the bytes of a message to events: the formats, the clock, the secrets, and what is refused.

Pure: the same bytes give the same events wherever and whenever they are read. An API key is replaced by its keyed
hash here, before anything else sees it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Sequence
from typing import Any, Final

import orjson

from schemas.definitions import Definitions
from schemas.event import ALIAS_KINDS, Event, Rejected, Source
from streams import clock, redaction
from streams.formats import Raw, read_native, read_segment, speaks_segment

MAX_MESSAGE_BYTES: Final = 1_000_000
MAX_ID_CHARACTERS: Final = 512
MAX_NAME_CHARACTERS: Final = 200
MAX_BATCH_EVENTS: Final = 10_000
MAX_AGENT_CHARACTERS: Final = 512

#: A key at least so long is worth looking for in other fields; shorter ones are no secrets but placeholders.
SECRET_CHARACTERS: Final = 8

#: Bounds the memory of the caches of key hashes and user agents; beyond it a cache starts anew.
CACHED: Final = 100_000

_RESERVED = tuple(f"{kind}:" for kind in ALIAS_KINDS[1:])


class Normaliser:
    """Turns messages into events under one set of definitions and key secrets.

    `secrets`: the HMAC secrets, the one in use first. Holds caches only; calls do not influence each other.
    """

    def __init__(self, definitions: Definitions, secrets: Sequence[bytes]) -> None:
        if not secrets:
            raise ValueError("at least one secret is needed to hash API keys")
        self._definitions = definitions
        self._secret = secrets[0]
        self._prefixes = sorted(definitions.key_prefixes.items(), key=lambda item: -len(item[0]))
        internal = definitions.internal
        self._domains = tuple(domain.lower().lstrip("@") for domain in internal.email_domains)
        self._user_ids = frozenset(internal.user_ids)
        self._company_ids = frozenset(internal.company_ids)
        self._networks = [ipaddress.ip_network(network) for network in internal.ip_networks]
        agents = definitions.bots.user_agents
        self._bot = re.compile("|".join(re.escape(agent) for agent in agents), re.IGNORECASE) if agents else None
        self._future_ms = int(definitions.limits.future_hours * 3_600_000)
        self._key_hashes: dict[str, str] = {}
        self._agents: dict[str, bool] = {}

    def __call__(self, value: bytes | None, *, source: Source, recorded_at: int) -> list[Event | Rejected]:
        """The events of one message, or why it (or a part of a batch) is none.

        `source`: what the topic says of events that do not say it themselves. `recorded_at`: the message's own
        timestamp (ms), which stands in for a missing time of receipt.
        """
        if not value:
            return [Rejected("empty", "", "the message has no value")]
        if len(value) > MAX_MESSAGE_BYTES:
            return [Rejected("too_large", "", f"{len(value)} bytes; at most {MAX_MESSAGE_BYTES} are accepted")]
        try:
            body = orjson.loads(value)
        except ValueError as error:
            return [Rejected("not_json", "", str(error))]
        if not isinstance(body, dict):
            return [Rejected("not_an_object", "", f"a JSON object is expected, not {_kind(body)}")]
        if body.get("type") == "batch" or "batch" in body:
            return self._batch(body, value, source, recorded_at)
        return [self._event(body, value, source, recorded_at)]

    def _batch(self, body: dict[str, Any], value: bytes, source: Source, recorded_at: int) -> list[Event | Rejected]:
        calls = body.get("batch")
        if not isinstance(calls, list):
            return [Rejected("wrong_type", "batch", f"a list of calls is expected, not {_kind(calls)}")]
        if len(calls) > MAX_BATCH_EVENTS:
            return [Rejected("too_large", "batch", f"{len(calls)} calls; at most {MAX_BATCH_EVENTS} are accepted")]
        shared: dict[str, Any] = {k: body[k] for k in ("sentAt", "receivedAt", "context", "source") if k in body}
        events: list[Event | Rejected] = []
        for i, call in enumerate(calls):
            if not isinstance(call, dict):
                events.append(Rejected("not_an_object", f"batch[{i}]", f"an object is expected, not {_kind(call)}"))
            elif "batch" in call:
                events.append(Rejected("wrong_type", f"batch[{i}]", "a batch in a batch is not accepted"))
            else:
                merged = shared | call
                if isinstance(shared.get("context"), dict) and isinstance(call.get("context"), dict):
                    merged["context"] = shared["context"] | call["context"]
                event = self._event(merged, value, source, recorded_at)
                if isinstance(event, Rejected):
                    event = Rejected(event.reason, f"batch[{i}].{event.field}".rstrip("."), event.detail)
                events.append(event)
        return events

    def _event(self, body: dict[str, Any], value: bytes, source: Source, recorded_at: int) -> Event | Rejected:
        raw = read_segment(body) if speaks_segment(body) else read_native(body)
        if isinstance(raw, Rejected):
            return raw
        if raw.source is not None:
            if raw.source not in ("web", "api"):
                return Rejected("wrong_value", "source", f"{clock.shown(raw.source)} is neither 'web' nor 'api'")
            source = "web" if raw.source == "web" else "api"
        wrong = _check_ids(raw)
        if wrong:
            return wrong
        if not (raw.user_id or raw.api_key or raw.session_token or raw.anonymous_id):
            return Rejected("no_identifier", "", f"none of {', '.join(ALIAS_KINDS)} is given")
        if raw.type == "merge" and not (raw.previous_id and raw.user_id):
            return Rejected("missing", "previous_id", "a merge needs previous_id and user_id")
        if raw.type == "group" and not raw.company_id:
            return Rejected("missing", "company_id", "a group call needs the id of the company")
        times = clock.read(raw.times, recorded_at, self._future_ms)
        if isinstance(times, Rejected):
            return times
        time, received_at, original = times
        environment = raw.environment or self._environment(raw.api_key)
        if environment not in ("production", "test", "development"):
            return Rejected(
                "wrong_value", "environment", f"{clock.shown(environment)} is not production, test or development"
            )
        clean = self._without_secrets(raw, value)
        if isinstance(clean, Rejected):
            return clean
        properties, context, traits = clean
        api_key = self._hash(raw.api_key) if raw.api_key else ""
        ids = (raw.anonymous_id, raw.session_token, api_key, raw.user_id, raw.company_id, raw.previous_id)
        content = (raw.type, source, raw.name, ids, environment, properties, context, traits)
        return Event(
            message_id=raw.message_id or _digest((original, content)).hex(),
            time=time,
            received_at=received_at,
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
            is_internal=self._is_internal(raw),
            is_bot=self._is_bot(context) or self._is_bot(properties),
        )

    def _environment(self, api_key: str) -> str:
        for prefix, environment in self._prefixes:
            if api_key.startswith(prefix):
                return environment
        return "production"

    def _hash(self, api_key: str) -> str:
        """HMAC-SHA-256 under the deployment's secret, cut to 128 bits, in hex."""
        known = self._key_hashes.get(api_key)
        if known is None:
            if len(self._key_hashes) >= CACHED:
                self._key_hashes.clear()
            digest = hmac.digest(self._secret, api_key.encode("utf-8"), "sha256")
            known = self._key_hashes[api_key] = digest[:16].hex()
        return known

    def _is_internal(self, raw: Raw) -> bool:
        if raw.user_id in self._user_ids or raw.company_id in self._company_ids:
            return True
        if self._domains:
            for holder in (raw.traits, raw.properties):
                email = holder.get("email")
                if isinstance(email, str) and _in_domains(email, self._domains):
                    return True
        if self._networks:
            for holder in (raw.context, raw.properties):
                if _in_networks(holder.get("ip"), self._networks):
                    return True
        return False

    def _is_bot(self, holder: dict[str, Any]) -> bool:
        agent = holder.get("userAgent") or holder.get("user_agent")
        if not isinstance(agent, str) or self._bot is None:
            return False
        agent = agent[:MAX_AGENT_CHARACTERS]
        known = self._agents.get(agent)
        if known is None:
            if len(self._agents) >= CACHED:
                self._agents.clear()
            known = self._agents[agent] = self._bot.search(agent) is not None
        return known

    def _without_secrets(self, raw: Raw, value: bytes) -> tuple[dict[str, Any], ...] | Rejected:
        """Properties, context and traits with no key in them, or why the event cannot be taken.

        They are rebuilt only where they can hold a secret: under a telling name, or the key itself a second time in
        the message (an escape could hide it).
        """
        key = raw.api_key
        parts = (raw.properties, raw.context, raw.traits)
        repeated = key and (b"\\" in value or value.count(key.encode()) > 1)
        if repeated and len(key) >= SECRET_CHARACTERS:
            for field in (
                "name",
                "message_id",
                *(kind for kind in ALIAS_KINDS if kind != "api_key"),
                "company_id",
                "previous_id",
            ):
                if key in getattr(raw, field):
                    return Rejected("secret", field, "the API key stands in a field that is stored as it is")
        if not repeated and not any(redaction.needs_scrubbing(part) for part in parts):
            return parts
        cleaned = [redaction.scrub(part, key, 0) for part in parts]
        if any(part is redaction.TOO_DEEP for part in cleaned):
            return Rejected("too_deep", "", f"more than {redaction.MAX_DEPTH} levels of nesting")
        return tuple(cleaned)


def _check_ids(raw: Raw) -> Rejected | None:
    for field in ("user_id", "api_key", "session_token", "anonymous_id", "company_id", "previous_id", "message_id"):
        text = getattr(raw, field)
        if len(text) > MAX_ID_CHARACTERS:
            return Rejected("too_long", field, f"{len(text)} characters; at most {MAX_ID_CHARACTERS} are accepted")
    for field in ("user_id", "company_id", "previous_id"):
        if getattr(raw, field).startswith(_RESERVED):
            return Rejected("reserved", field, f"an id must not begin with any of {', '.join(_RESERVED)}")
    if not raw.name:
        return Rejected("missing", "name", "an event needs a name")
    if len(raw.name) > MAX_NAME_CHARACTERS:
        return Rejected("too_long", "name", f"at most {MAX_NAME_CHARACTERS} characters are accepted")
    return None


def _in_domains(email: str, domains: tuple[str, ...]) -> bool:
    _, at, domain = email.lower().rpartition("@")
    return bool(at) and any(domain == own or domain.endswith("." + own) for own in domains)


def _in_networks(ip: Any, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    if not isinstance(ip, str):
        return False
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    return any(address in network for network in networks)


def content_hash(event: Event) -> int:
    """63 bits over all of an event but its times: copies that differ in it disagree in content."""
    ids = (event.anonymous_id, event.session_token, event.api_key, event.user_id, event.company_id, event.previous_id)
    content = (event.type, event.source, event.name, ids, event.environment)
    rest = (event.properties, event.context, event.traits)
    return int.from_bytes(_digest((*content, *rest))[:8], "big") >> 1


def _digest(content: tuple[Any, ...]) -> bytes:
    return hashlib.blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")
