"""Which numbers are watched, how sure an alert must be, and whom it is told: the section `monitors` of the configuration file.

Without the section every activation definition, the steps of the funnel around the first call, active tokens, the time to first
call and both sources are watched, and alerts are rows, messages and log lines only.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, TypeAdapter, ValidationError, model_validator

from schemas.definitions import Definitions, DefinitionsError, Level

#: What subjects can be told apart by: their first touch, or their company.
SEGMENTS: Final = ("campaign", "source", "medium", "term", "content", "referrer", "path", "name", "company")
Segment = Literal["campaign", "source", "medium", "term", "content", "referrer", "path", "name", "company"]


class MonitorsError(DefinitionsError):
    """A section `monitors` that cannot be used. The message names the file, each wrong field and what to do."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ActivationsMonitor(_Model):
    """Newly activated subjects of each hour."""

    kind: Literal["activations"]
    level: Level = "developer"
    definition: str
    segments: list[Segment] = Field(default_factory=list)


class ConversionMonitor(_Model):
    """Of those who entered a stage, the share that enters another within so many minutes."""

    kind: Literal["conversion"]
    level: Level = "developer"
    from_stage: str = Field(alias="from")
    to_stage: str = Field(alias="to")
    within_minutes: int = Field(default=180, ge=1, le=40_320)
    segments: list[Segment] = Field(default_factory=list)


class TokensMonitor(_Model):
    """Distinct tokens that are active in each hour."""

    kind: Literal["active_tokens"]
    environment: Literal["production", "test", "development"] = "production"


class FirstCallMonitor(_Model):
    """Of those who enter a stage, the share that does so within the usual time since an earlier one: it falls when the time rises."""

    kind: Literal["time_to_first_call"]
    level: Level = "developer"
    from_stage: str = Field(default="signup", alias="from")
    to_stage: str = Field(default="first_call", alias="to")
    target_minutes: float = Field(default=0, ge=0, description="0: the median of the past weeks.")
    segments: list[Segment] = Field(default_factory=list)


class SilenceMonitor(_Model):
    """No event of a source for longer than chance and the past explain."""

    kind: Literal["silence"]
    source: Literal["web", "api"]
    after_minutes: int = Field(default=10, ge=1)


Monitor = Annotated[
    ActivationsMonitor | ConversionMonitor | TokensMonitor | FirstCallMonitor | SilenceMonitor,
    Field(discriminator="kind"),
]


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


class SlackChannel(_Secret):
    """An incoming webhook of Slack, or of anything that takes the same. Its URL is a secret."""

    kind: Literal["slack"]
    url: SecretStr | None = None
    url_file: Path | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> SlackChannel:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give either `url` or `url_file`")
        return self

    @property
    def address(self) -> str:
        return self.read(self.url, self.url_file)


class WebhookChannel(_Secret):
    """Any HTTP endpoint. The body is signed with HMAC-SHA-256 if there is a secret."""

    kind: Literal["webhook"]
    url: HttpUrl
    secret: SecretStr | None = Field(default=None, min_length=16)
    secret_file: Path | None = None

    @model_validator(mode="after")
    def _at_most_one(self) -> WebhookChannel:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("give either `secret` or `secret_file`")
        return self

    @property
    def key(self) -> bytes:
        return self.read(self.secret, self.secret_file).encode()


Channel = Annotated[AlertmanagerChannel | SlackChannel | WebhookChannel, Field(discriminator="kind")]


class Monitors(_Model):
    """The whole section. Two weeks of past are the least that anything can be said from."""

    false_alarms_per_month: float = Field(default=1.0, gt=0, le=100, description="Of all monitors together, at most.")
    weeks: int = Field(default=8, ge=2, le=26, description="How many past weeks predict.")
    minimum_weeks: int = Field(default=2, ge=2, le=26)
    minimum_expected: float = Field(default=10, ge=1, description="Fewer expected in the time of a drop: no alert.")
    minimum_drop: float = Field(default=0.15, gt=0, lt=1, description="Smaller ones are not told.")
    late_minutes: int = Field(default=10, ge=0, le=1440, description="How long an hour stays open for late events.")
    accept_after_days: int = Field(default=14, ge=1, le=90, description="A drop that lasts longer is the usual level.")
    largest_values: int = Field(default=5, ge=1, le=20, description="Values of each segment that are watched.")
    watch: dict[str, Monitor] = Field(default_factory=dict)
    channels: dict[str, Channel] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _enough_weeks(self) -> Monitors:
        if self.minimum_weeks > self.weeks:
            raise ValueError("minimum_weeks is more than weeks")
        return self


def default_watch(definitions: Definitions) -> dict[str, Monitor]:
    """What is watched if nothing is said: what these definitions have."""
    found: dict[str, Monitor] = {}
    for name, activation in definitions.activations.items():
        for level in activation.levels:
            found[f"activations-{level}-{name}"] = ActivationsMonitor(
                kind="activations", level=level, definition=name, segments=["source"] if level == "developer" else []
            )
    stages = definitions.stages
    for start, end in (("signup", "key"), ("key", "first_call"), ("signup", "first_call")):
        if start in stages and end in stages:
            found[f"conversion-{start}-{end}"] = ConversionMonitor(kind="conversion", from_stage=start, to_stage=end)
    if "signup" in stages and "first_call" in stages:
        found["time-to-first-call"] = FirstCallMonitor(kind="time_to_first_call")
    found["active-tokens"] = TokensMonitor(kind="active_tokens")
    found["silence-web"] = SilenceMonitor(kind="silence", source="web")
    found["silence-api"] = SilenceMonitor(kind="silence", source="api")
    return found


def load(path: Path | None, definitions: Definitions) -> Monitors:
    """The section of a YAML file, or what holds without one. An empty `watch` is filled by `default_watch`.

    Raises MonitorsError.
    """
    section: Any = None
    if path is not None:
        try:
            loaded = yaml.safe_load(path.read_text("utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise MonitorsError(f"{path} cannot be read: {error}") from None
        section = loaded.get("monitors") if isinstance(loaded, dict) else None
    return build({} if section is None else section, definitions, str(path or "monitors"))


def build(section: Any, definitions: Definitions, origin: str = "monitors") -> Monitors:
    """Monitors from plain data. Raises MonitorsError with one line for each wrong field."""
    try:
        monitors = Monitors.model_validate(section)
    except ValidationError as error:
        lines = [f"  {_where(problem['loc'])}: {_what(problem)}" for problem in error.errors(include_url=False)]
        raise MonitorsError(f"{origin} cannot be used:\n" + "\n".join(lines)) from None
    watch = monitors.watch or default_watch(definitions)
    lines = [line for name, monitor in watch.items() for line in _unknown_names(name, monitor, definitions)]
    if lines:
        raise MonitorsError(f"{origin} cannot be used:\n" + "\n".join(lines))
    return monitors.model_copy(update={"watch": watch})


def _where(place: tuple[int | str, ...]) -> str:
    """The way to a field as one writes it in YAML, without the kind that pydantic puts after a monitor's name."""
    parts = [str(part) for part in place]
    if len(parts) > 3 and parts[0] in ("watch", "channels"):
        del parts[2]
    return ".".join(["monitors", *parts])


def _what(problem: Any) -> str:
    message: str = problem["msg"].removeprefix("Value error, ")
    known: list[str] = []
    wrong: Any = ""
    if problem["type"] == "extra_forbidden":
        place = problem["loc"]
        message = "there is no such field"
        known = _fields(place[0], str(place[2])) if len(place) > 3 else list(Monitors.model_fields)
        wrong = str(place[-1])
    elif problem["type"] == "union_tag_invalid":
        known, wrong = problem["ctx"]["expected_tags"].replace("'", "").split(", "), problem["ctx"]["tag"]
        message = f"there is no kind {wrong!r}"
    elif problem["type"] == "literal_error":
        known, wrong = problem["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", "), problem["input"]
        message = f"{wrong!r} is none of these"
    elif problem["type"] == "union_tag_not_found":
        return "give its `kind`"
    return message + (_meant(str(wrong), known) if known else "")


def _fields(part: Any, kind: str) -> list[str]:
    annotation: Any = Monitor if part == "watch" else Channel
    schema = TypeAdapter(annotation).json_schema()
    model = schema["discriminator"]["mapping"].get(kind, "").rpartition("/")[2]
    return list(schema["$defs"].get(model, {}).get("properties", {}))


def _unknown_names(name: str, monitor: Any, definitions: Definitions) -> list[str]:
    """A line for each stage or activation definition that does not exist."""
    where, lines = f"  monitors.watch.{name}", []
    if isinstance(monitor, ActivationsMonitor):
        if monitor.definition not in definitions.activations:
            meant = _meant(monitor.definition, list(definitions.activations))
            lines.append(f"{where}.definition: there is no activation {monitor.definition!r}{meant}")
        elif monitor.level not in definitions.activations[monitor.definition].levels:
            lines.append(f"{where}.level: {monitor.definition!r} is not defined at level {monitor.level}")
    if isinstance(monitor, ConversionMonitor | FirstCallMonitor):
        for field, stage in (("from", monitor.from_stage), ("to", monitor.to_stage)):
            if stage not in definitions.stages:
                lines.append(f"{where}.{field}: there is no stage {stage!r}{_meant(stage, list(definitions.stages))}")
    if getattr(monitor, "level", "") == "company" and "company" in getattr(monitor, "segments", ()):
        lines.append(f"{where}.segments: companies cannot be told apart by company")
    return lines


def _meant(wrong: str, known: list[str]) -> str:
    near = get_close_matches(wrong, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"
