"""The definitions behind every number: selectors, stages, activations and who does not count.

They are configuration. `definitions.yaml` is shipped; an own file replaces whole sections of it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, get_args

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from schemas.config.document import Document, read_document, unusable
from schemas.config.model_errors import StrictModel, problems_of
from schemas.config.problems import Problem, meant
from schemas.config.references import unresolved

Level = Literal["developer", "company"]
Phase = Literal["awareness", "consideration", "adoption", "advocacy"]
Environment = Literal["production", "test", "development"]
Scalar = str | int | float | bool
TouchField = Literal["campaign", "source", "medium", "term", "content", "referrer", "path", "name"]

#: Segments that need no configuration: the fields of a first touch, and the company.
SEGMENTS_GIVEN: Final = (*get_args(TouchField), "company")
#: Sections that only readers of the numbers need: no state depends on them, so they may change at any time.
READ_SECTIONS: Final = frozenset({"churn_risks", "power_users"})

#: Sections of the same file that are not about what numbers mean.
OTHER_SECTIONS: Final = ("settings", "monitors")

_FIELD = re.compile(r"(properties|traits|context)(\.[^.]+)+")


class PropertyTest(StrictModel):
    """A test of one event property. Every operator given must hold."""

    equals: Scalar | list[Scalar] | None = None
    prefix: str | None = None
    lt: float | None = None
    lte: float | None = None
    gt: float | None = None
    gte: float | None = None
    exists: bool | None = None
    or_missing: bool = Field(default=False, description="An event without the property passes too.")

    @model_validator(mode="after")
    def _absent_or_tested(self) -> PropertyTest:
        if self.exists is False and (self.or_missing or len(self.model_fields_set) > 1):
            raise ValueError("`exists: false` asks for no property, so nothing else can be asked of it")
        return self


class Selector(StrictModel):
    """A condition over one event. Every part given must hold; a list means any of its values."""

    source: Literal["web", "api"] | None = None
    name: list[str] = Field(default_factory=list)
    environment: list[Environment] = Field(default_factory=list)
    properties: dict[str, PropertyTest] = Field(default_factory=dict)

    @field_validator("name", "environment", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return value if isinstance(value, list) else [value]

    @field_validator("properties", mode="before")
    @classmethod
    def _plain_value_means_equals(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: v if isinstance(v, dict | PropertyTest) else {"equals": v} for k, v in value.items()}


class Stage(StrictModel):
    """A stage of the funnel: entered at the earliest matching event, or when an activation is reached."""

    phase: Phase
    selector: str | None = None
    activation: dict[Level, str] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Stage:
        if (self.selector is None) == (self.activation is None):
            raise ValueError("give either `selector` or `activation`")
        return self


class Condition(StrictModel):
    """`count` or `distinct_days` (UTC calendar days) of the events a selector matches, at least so many."""

    count: str | None = None
    distinct_days: str | None = None
    at_least: int = Field(ge=1, le=10_000)

    @model_validator(mode="after")
    def _exactly_one(self) -> Condition:
        if (self.count is None) == (self.distinct_days is None):
            raise ValueError("give either `count` or `distinct_days`")
        return self


class Activation(StrictModel):
    """Reached when all conditions hold, not before the anchor stage and within `span_days` of it."""

    levels: list[Level] = Field(min_length=1)
    anchor: str
    span_days: int | None = Field(default=None, ge=1, le=3660, description="Up to ten years. No value: no limit.")
    all: list[Condition] = Field(min_length=1)


class Segment(StrictModel):
    """A property by which subjects are compared: a field of the first touch, or a field of an event.

    Of an event, the first of `fields` that is there counts; of a subject, its first such event or its last (`take`).
    With `words`, a text counts as the first of `values` that it holds as a word: Acme-Python/2.1 is python.
    Rolling counts are kept for each of `values`, and for all other values as `other`.
    """

    first_touch: TouchField | None = None
    fields: list[str] = Field(default_factory=list, description="As properties.plan, traits.plan, context.device.type.")
    take: Literal["first", "last"] = "first"
    values: list[str] = Field(
        default_factory=list, max_length=50, description="None: no rolling counts by this segment."
    )
    words: bool = False

    @field_validator("fields")
    @classmethod
    def _paths(cls, value: list[str]) -> list[str]:
        for field in value:
            if not _FIELD.fullmatch(field):
                raise ValueError(
                    f"{field!r} names no field of an event: give one as properties.x, traits.x or context.x.y"
                )
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Segment:
        if (self.first_touch is None) == (not self.fields):
            raise ValueError("give either `first_touch` or `fields`")
        if self.first_touch is not None and self.take == "last":
            raise ValueError("`take: last` is for `fields`; a first touch is the first")
        return self


class ChurnRisk(StrictModel):
    """A subject at risk: no API use within some hours of entering a stage, or none for some days after its last use."""

    levels: list[Level] = Field(min_length=1)
    stage: str | None = None
    no_use_within_hours: int | None = Field(default=None, ge=1)
    no_use_for_days: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _exactly_one(self) -> ChurnRisk:
        if (self.stage is None) != (self.no_use_within_hours is None):
            raise ValueError("`stage` and `no_use_within_hours` belong together")
        if (self.stage is None) == (self.no_use_for_days is None):
            raise ValueError("give either `stage` with `no_use_within_hours`, or `no_use_for_days`")
        return self


class PowerUse(StrictModel):
    """A power user: production use of the API on at least `active_days` of the last `of_days` UTC days."""

    levels: list[Level] = Field(min_length=1)
    active_days: int = Field(ge=1)
    of_days: int = Field(ge=1, le=366)

    @model_validator(mode="after")
    def _can_be_reached(self) -> PowerUse:
        if self.active_days > self.of_days:
            raise ValueError("`active_days` cannot be more than `of_days`")
        return self


class Internal(StrictModel):
    """The own organisation's traffic: one match makes a developer internal."""

    email_domains: list[str] = Field(default_factory=list)
    user_ids: list[str] = Field(default_factory=list)
    company_ids: list[str] = Field(default_factory=list)
    ip_networks: list[str] = Field(default_factory=list)

    @field_validator("ip_networks")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for network in value:
            ipaddress.ip_network(network)
        return value


class Bots(StrictModel):
    """Parts of a user agent, in any case, that mark an event as automated."""

    user_agents: list[str] = Field(default_factory=list)


class NamedProperties(StrictModel):
    """Properties of Segment's calls that are identifiers or the environment. Every other property is free."""

    api_key: list[str] = Field(default_factory=lambda: ["api_key", "apiKey"])
    session_token: list[str] = Field(default_factory=list)
    anonymous_id: list[str] = Field(default_factory=list)
    user_id: list[str] = Field(default_factory=list)
    company_id: list[str] = Field(default_factory=list)
    environment: list[str] = Field(default_factory=list)

    @cached_property
    def all(self) -> frozenset[str]:
        """Every property that is named."""
        return frozenset(name for names in self.model_dump().values() for name in names)


class Limits(StrictModel):
    """Bounds of a session token or anonymous id, and of clocks.

    With more events, users or links (one per user and UTC day) it is automated traffic, or stands for no one.
    With more users or links it leads to nobody any more.
    """

    web_alias_events_a_day: int = Field(default=2_000, ge=1)
    web_alias_events: int = Field(default=50_000, ge=1)
    web_alias_users: int = Field(default=500, ge=1)
    web_alias_links: int = Field(default=20_000, ge=1)
    future_hours: float = Field(default=24, ge=0)


class Definitions(StrictModel):
    """Everything that decides what a published number means."""

    selectors: dict[str, Selector]
    stages: dict[str, Stage]
    activations: dict[str, Activation]
    usage: str
    touch: str
    outreach: Selector | None = None
    segments: dict[str, Segment] = Field(default_factory=dict)
    churn_risks: dict[str, ChurnRisk] = Field(default_factory=dict)
    power_users: dict[str, PowerUse] = Field(default_factory=dict)
    internal: Internal = Internal()
    bots: Bots = Bots()
    placeholders: list[str] = Field(default_factory=list)
    named_properties: NamedProperties = NamedProperties()
    key_prefixes: dict[str, Environment] = Field(default_factory=dict)
    limits: Limits = Limits()

    @property
    def signup_selector(self) -> str:
        """The selector whose earliest event counts as the sign-up."""
        selector = self.stages["signup"].selector
        assert selector is not None, "definitions without it are refused when they are loaded"
        return selector

    def fingerprint(self) -> str:
        """Sixteen hex digits that change with any change of what the streams' state depends on."""
        meaning = json.dumps(self.model_dump(mode="json", exclude=set(READ_SECTIONS)), sort_keys=True)
        return hashlib.blake2b(meaning.encode(), digest_size=8).hexdigest()


def shipped() -> dict[str, Any]:
    """The sections of the shipped definitions, as plain data."""
    loaded: dict[str, Any] = yaml.safe_load(files("schemas.config").joinpath("definitions.yaml").read_text("utf-8"))
    return loaded


def checked(sections: Mapping[str, Any]) -> Definitions | list[Problem]:
    """Definitions from `sections`, each of which replaces the shipped one, or all that is wrong with them."""
    own = {name: section for name, section in sections.items() if name in Definitions.model_fields}
    known = [*Definitions.model_fields, *OTHER_SECTIONS]
    problems = [
        Problem((name,), f"there is no such section{meant(name, known)}") for name in sections if name not in own
    ]
    merged = shipped() | own
    problems += [_in_own_section(each, own) for each in unresolved(merged, SEGMENTS_GIVEN)]
    try:
        definitions = Definitions.model_validate(merged)
    except ValidationError as error:
        return problems + problems_of(error, merged)
    return problems or definitions


def _in_own_section(problem: Problem, own: Mapping[str, Any]) -> Problem:
    """The problem. If it lies in a shipped section, it is reported for the own section that lacks the name."""
    section = problem.way[0]
    if section in own:
        return problem
    advice = f"The shipped `{problem.field}` needs it: keep it, or give `{section}` too"
    return Problem((problem.names,), f"{problem.what}. {advice}")


def build(sections: Mapping[str, Any], document: Document | None = None) -> Definitions:
    """Definitions from `sections`, each of which replaces the shipped one.

    Raises ConfigurationError with one line for each wrong field.
    """
    found = checked(sections)
    if isinstance(found, list):
        raise unusable("definitions", found, document)
    return found


def load(path: Path | None = None) -> Definitions:
    """The definitions of a YAML file, without its sections `settings` and `monitors`; without a file the shipped ones.

    Raises ConfigurationError when the file cannot be read, is not YAML, or holds a wrong field.
    """
    if path is None:
        return build({})
    document = read_document(path)
    return build(own_sections(document), document)


def own_sections(document: Document) -> dict[str, Any]:
    """The sections of a document that are about what numbers mean."""
    return {name: section for name, section in document.sections.items() if name not in OTHER_SECTIONS}
