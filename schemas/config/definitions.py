"""The definitions behind every number: selectors, stages, activations and who does not count.

They are configuration (`definitions.yaml` is what ships). A file of one's own replaces whole sections of it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from schemas.config.document import Document, read_document
from schemas.config.problems import Problem, meant, problem_lines, problems_of
from schemas.config.references import unresolved
from schemas.errors import ConfigurationError

Level = Literal["developer", "company"]
Phase = Literal["awareness", "consideration", "adoption", "advocacy"]
Environment = Literal["production", "test", "development"]
Scalar = str | int | float | bool
TouchField = Literal["campaign", "source", "medium", "term", "content", "referrer", "path", "name"]

#: Names that subjects are told apart by without configuration: the fields of a first touch, and the company.
SEGMENTS_GIVEN: Final = (*get_args(TouchField), "company")
#: Sections that only readers of the numbers need: no state depends on them, so they may change at any time.
READ_SECTIONS: Final = frozenset({"churn_risks", "power_users"})

#: Sections of the same file that are not about what numbers mean.
OTHER_SECTIONS: Final = ("settings", "monitors")

_FIELD = re.compile(r"(properties|traits|context)(\.[^.]+)+")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PropertyTest(_Model):
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


class Selector(_Model):
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


class Stage(_Model):
    """A stage of the funnel: entered at the earliest matching event, or when an activation is reached."""

    phase: Phase
    selector: str | None = None
    activation: dict[Level, str] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Stage:
        if (self.selector is None) == (self.activation is None):
            raise ValueError("give either `selector` or `activation`")
        return self


class Condition(_Model):
    """`count` or `distinct_days` (UTC calendar days) of the events a selector matches, at least so many."""

    count: str | None = None
    distinct_days: str | None = None
    at_least: int = Field(ge=1, le=10_000)

    @model_validator(mode="after")
    def _exactly_one(self) -> Condition:
        if (self.count is None) == (self.distinct_days is None):
            raise ValueError("give either `count` or `distinct_days`")
        return self


class Activation(_Model):
    """Reached when all conditions hold, not before the anchor stage and within `span_days` of it."""

    levels: list[Level] = Field(min_length=1)
    anchor: str
    span_days: int | None = Field(default=None, ge=1, le=3660, description="Up to ten years. No value: no limit.")
    all: list[Condition] = Field(min_length=1)


class Segment(_Model):
    """What tells subjects apart. Either a field of the first touch, or the value of the first of `fields` that an event has,
    on the subject's first such event or on its last. With `words`, a text that holds one of `values` as a word, in any case,
    says the first such value: acme-python/2.1 says python. Rolling counts are kept for each of `values`, and for all others as
    `other`.
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


class ChurnRisk(_Model):
    """Who may be lost: no use of the API within so many hours of entering a stage, or none for so many days after some."""

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


class PowerUse(_Model):
    """Who uses the API (in production) on at least so many UTC days of the last so many."""

    levels: list[Level] = Field(min_length=1)
    active_days: int = Field(ge=1)
    of_days: int = Field(ge=1, le=366)

    @model_validator(mode="after")
    def _can_be_reached(self) -> PowerUse:
        if self.active_days > self.of_days:
            raise ValueError("`active_days` cannot be more than `of_days`")
        return self


class Internal(_Model):
    """The own organisation's traffic: one such trait makes a developer internal."""

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


class Bots(_Model):
    """Parts of a user agent, in any case, that mark an event as automated."""

    user_agents: list[str] = Field(default_factory=list)


class Limits(_Model):
    """Bounds. A session token or anonymous id with more events, users, or links (one per user and UTC day) than this is
    automated traffic, or an id that stands for no one; with more users or links it leads to nobody any more.
    """

    web_alias_events: int = Field(default=5_000, ge=1)
    web_alias_users: int = Field(default=500, ge=1)
    web_alias_links: int = Field(default=20_000, ge=1)
    future_hours: float = Field(default=24, ge=0)


class Definitions(_Model):
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
    key_prefixes: dict[str, Environment] = Field(default_factory=dict)
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _names_resolve(self) -> Definitions:
        problems = list(unresolved(self.model_dump(), SEGMENTS_GIVEN))
        if problems:
            raise ValueError(problem_lines(problems))
        return self

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
    known = [*Definitions.model_fields, *OTHER_SECTIONS]
    problems = [
        Problem((name,), f"there is no such section{meant(name, known)}")
        for name in sections
        if name not in Definitions.model_fields
    ]
    merged = shipped() | {name: section for name, section in sections.items() if name in Definitions.model_fields}
    problems += [_of_shipped(each, sections) for each in unresolved(merged, SEGMENTS_GIVEN)]
    try:
        definitions = Definitions.model_validate(merged)
    except ValidationError as error:
        # Of the whole it is said that names do not resolve, which is told already.
        problems += [problem for problem in problems_of(error, Definitions) if problem.way]
        if not problems:
            raise
        return problems
    return problems or definitions


def _of_shipped(problem: Problem, sections: Mapping[str, Any]) -> Problem:
    """The problem; if it lies in a section that nobody has written here, told of the section that was to have the name."""
    section = problem.way[0]
    if section in sections:
        return problem
    advice = f"The shipped `{problem.field}` needs it: keep it, or give `{section}` too"
    return Problem((problem.names,), f"{problem.what}. {advice}")


def build(sections: Mapping[str, Any], origin: str | Document = "definitions") -> Definitions:
    """Definitions from `sections`, each of which replaces the shipped one.

    Raises ConfigurationError with one line for each wrong field.
    """
    found = checked(sections)
    if isinstance(found, list):
        document = origin if isinstance(origin, Document) else None
        name = document.name if document else origin
        raise ConfigurationError(f"{name} cannot be used:\n{problem_lines(found, document)}")
    return found


def load(path: Path | None = None) -> Definitions:
    """The definitions of a YAML file (its sections `settings` and `monitors` left aside), or the shipped ones.

    Raises ConfigurationError when the file cannot be read, is not YAML, or holds a wrong field.
    """
    if path is None:
        return build({})
    try:
        document = read_document(path)
    except ConfigurationError as error:
        raise ConfigurationError(str(error)) from None
    return build({k: v for k, v in document.sections.items() if k not in OTHER_SECTIONS}, document)
