"""The client library that a user agent names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

#: How much of a user agent is read, and how long a library's name may be.
MAX_AGENT_CHARACTERS: Final = 512
MAX_NAME_CHARACTERS: Final = 64

#: The first product, without its version: `acme-python` of `Acme-Python/2.1 (CPython 3.12)`, `@acme/sdk` of `@acme/sdk/1.0`.
_PRODUCT: Final = re.compile(r"[ \t]*(@[^\s/()]+/[^\s/()]+|[^\s/()]+)")


def agent_of(holder: Mapping[str, Any]) -> str:
    """The user agent in the context or the properties of an event, cut; empty if there is none."""
    agent = holder.get("userAgent") or holder.get("user_agent")
    return agent[:MAX_AGENT_CHARACTERS] if type(agent) is str else ""


@lru_cache(maxsize=10_000)
def library_of(agent: str) -> str:
    """The name of the library, in lower case; empty if the user agent begins with no name. A browser is `mozilla`."""
    product = _PRODUCT.match(agent)
    return product[1].lower()[:MAX_NAME_CHARACTERS] if product else ""


def with_library(context: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    """The context of an API event with `sdk`: as given, else as its user agent names it."""
    if context.get("sdk") not in (None, ""):
        return context
    library = library_of(agent_of(context) or agent_of(properties))
    return context | {"sdk": library} if library else context
