"""Everything that is published, computed from a list of records in one go."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from schemas.config.definitions import Activation, Condition, Definitions, Limits
from tests.support.reference.calls import Call
from tests.support.reference.erasure import Erasure, suppressed_events
from tests.support.reference.events import DAY, HOUR, Event, Record, Rejection, read, without_copies
from tests.support.reference.identity import Identities
from tests.support.reference.published import WINDOWS, Profile, Published, Resolved, Touch

Level = Literal["developer", "company"]


class _Counted(NamedTuple):
    """An event that matters, with whom it belongs to."""

    event: Event
    developer: str
    company: str


def compute(
    records: Iterable[Record], definitions: Definitions, secrets: list[bytes], erasures: Iterable[Erasure] = ()
) -> Published:
    """Every published number of a set of records, without those erased. Keys are hashed with the first secret."""
    published = Published()
    found = []
    for outcome in read(records, definitions, secrets[0], suppressed_events(erasures, definitions, secrets[0])):
        if isinstance(outcome, Rejection):
            published.rejected.append(outcome)
        else:
            found.append(outcome)
    rows = without_copies(found, by=lambda event: event.content)
    events = without_copies(rows, by=lambda event: event.meaning)
    identities = Identities(events, definitions.limits)
    published.identities = identities.rows()

    automated = _automated_holders(rows, definitions.limits)
    automated |= {(*alias, with_key) for alias in identities.crowded for with_key in (False, True)}
    for row in sorted(rows, key=lambda row: (row.time, row.content)):
        resolved = Resolved(identities.developer(row), identities.company(row), row.time)
        published.events.setdefault(row.identity, resolved)
        published.event_rows.add((*row.identity, *resolved))
        if row.is_outreach and not row.is_bot:
            outreach = (row.time, row.segments)
            published.outreach[row.identity] = min(
                outreach, published.outreach.get(row.identity, outreach), key=_time_and_segments
            )
        earliest, copies = published.copies.get(row.identity, (row.time, 0))
        published.copies[row.identity] = min(earliest, row.time), copies + 1
    counted = [
        _Counted(event, identities.developer(event), identities.company(event))
        for event in events
        # A key with an owner counts its events, whatever device they came from.
        if event.matters and (event.holder not in automated or event.api_key in identities.key_owner)
    ]

    own_developers = {one.developer for one in counted if one.event.is_internal}
    own_companies = set(definitions.internal.company_ids)
    published.calls = [
        Call(
            row.time,
            row.api_key,
            developer,
            "" if company in own_companies else company,
            row.environment,
            definitions.usage in row.matched,
            row.call,
        )
        for row, developer, company in ((row, identities.developer(row), identities.company(row)) for row in rows)
        if row.call is not None and not row.is_bot and developer not in own_developers
    ]
    by_developer, by_company = defaultdict(list), defaultdict(list)
    for one in counted:
        by_developer[one.developer].append(one.event)
        if one.company and one.developer not in own_developers:
            by_company[one.company].append(one.event)

    for developer, theirs in by_developer.items():
        profile = _profile(published, definitions, "developer", developer, theirs, developer in own_developers)
        profile["kind"] = "visitor" if _is_visitor(developer) else "user"
        profile["company_id"] = identities.company_of_developer(developer)
    for company, theirs in by_company.items():
        _profile(published, definitions, "company", company, theirs, company in own_companies)
    for kind, alias, with_key in automated:
        if not (
            with_key or identities.is_linked(kind, alias) or (kind == "session_token" and alias in identities.device_of)
        ):
            profile = _no_profile("visitor")
            profile["is_bot"] = True
            published.developers[f"{kind}:{alias}"] = profile

    of_token = _by_token(events, identities, own_developers)
    for api_key, theirs in of_token.items():
        for event in theirs:
            if definitions.usage in event.matched:
                published.activity.add(("token", api_key, event.environment, _hour_start(event)))
    for event, developer, company in counted:
        if developer in own_developers or definitions.usage not in event.matched or not event.api_key:
            continue
        hour_start = _hour_start(event)
        if not _is_visitor(developer):
            published.activity.add(("developer", developer, event.environment, hour_start))
        if company and company not in own_companies:
            published.activity.add(("company", company, event.environment, hour_start))
    segments = {api_key: _segments(definitions, theirs, {}) for api_key, theirs in of_token.items()}
    _rolling(published, definitions, segments)
    return published


def _by_token(events: list[Event], identities: Identities, own_developers: set[str]) -> dict[str, list[Event]]:
    """The events of each API key that count for it as a token, whatever device they came from.

    Those of internal users do not, and of a key without an owner none does if one of those without a user is internal.
    """
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.matters and event.api_key:
            found[event.api_key].append(event)
    for api_key, theirs in found.items():
        owner = identities.key_owner.get(api_key, (0, ""))[1]
        internal = any(event.is_internal for event in theirs if not event.user_id) and not owner

        def counts(event: Event, owner: str = owner, internal: bool = internal) -> bool:
            user = event.user_id or owner
            return identities.canonical(user) not in own_developers if user else not internal

        found[api_key] = [event for event in theirs if counts(event)]
    return {api_key: theirs for api_key, theirs in found.items() if theirs}


def _hour_start(event: Event) -> int:
    return -(-event.time // HOUR) * HOUR - HOUR


def _automated_holders(rows: list[Event], limits: Limits) -> set[tuple[str, str, bool]]:
    """The web aliases with more events that matter than a person makes, on a UTC day or in all, with or without a key."""
    of_day = defaultdict(set)
    for row in rows:
        if row.matters and row.holder is not None:
            of_day[row.holder, row.time // DAY].add(row.identity)
    totals: Counter[tuple[str, str, bool]] = Counter()
    for (holder, _), found in of_day.items():
        totals[holder] += len(found)
    busy = {holder for (holder, _), found in of_day.items() if len(found) > limits.web_alias_events_a_day}
    return busy | {holder for holder, total in totals.items() if total > limits.web_alias_events}


def _time_and_segments(outreach: tuple[int, dict[str, str]]) -> tuple[int, list[tuple[str, str]]]:
    return outreach[0], sorted(outreach[1].items())


def _is_visitor(developer: str) -> bool:
    # No user id starts like this: such ids are refused as reserved.
    return developer.startswith(("anonymous_id:", "session_token:", "api_key:"))


def _no_profile(kind: str) -> Profile:
    return Profile(
        kind=kind,
        company_id="",
        first_seen=None,
        last_active=None,
        stages={},
        activations={},
        first_touch_at=None,
        first_touch={},
        segments={},
        is_internal=False,
        is_bot=False,
    )


def _profile(
    published: Published, definitions: Definitions, level: Level, subject: str, events: list[Event], is_internal: bool
) -> Profile:
    """The profile of a subject from its events; it is published if any of them is more than evidence that it is internal, or it is
    an internal developer."""
    profile = _no_profile("company")
    profile["is_internal"] = is_internal
    seen = [event for event in events if event.matched or event.touch is not None]
    if not seen and not (is_internal and level == "developer"):
        return profile
    profile["first_seen"] = min((event.time for event in seen), default=None)
    profile["last_active"] = max((event.latest for event in seen), default=None)
    for name, stage in definitions.stages.items():
        times = [event.time for event in events if stage.selector in event.matched]
        if times:
            profile["stages"][name] = min(times)
    if not is_internal:
        for name, definition in definitions.activations.items():
            reached = _activation(definition, level, profile["stages"].get(definition.anchor), events)
            if reached is not None:
                profile["activations"][name] = reached
    for name, stage in definitions.stages.items():
        activation = (stage.activation or {}).get(level)
        if activation in profile["activations"]:
            profile["stages"][name] = profile["activations"][activation][1]
    touches: list[tuple[int, Touch]] = [(event.time, event.touch) for event in events if event.touch is not None]
    if touches:
        touches.sort(key=lambda touch: (touch[0], sorted(touch[1].items())))
        published.touches[level, subject] = touches
        published.touch_events[level, subject] = [event for event in events if event.touch is not None]
        profile["first_touch_at"], profile["first_touch"] = touches[0]
    profile["segments"] = _segments(definitions, events, profile["first_touch"])
    (published.developers if level == "developer" else published.companies)[subject] = profile
    return profile


def _segments(definitions: Definitions, events: list[Event], first_touch: Touch) -> dict[str, str]:
    """The value of each segment: of the first touch, or of the first or the last event that has one."""
    found = {}
    for name, segment in definitions.segments.items():
        if segment.first_touch:
            value = first_touch.get(segment.first_touch, "")
        elif segment.take == "first":
            value = min(
                ((event.time, event.segments[name]) for event in events if name in event.segments), default=(0, "")
            )[1]
        else:
            value = max(
                ((event.latest, event.segments[name]) for event in events if name in event.segments), default=(0, "")
            )[1]
        if value:
            found[name] = value
    return found


def _counted_in(definitions: Definitions, segments: dict[str, str]) -> list[tuple[str, str]]:
    """The (segment, value) in which rolling counts count a subject, all subjects first."""
    named = [
        (name, value if value in definitions.segments[name].values else "other")
        for name, value in segments.items()
        if definitions.segments[name].values
    ]
    return [("", ""), *named]


def _activation(
    definition: Activation, level: Level, anchor: int | None, events: list[Event]
) -> tuple[int, int] | None:
    """(anchor, activated_at) in ms, if the subject is activated."""
    if level not in definition.levels or anchor is None:
        return None
    moments = [_moment(condition, events) for condition in definition.all]
    if None in moments:
        return None
    activated_at = max([anchor, *(moment for moment in moments if moment is not None)])
    if definition.span_days is not None and activated_at - anchor > definition.span_days * DAY:
        return None
    return anchor, activated_at


def _moment(condition: Condition, events: list[Event]) -> int | None:
    """The time of the event with which the condition comes to hold."""
    selector = condition.count or condition.distinct_days
    earliest: dict[tuple[str, str, str], int] = {}
    for event in events:
        if selector in event.matched:
            earliest[event.identity] = min(event.time, earliest.get(event.identity, event.time))
    times = sorted(earliest.values())
    if condition.distinct_days:
        first_of_day: dict[int, int] = {}
        for time in times:
            first_of_day.setdefault(time // DAY, time)
        times = list(first_of_day.values())
    return times[condition.at_least - 1] if len(times) >= condition.at_least else None


def _rolling(published: Published, definitions: Definitions, of_tokens: dict[str, dict[str, str]]) -> None:
    """The differences of every rolling count: per metric and level, the hours in which each subject counts."""
    segments = {
        "token": of_tokens,
        "developer": {subject: profile["segments"] for subject, profile in published.developers.items()},
        "company": {subject: profile["segments"] for subject, profile in published.companies.items()},
    }
    hours: dict[tuple[str, str], dict[tuple[str, str], set[int]]] = defaultdict(lambda: defaultdict(set))
    for level, subject, environment, hour_start in published.activity:
        if environment == "production":
            # Whose tokens they are is another question: a token itself is counted at the level of developers.
            place = {
                "token": ("active_tokens", "developer"),
                "developer": ("active_developers", "developer"),
                "company": ("active_companies", "company"),
            }[level]
            hours[place][level, subject].add(hour_start)
    for level, profiles in (("developer", published.developers), ("company", published.companies)):
        for subject, profile in profiles.items():
            if profile["is_internal"]:
                continue
            for metric, moment in _moments(definitions, level, profile).items():
                hours[metric, level][level, subject].add(-(-moment // HOUR) * HOUR - HOUR)

    deltas: Counter[tuple[tuple[str, str], str, str, int, int]] = Counter()
    for (metric, level), hours_by_subject in hours.items():
        for (kind, subject), starts in hours_by_subject.items():
            for segment in _counted_in(definitions, segments[kind].get(subject, {})):
                for window in WINDOWS:
                    for hour, change in _steps(sorted(starts), window):
                        deltas[segment, metric, level, window, hour] += change
    for (segment, *key), delta in deltas.items():
        if delta and segment == ("", ""):
            published.rolling[tuple(key)] = delta  # type: ignore[index]
        elif delta:
            published.rolling_by_segment[(*segment, *key)] = delta  # type: ignore[index]


def _moments(definitions: Definitions, level: str, profile: Profile) -> dict[str, int]:
    """The moments of a subject that rolling counts count, by metric."""
    moments = {f"activated:{name}": at for name, (_, at) in profile["activations"].items()}
    if "signup" in profile["stages"]:
        moments["signups"] = profile["stages"]["signup"]
    for name, definition in definitions.activations.items():
        anchor = profile["stages"].get(definition.anchor)
        if level in definition.levels and definition.span_days is not None and anchor is not None:
            moments[f"matured:{name}"] = anchor + definition.span_days * DAY
            if name in profile["activations"]:
                moments[f"matured_activated:{name}"] = anchor + definition.span_days * DAY
    return moments


def _steps(starts: list[int], window: int) -> Iterator[tuple[int, int]]:
    """How a subject active in the hours from these starts comes into a window and falls out of it, as (hour, change)."""
    # An event in the hour from `start` lies in the windows that end from one to `window` hours later.
    until = None
    for start in starts:
        if until is None or start + HOUR > until:
            if until is not None:
                yield until, -1
            yield start + HOUR, 1
        until = start + HOUR + window * HOUR
    if until is not None:
        yield until, -1
