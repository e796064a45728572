"""Who stands behind an alias: the links that events carry, and the rules that follow them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from schemas.config.definitions import Limits
from tests.support.reference.events import DAY, Event

#: (alias_kind, alias, level, parent, from_time in ms; 0: holds for all time)
IdentityRow = tuple[str, str, str, str, int]


class Identities:
    """All links of a set of events. Bots' and internal events link like any other.

    Where the earliest link counts it is the earliest of an event's copies, where the latest counts the latest.
    """

    def __init__(self, events: Iterable[Event], limits: Limits) -> None:
        earliest: dict[tuple[str, str], dict[tuple[str, int], int]] = {}
        self.key_owner: dict[str, tuple[int, str]] = {}
        self.key_company: dict[str, tuple[int, str]] = {}
        self.company_by_user: dict[str, tuple[int, str]] = {}
        self.pointers: dict[str, tuple[int, str]] = {}
        self.users: set[str] = set()
        #: Per session token the device that it belongs to: the earliest (time, anonymous id).
        self.device_of: dict[str, tuple[int, str]] = {}
        #: Session tokens of events that name neither a user nor a device.
        self.lone: set[str] = set()
        for event in events:
            time, user, company, key = event.time, event.user_id, event.company_id, event.api_key
            session, device = event.session_token, event.anonymous_id
            if session and device:
                self.device_of[session] = min((time, device), self.device_of.get(session, (time, device)))
            if session and not device and not user:
                self.lone.add(session)
            if user:
                self.users.add(user)
                # The previous id of an alias call may be a user's or a device's.
                for alias in (
                    ("session_token", session),
                    ("anonymous_id", device),
                    ("anonymous_id", event.merged_id),
                ):
                    if alias[1]:
                        links = earliest.setdefault(alias, {})
                        of_day = (user, time // DAY)
                        links[of_day] = min(time, links.get(of_day, time))
            if user and key:
                self.key_owner[key] = min((time, user), self.key_owner.get(key, (time, user)))
            if company and key:
                self.key_company[key] = min((time, company), self.key_company.get(key, (time, company)))
            if user and company:
                found = (event.latest, company)
                self.company_by_user[user] = max(found, self.company_by_user.get(user, found))
            if event.merged_id:
                self.users.add(event.merged_id)
                found = (event.latest, user)
                self.pointers[event.merged_id] = max(found, self.pointers.get(event.merged_id, found))
        #: Web aliases that so many users share, or on so many days, that they stand for no one.
        self.crowded = {
            alias
            for alias, links in earliest.items()
            if len({user for user, _ in links}) > limits.web_alias_users or len(links) > limits.web_alias_links
        }
        #: Per web alias its links (time, user), ascending.
        self.links = {
            alias: sorted((time, user) for (user, _), time in links.items())
            for alias, links in earliest.items()
            if alias not in self.crowded
        }
        self._canonical: dict[str, str] = {}
        companies: dict[str, tuple[int, str]] = {}
        for user, evidence in self.company_by_user.items():
            developer = self.canonical(user)
            companies[developer] = max(evidence, companies.get(developer, evidence))
        self._company_by_developer = {developer: company for developer, (_, company) in companies.items()}

    def canonical(self, user: str) -> str:
        """The id at the end of the user's merges; the smallest id of a cycle; an id merged into itself is its own."""
        path: dict[str, None] = {}
        while user not in self._canonical:
            path[user] = None
            target = self.pointers.get(user, (0, user))[1]
            if target == user:
                self._canonical[user] = user
            elif target in path:
                ids = list(path)
                self._canonical[user] = min(ids[ids.index(target) :])
            else:
                user = target
        found = self._canonical[user]
        # All ids that lead into a cycle, or are in it, end at the same id.
        self._canonical.update(dict.fromkeys(path, found))
        return found

    def developer(self, event: Event) -> str:
        """The canonical developer of an event, or the visitor that it stands for."""
        user = event.user_id or self._user_behind(event)
        if user:
            return self.canonical(user)
        if device := self.device(event):
            return f"anonymous_id:{device}"
        if event.session_token:
            return f"session_token:{event.session_token}"
        return f"api_key:{event.api_key}"

    def device(self, event: Event) -> str:
        """The anonymous id of an event: its own, else its session's."""
        return event.anonymous_id or self.device_of.get(event.session_token, (0, ""))[1]

    def _user_behind(self, event: Event) -> str:
        """The user of the first identifier that leads to one; '' if none does."""
        if event.api_key in self.key_owner:
            return self.key_owner[event.api_key][1]
        for alias in (("session_token", event.session_token), ("anonymous_id", self.device(event))):
            links = self.links.get(alias)
            if links is not None:
                at_or_before = bisect_right(links, event.time, key=lambda link: link[0])
                return links[max(at_or_before - 1, 0)][1]
        return ""

    def is_linked(self, kind: str, alias: str) -> bool:
        """Whether any user is known behind a web alias."""
        return (kind, alias) in self.links

    def company_of_developer(self, developer: str) -> str:
        """The last company of all the ids that are this developer; of a visitor known by key, the key's."""
        kind, _, alias = developer.partition(":")
        if kind == "api_key" and alias in self.key_company:
            return self.key_company[alias][1]
        return self._company_by_developer.get(developer, "")

    def company(self, event: Event) -> str:
        """The company of an event: as stamped, else its key's, else its developer's, else ''."""
        if event.company_id:
            return event.company_id
        if event.api_key in self.key_company:
            return self.key_company[event.api_key][1]
        return self.company_of_developer(self.developer(event))

    def rows(self) -> set[IdentityRow]:
        """Every alias with what it leads to. The first point of a web alias also holds for the time before it."""
        rows: set[IdentityRow] = set()
        for (kind, alias), links in self.links.items():
            # The first link has the history; of several links at one time the last goes on.
            before = None
            for time, user in [links[0], *dict(links).items()]:
                if user != before:
                    rows.add((kind, alias, "developer", user, time))
                before = user
        for session, (time, device) in self.device_of.items():
            if session in self.lone:
                rows.add(("session_token", session, "device", device, time))
        for key, (time, user) in self.key_owner.items():
            rows.add(("api_key", key, "developer", user, time))
        for key, (time, company) in self.key_company.items():
            rows.add(("api_key", key, "company", company, time))
        for user in self.users:
            developer = self.canonical(user)
            if developer != user:
                rows.add(("user_id", user, "developer", developer, 0))
            if self.company_of_developer(developer):
                rows.add(("user_id", user, "company", self.company_of_developer(developer), 0))
        return rows
