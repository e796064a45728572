"""Everything that is published, computed from a list of records in one go."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple

from schemas.definitions import Activation, Condition, Definitions
from tests.reference.erasure import Erasure, void_events
from tests.reference.events import DAY, HOUR, Event, Record, Rejection, read, without_copies
from tests.reference.identity import Identities
from tests.reference.published import WINDOWS, Profile, Published, Resolved, Touch

Level = Literal["developer", "company"]
WEB_ALIASES = ("session_token", "anonymous_id")


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
    for outcome in read(records, definitions, secrets[0], void_events(erasures, definitions, secrets[0])):
        if isinstance(outcome, Rejection):
            published.rejected.append(outcome)
        else:
            found.append(outcome)
    rows = without_copies(found, by=lambda event: event.content)
    events = without_copies(rows, by=lambda event: event.meaning)
    identities = Identities(events, definitions.limits)
    published.identities = identities.rows()

    automated = _automated_aliases(events, definitions.limits.web_alias_events) | identities.crowded
    for row in sorted(rows, key=lambda row: (row.time, row.content)):
        resolved = Resolved(identities.developer(row), identities.company(row), row.time)
        published.events.setdefault(row.identity, resolved)
        published.event_rows.add((*row.identity, *resolved))
    counted = [
        _Counted(event, identities.developer(event), identities.company(event))
        for event in events
        if event.matters and event.alias not in automated
    ]

    own_developers = {one.developer for one in counted if one.event.is_internal}
    own_companies = set(definitions.internal.company_ids)
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
    for kind, alias in automated:
        if not identities.is_linked(kind, alias):
            profile = _no_profile("visitor")
            profile["is_bot"] = True
            published.developers[f"{kind}:{alias}"] = profile

    for event, developer, company in counted:
        if developer in own_developers or definitions.usage not in event.matched or not event.api_key:
            continue
        hour_start = -(-event.time // HOUR) * HOUR - HOUR
        published.activity.add(("token", event.api_key, event.environment, hour_start))
        if not _is_visitor(developer):
            published.activity.add(("developer", developer, event.environment, hour_start))
        if company and company not in own_companies:
            published.activity.add(("company", company, event.environment, hour_start))
    published.rolling = _rolling(published)
    return published


def _automated_aliases(events: list[Event], limit: int) -> set[tuple[str, str]]:
    """The web aliases with more events that matter than a person has."""
    ids = defaultdict(set)
    for event in events:
        if event.matters and event.alias[0] in WEB_ALIASES:
            ids[event.alias].add(event.message_id)
    return {alias for alias, message_ids in ids.items() if len(message_ids) > limit}


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
        is_internal=False,
        is_bot=False,
    )


def _profile(
    published: Published, definitions: Definitions, level: Level, subject: str, events: list[Event], is_internal: bool
) -> Profile:
    """The profile of a subject from its events; it is published if any of them is more than a mark of being internal."""
    profile = _no_profile("company")
    profile["is_internal"] = is_internal
    seen = [event for event in events if event.matched or event.touch is not None]
    if not seen:
        return profile
    profile["first_seen"] = min(event.time for event in seen)
    profile["last_active"] = max(event.latest for event in seen)
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
        profile["first_touch_at"], profile["first_touch"] = touches[0]
    (published.developers if level == "developer" else published.companies)[subject] = profile
    return profile


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


def _rolling(published: Published) -> dict[tuple[str, str, int, int], int]:
    """The differences of every rolling count: per metric and level, the hours in which each subject counts."""
    hours: dict[tuple[str, str], dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for level, subject, environment, hour_start in published.activity:
        if environment == "production":
            # Whose tokens they are is another question: a token itself is counted at the level of developers.
            place = {
                "token": ("active_tokens", "developer"),
                "developer": ("active_developers", "developer"),
                "company": ("active_companies", "company"),
            }[level]
            hours[place][subject].add(hour_start)
    for level, profiles in (("developer", published.developers), ("company", published.companies)):
        for subject, profile in profiles.items():
            if profile["is_internal"]:
                continue
            moments = {f"activated:{name}": at for name, (_, at) in profile["activations"].items()}
            if "signup" in profile["stages"]:
                moments["signups"] = profile["stages"]["signup"]
            for metric, moment in moments.items():
                hours[metric, level][subject].add(-(-moment // HOUR) * HOUR - HOUR)

    deltas: Counter[tuple[str, str, int, int]] = Counter()
    for (metric, level), hours_by_subject in hours.items():
        for starts in hours_by_subject.values():
            for window in WINDOWS:
                # An event in the hour from `start` lies in the windows that end from one to `window` hours later.
                until = None
                for start in sorted(starts):
                    if until is None or start + HOUR > until:
                        if until is not None:
                            deltas[metric, level, window, until] -= 1
                        deltas[metric, level, window, start + HOUR] += 1
                    until = start + HOUR + window * HOUR
                if until is not None:
                    deltas[metric, level, window, until] -= 1
    return {key: delta for key, delta in deltas.items() if delta}
