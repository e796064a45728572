"""Which events do not count: those of the own organisation, and those of bots."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from schemas.config.definitions import Definitions
from streams.normalise.raw_event import Raw
from streams.normalise.user_agent import agent_of

#: Blanks that people and programs leave around addresses, among them that of no width and the byte order mark.
BLANKS: Final = " \t\r\n\v\f\xa0\u2007\u200b\u202f\u2060\u3000\ufeff"
#: An address in brackets, or one of IPv4, each with or without a port.
_WITH_PORT: Final = re.compile(r"\[([^\]]*)\](?::\d*)?|(\d+\.\d+\.\d+\.\d+):\d*")

#: Bounds the memory of the cache of user agents.
AGENTS_CACHED: Final = 100_000


class Exclusions:
    """The definitions' sections `internal` and `bots`, compiled. Holds a cache only."""

    def __init__(self, definitions: Definitions) -> None:
        internal = definitions.internal
        self._domains = tuple(domain.lower().lstrip("@") for domain in internal.email_domains)
        self._user_ids = frozenset(internal.user_ids)
        self._company_ids = frozenset(internal.company_ids)
        self._networks = [ipaddress.ip_network(network) for network in internal.ip_networks]
        self._knows_internal = bool(self._domains or self._user_ids or self._company_ids or self._networks)
        agents = definitions.bots.user_agents
        bot = re.compile("|".join(re.escape(agent) for agent in agents), re.IGNORECASE) if agents else None
        self._names_bot = lru_cache(AGENTS_CACHED)(lambda agent: bool(bot and agent and bot.search(agent)))

    def is_internal(self, raw: Raw) -> bool:
        """Whether an event is the own organisation's, by its ids, its email address or its IP address."""
        if not self._knows_internal:
            return False
        if raw.user_id in self._user_ids or raw.company_id in self._company_ids:
            return True
        if self._domains:
            for holder in (raw.traits, raw.properties, raw.context.get("traits")):
                email = holder.get("email") if type(holder) is dict else None
                if type(email) is str and _in_domains(email, self._domains):
                    return True
        if self._networks:
            for holder in (raw.context, raw.properties):
                if _in_networks(holder.get("ip"), self._networks):
                    return True
        return False

    def is_bot(self, context: dict[str, Any], properties: dict[str, Any]) -> bool:
        return self._names_bot(agent_of(context)) or self._names_bot(agent_of(properties))


def _in_domains(email: str, domains: tuple[str, ...]) -> bool:
    # As mail programs write it: `Ada <ada@acme.example>`, `mailto:ada@acme.example`, with blanks or a dot behind it.
    _, at, domain = email.lower().rpartition("@")
    domain = domain.partition(">")[0].strip(BLANKS).rstrip(".")
    return bool(at) and any(domain == own or domain.endswith("." + own) for own in domains)


def _in_networks(ip: Any, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    if type(ip) is list and ip:
        ip = ip[0]
    if type(ip) is not str:
        return False
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        try:
            address = ipaddress.ip_address(_bare(ip))
        except ValueError:
            return False
    # ::ffff:10.1.2.3 is how a server that listens on both writes 10.1.2.3.
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks)


def _bare(ip: str) -> str:
    """The address alone of what proxies write: the first of a list, without `for=`, quotes, brackets, port, zone, prefix."""
    first = ip[:500].partition(",")[0]
    first = first.partition(";")[0].strip(BLANKS)
    if first[:4].lower() == "for=":
        first = first[4:]
    first = first.strip(BLANKS + "\"'").lstrip("/")
    port = _WITH_PORT.fullmatch(first)
    bare = (port[1] or port[2] or "") if port else first
    return bare.partition("%")[0].partition("/")[0]
