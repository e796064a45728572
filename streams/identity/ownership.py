"""Who owns the history of a session token or an anonymous id: several people may share it, one after the other.

An event belongs to the user of the latest link at or before it, or of the earliest link if all are later. So a late link
moves past events to their owner, without a time limit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from schemas.config.definitions import Limits
from streams.facts.hours import day_of
from streams.messages.updates import Link

#: The earliest time (ms) per user and UTC day.
Links = dict[str, dict[int, int]]

#: The owner of an event that no link leads from: no user id is empty.
VISITOR: Final = ""


def join_links(links: Links, evidence: Iterable[Link]) -> Links:
    """The links with more evidence; `links` itself if nothing is new."""
    joined = links
    for time, user in evidence:
        day = day_of(time)
        known = joined.get(user, {}).get(day)
        if known is None or time < known:
            if joined is links:
                joined = {user: dict(days) for user, days in links.items()}
            joined.setdefault(user, {})[day] = time
    return joined


def is_crowded(limits: Limits, links: Links) -> bool:
    """Whether so many users share an alias, or on so many days, that it leads to no one."""
    return len(links) > limits.web_alias_users or sum(map(len, links.values())) > limits.web_alias_links


def ownership_intervals(links: Links) -> list[Link]:
    """(start, owner) of each interval, ascending. The first one also holds for all time before its start."""
    points = sorted((time, user) for user, days in links.items() for time in days.values())
    last_of_instant = [p for i, p in enumerate(points) if i + 1 == len(points) or points[i + 1][0] > p[0]]
    found: list[Link] = []
    for i, (time, user) in enumerate(last_of_instant):
        if i == 0 and points[0][1] != user:
            found.append(points[0])
        if not found or found[-1][1] != user:
            found.append((time, user))
    return found


def owner_at(intervals: Sequence[Link], time: int) -> str:
    """The user that an event at `time` belongs to; VISITOR if there is no interval."""
    if not intervals:
        return VISITOR
    at = bisect_right(intervals, time, key=lambda link: link[0])
    return intervals[at - 1 if at else 0][1]
