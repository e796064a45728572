"""The section `monitors` of the configuration file: watched numbers, sensitivity, and channels for alerts.

Without the section, `default_watch` holds, and alerts are rows, messages and log lines only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import available_timezones

from pydantic import ConfigDict, Field, HttpUrl, SecretStr, ValidationError, field_validator, model_validator

from schemas.config.definitions import SEGMENTS_GIVEN, Definitions, Level
from schemas.config.document import Document, read_document, unusable
from schemas.config.model_errors import StrictModel, problems_of
from schemas.config.problems import Problem
from schemas.config.references import unresolved_monitors

_SEGMENTS: Final = "Fields of the first touch, `company`, or segments of the definitions."
#: Where secrets are: what is given there is not shown.
_HIDDEN: Final = frozenset({"channels"})
_WEB_ADDRESS: Final = re.compile(r"https?://[^/?#\s]+", re.IGNORECASE)


class _Model(StrictModel):
    model_config = ConfigDict(populate_by_name=True)


class ActivationsMonitor(_Model):
    """Newly activated subjects of each hour."""

    kind: Literal["activations"]
    level: Level = "developer"
    definition: str
    segments: list[str] = Field(default_factory=list, description=_SEGMENTS)


class ConversionMonitor(_Model):
    """Of those who entered a stage, the share that enters another within so many minutes."""

    kind: Literal["conversion"]
    level: Level = "developer"
    from_stage: str = Field(alias="from")
    to_stage: str = Field(alias="to")
    within_minutes: int = Field(default=180, ge=1, le=40_320)
    segments: list[str] = Field(default_factory=list, description=_SEGMENTS)


class TokensMonitor(_Model):
    """Distinct tokens that are active in each hour."""

    kind: Literal["active_tokens"]
    environment: Literal["production", "test", "development"] = "production"


class FirstCallMonitor(_Model):
    """Of those who enter a stage, the share within the usual time since an earlier one: falls when the time rises."""

    kind: Literal["time_to_first_call"]
    level: Level = "developer"
    from_stage: str = Field(default="signup", alias="from")
    to_stage: str = Field(default="first_call", alias="to")
    target_minutes: float = Field(default=0, ge=0, description="0: the median of the past weeks.")
    segments: list[str] = Field(default_factory=list, description=_SEGMENTS)


class SilenceMonitor(_Model):
    """No event of a source for longer than chance and the past explain."""

    kind: Literal["silence"]
    source: Literal["web", "api"]
    after_minutes: int = Field(default=10, ge=1)


Monitor = Annotated[
    ActivationsMonitor | ConversionMonitor | TokensMonitor | FirstCallMonitor | SilenceMonitor,
    Field(discriminator="kind"),
]


#: The least length of a secret that signs webhooks.
SECRET_CHARACTERS: Final = 16


class _Secret(_Model):
    """A secret, given or in a file that is mounted."""

    @staticmethod
    def read(value: SecretStr | None, file: Path | None) -> str:
        if value is not None:
            return value.get_secret_value()
        return file.read_text("utf-8").strip() if file is not None else ""


class AlertmanagerChannel(_Model):
    """A Prometheus Alertmanager, by its v2 API."""

    kind: Literal["alertmanager"]
    url: HttpUrl
    labels: dict[str, str] = Field(default_factory=dict, description="Put on every alert, for its routes.")


class _Addressed(_Secret):
    """A channel whose URL is a secret: with the URL, anybody may write to it."""

    url: SecretStr | None = None
    url_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _web_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _WEB_ADDRESS.match(value.get_secret_value()):
            raise ValueError("must begin with https:// or http:// and name a host")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> _Addressed:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give either `url` or `url_file`")
        return self

    @property
    def address(self) -> str:
        """Raises OSError, ValueError."""
        found = self.read(self.url, self.url_file)
        if not _WEB_ADDRESS.match(found):
            raise ValueError("it must begin with https:// or http:// and name a host")
        return found


class SlackChannel(_Addressed):
    """An incoming webhook of Slack, or of anything that takes the same."""

    kind: Literal["slack"]


class WebhookChannel(_Addressed):
    """Any HTTP endpoint. The body is signed with HMAC-SHA-256 if there is a secret."""

    kind: Literal["webhook"]
    secret: SecretStr | None = Field(default=None, min_length=SECRET_CHARACTERS)
    secret_file: Path | None = None

    @model_validator(mode="after")
    def _at_most_one(self) -> WebhookChannel:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("give either `secret` or `secret_file`")
        return self

    @property
    def key(self) -> bytes:
        """Raises OSError, ValueError."""
        found = self.read(self.secret, self.secret_file)
        if self.secret_file is not None and len(found) < SECRET_CHARACTERS:
            raise ValueError(f"it holds fewer than {SECRET_CHARACTERS} characters")
        return found.encode()


#: The kinds of channels. `deploy.alerts.channels` builds the request of each, and describes how to add one.
Channel = Annotated[AlertmanagerChannel | SlackChannel | WebhookChannel, Field(discriminator="kind")]


class Calendar(_Model):
    """Where developers live: when their clocks change, and when public holidays are.

    `holidays`: a country, or a country and a part of it, by their ISO 3166 codes.
    """

    time_zone: str = Field(description="A name of the IANA time zone database.")
    holidays: str | None = Field(default=None, description="As DE, or DE-BE. Without it no day is a holiday.")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"no time zone is named {value!r}; names are as Europe/Berlin or America/New_York")
        return value

    @field_validator("holidays")
    @classmethod
    def _known_country(cls, value: str | None) -> str | None:
        if value is None:
            return None
        import holidays  # Most configurations name no country.

        parts = holidays.list_supported_countries()
        country, _, part = value.partition("-")
        if country not in parts:
            raise ValueError(f"the holidays of {country!r} are not known; give an ISO 3166 code, as DE or US")
        if "-" in value and part not in parts[country]:
            known = ", ".join(parts[country]) or "none"
            raise ValueError(f"{country} has no part {part!r} with holidays of its own; known are {known}")
        return value


#: Most developers live where the clocks change with one of these.
DEFAULT_CALENDARS: Final = (Calendar(time_zone="Europe/Berlin"), Calendar(time_zone="America/New_York"))


class Monitors(_Model):
    """The whole section. A prediction needs at least two past weeks."""

    false_alarms_per_month: float = Field(default=1.0, gt=0, le=100, description="Of all monitors together, at most.")
    weeks: int = Field(default=8, ge=2, le=26, description="How many past weeks predict.")
    minimum_weeks: int = Field(default=2, ge=2, le=26)
    minimum_expected: float = Field(default=10, ge=1, description="Fewer expected in the time of a drop: no alert.")
    minimum_drop: float = Field(default=0.15, gt=0, lt=1, description="Smaller drops raise no alert.")
    late_minutes: int = Field(default=10, ge=0, le=1440, description="How long an hour stays open for late events.")
    accept_after_days: int = Field(default=14, ge=1, le=90, description="A drop that lasts longer is the usual level.")
    largest_values: int = Field(default=5, ge=1, le=20, description="Values of each segment that are watched.")
    calendars: list[Calendar] = Field(
        default=list(DEFAULT_CALENDARS), description="Time zones and public holidays that the numbers follow."
    )
    watch: dict[str, Monitor] = Field(default_factory=dict)
    channels: dict[str, Channel] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _enough_weeks(self) -> Monitors:
        if self.minimum_weeks > self.weeks:
            raise ValueError("minimum_weeks is more than weeks")
        return self


def default_watch(definitions: Definitions) -> dict[str, Monitor]:
    """The monitors of a configuration without any: activation definitions, quick steps of the funnel, sources."""
    found: dict[str, Monitor] = {}
    for name, activation in definitions.activations.items():
        for level in activation.levels:
            found[f"activations-{level}-{name}"] = ActivationsMonitor(
                kind="activations", level=level, definition=name, segments=["source"] if level == "developer" else []
            )
    # In the order of the funnel: a stage is watched against a later one only.
    stages = list(definitions.stages)
    # Steps that usually take hours. A conversion is evaluated when its time is up; steps of days or weeks, as activation
    # and payment, would raise an alert long after the monitors of activations.
    for start, end in (("docs", "signup"), ("signup", "key"), ("key", "first_call"), ("signup", "first_call")):
        if start in stages and end in stages[stages.index(start) :]:
            found[f"conversion-{start}-{end}"] = ConversionMonitor(kind="conversion", from_stage=start, to_stage=end)
    found["time-to-first-call"] = FirstCallMonitor(kind="time_to_first_call")
    found["active-tokens"] = TokensMonitor(kind="active_tokens")
    found["silence-web"] = SilenceMonitor(kind="silence", source="web")
    found["silence-api"] = SilenceMonitor(kind="silence", source="api")
    return found


def load(path: Path | None, definitions: Definitions) -> Monitors:
    """The section of a YAML file, or what holds without one. An empty `watch` is filled by `default_watch`.

    Raises ConfigurationError.
    """
    if path is None:
        return build({}, definitions)
    document = read_document(path)
    return build(document.sections.get("monitors", {}), definitions, document)


def build(section: Any, definitions: Definitions, document: Document | None = None) -> Monitors:
    """Monitors from plain data. Raises ConfigurationError with one line for each wrong field."""
    found = checked(section, definitions.model_dump())
    if isinstance(found, list):
        raise unusable("monitors", found, document)
    return filled(found, definitions)


def unread_files(monitors: Monitors) -> Iterator[Problem]:
    """Files of secrets that cannot be read here. They may exist where alerts are sent, so this alone is no mistake."""
    for name, channel in monitors.channels.items():
        for field, content in (("url_file", "address"), ("secret_file", "key")):
            file = getattr(channel, field, None)
            if file is not None and (reason := _unusable(channel, content)):
                yield Problem(("monitors", "channels", name, field), f"{file} cannot be used here: {reason}")


def _unusable(channel: Channel, content: str) -> str:
    """Why the content of a file cannot be used; empty if it can."""
    try:
        getattr(channel, content)
    except (OSError, ValueError) as error:
        return unusable_because(error)
    return ""


def unusable_because(error: OSError | ValueError) -> str:
    """What is wrong with a file of a secret, without any of it."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is no text" if isinstance(error, UnicodeDecodeError) else str(error)


def filled(monitors: Monitors, definitions: Definitions) -> Monitors:
    """The monitors, with the default ones if none are named."""
    return monitors if monitors.watch else monitors.model_copy(update={"watch": default_watch(definitions)})


def checked(section: Any, definitions: Mapping[str, Any]) -> Monitors | list[Problem]:
    """Monitors from plain data, or all that is wrong with it, also with respect to the sections of definitions."""
    problems = list(unresolved_monitors(section, definitions, SEGMENTS_GIVEN))
    try:
        monitors = Monitors.model_validate(section)
    except ValidationError as error:
        found = problems_of(error, section, _HIDDEN)
        return problems + [Problem(("monitors", *problem.way), problem.what) for problem in found]
    return problems or monitors
