"""An erasure on a running deployment, step by step. Each step may be repeated, so an interrupted erasure starts again.

suppress    events of the erased ids are refused; wait until all that was accepted before is in the state and in ClickHouse
drop        the state drops everything that holds a part of a suppressed event
refeed      it is fed the remaining events again
prune       it removes the empty rest of erased subjects
rows        outdated rows are deleted from ClickHouse, and their keys from the compacted topics
events      suppressed events are deleted last, as all other steps can be planned again from them
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

import msgspec

from deploy.erasure import erasure_rows
from deploy.erasure.erasure_rows import ErasureRow, Extent, subject_of
from deploy.erasure.event_log import ArrivedEvents
from deploy.erasure.published_rows import TOPIC_OF, delete_published, published, purge, recount_usage
from deploy.erasure.publisher import ErasurePublisher
from deploy.erasure.statements import Statements
from deploy.erasure.suppressed_events import (
    NamedSuppression,
    count_events,
    count_touches,
    delete_displaced,
    delete_events,
    delete_touches,
    ids_of,
    named_suppressions,
)
from deploy.erasure.traces import ErasedId, count_traces, delete_alerts, delete_dead_letters, naming, naming_alerts
from deploy.services.pipeline_progress import PipelineProgress
from schemas.config.definitions import Definitions
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from schemas.event import Event
from streams.erasure.orders import drop_orders, prune_orders, refeed_messages
from streams.erasure.plan import Erasure, Request, plan_erasure
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.messages.updates import Alias
from streams.normalise.suppression_list import Suppression, SuppressionList
from streams.runtime.suppression_feed import FRESH_SECONDS
from streams.topology import ALERTS

#: Events of the erased that were on their way when it was planned may show more of their aliases.
ROUNDS: Final = 4
#: After so long a suppression holds for every batch that begins.
IN_FORCE_SECONDS: Final = FRESH_SECONDS + 1.0
REFED_TOGETHER: Final = 2_000
#: Sinks that had begun to count before the events were deleted may write their counts a little later.
CLEANINGS: Final = 5
CLEANING_SECONDS: Final = 2.0

#: Called at each step with what it does, for people.
Progress = Callable[[str], None]


class ErasureRun:
    """One request on one deployment. Methods raise DeploymentError, ClickHouseError, KafkaError and KafkaException."""

    def __init__(
        self,
        request: Request,
        settings: Settings,
        definitions: Definitions,
        secrets: Sequence[bytes],
        statements: Statements,
    ) -> None:
        self.request = request
        self._definitions = definitions
        self._secrets = [*settings.retired, *secrets]
        self._statements = statements
        self._events = ArrivedEvents(statements)
        self._publisher = ErasurePublisher(settings, self._secrets)
        #: The newest one makes the digests, as it stays configured for longest.
        self._secret = secrets[-1]
        self._subjects = [subject_of(request, secret) for secret in reversed(self._secrets)]

    def close(self) -> None:
        """Close the connection to the brokers."""
        self._publisher.close()

    def earlier(self) -> list[ErasureRow]:
        """The rows of this request, the latest last."""
        return [row for row in erasure_rows.read(self._statements) if row.subject in self._subjects]

    def unfinished(self) -> list[ErasureRow]:
        """Erasures of others that are not completed."""
        rows = erasure_rows.read(self._statements)
        return [row for row in rows if not row.completed_at and row.subject not in self._subjects]

    def plan(self) -> Erasure:
        """What is to be erased, by the events that are in ClickHouse."""
        return plan_erasure(self.request, self._events, self._secret, self._definitions.limits)

    def extent(self, erasure: Erasure) -> Extent:
        """How much a plan erases."""
        suppressions = self._named(erasure, SuppressionList(self._secrets, erasure.suppressions))
        named = ids_of(suppressions)
        users = {identifier for kind, identifier in named if kind == "user_id"}
        # A merged user id is linked as a device too, but seldom is one.
        kinds = Counter(kind for kind, identifier in named if kind == "user_id" or identifier not in users)
        return Extent(
            count_events(self._statements, self.request.level, suppressions),
            kinds["user_id"],
            kinds["session_token"] + kinds["lone_session"] + kinds["anonymous_id"],
            kinds["api_key"] + kinds["company_key"],
        )

    def erase(self, erasure: Erasure, pipeline: PipelineProgress, progress: Progress) -> ErasureRow:
        """Erase, and wait until it is done. Raises DeploymentError if anything is left in the end."""
        row = self._begin(erasure)
        progress("Suppressing: its events are refused from now on")
        erasure = self._suppress(erasure, pipeline)
        progress("Dropping state")
        self._publisher.send(drop_orders(erasure))
        pipeline.await_all()
        progress("Feeding the remaining events again")
        alive = self._refeed(erasure)
        pipeline.await_all()
        self._publisher.send(prune_orders(erasure))
        pipeline.await_all()
        suppressions = self._named(erasure, self._publisher.published())
        erased: set[ErasedId] = ids_of(suppressions)
        progress("Deleting published rows")
        delete_dead_letters(self._statements, erased, alive)
        self._delete_rows(erasure, erased)
        self._delete_alerts(erased)
        progress("Deleting events")
        delete_touches(self._statements, suppressions)
        delete_events(self._statements, self.request.level, suppressions)
        self._clean(erasure, suppressions)
        purge(self._statements)
        row = replace(row, completed_at=_now())
        erasure_rows.write(self._statements, row)
        return row

    def _begin(self, erasure: Erasure) -> ErasureRow:
        """Write that it has begun; one that was interrupted goes on."""
        interrupted = [row for row in self.earlier() if not row.completed_at]
        row = ErasureRow(self._subjects[0], self.request.level, self.request.at, 0, self.extent(erasure))
        if interrupted:
            # Under its own digest: the secret may have changed since.
            row = replace(interrupted[-1], extent=row.extent.at_least(interrupted[-1].extent))
        erasure_rows.write(self._statements, row)
        return row

    def _suppress(self, erasure: Erasure, pipeline: PipelineProgress) -> Erasure:
        """Publish suppressions until no event that was accepted without them shows that there are more."""
        until = max(until for each in erasure.suppressions for _, until in each.periods)
        for _ in range(ROUNDS):
            self._publisher.suppress(_up_to(erasure.suppressions, until))
            time.sleep(IN_FORCE_SECONDS)
            pipeline.await_all()
            known = _up_to(erasure.suppressions, until)
            erasure = self.plan()
            if all(each in known for each in _up_to(erasure.suppressions, until)):
                break
        return erasure

    def _refeed(self, erasure: Erasure) -> set[ErasedId]:
        """Feed the remaining events again; returns the aliases of the erasure that they carry."""
        suppressed = self._publisher.published()
        compiled, alive = CompiledDefinitions(self._definitions), set[ErasedId]()
        events = self._events.carrying(erasure.users, erasure.aliases)
        remaining = (event for event in events if not suppressed.suppresses(event))
        while some := list(islice(remaining, REFED_TOGETHER)):
            self._publisher.send(refeed_messages(compiled, some))
            for event in some:
                alive.update(alias for alias in _aliases_of(event) if alias in erasure.aliases)
        return alive

    def _delete_rows(self, erasure: Erasure, erased: set[ErasedId]) -> None:
        """Delete outdated rows from ClickHouse, after their keys from the topics."""
        users = {("user_id", user) for user in erasure.users}
        named = naming(self._statements, erased)
        subjects = {
            "identity": users | erasure.aliases | named["identity"],
            "profile": {
                *(("developer", user) for _, user in users),
                *(("developer", f"{kind}:{alias}") for kind, alias in erasure.aliases),
                *(("company", company) for company in erasure.companies),
                *named["profile"],
            },
            "activity": {
                *(("developer", user) for _, user in users),
                *(("token", alias) for kind, alias in erasure.aliases if kind == "api_key"),
                *(("company", company) for company in erasure.companies),
            },
        }
        for table, topic in TOPIC_OF.items():
            found = published(self._statements, table, sorted(subjects[table]))
            self._publisher.delete_keys(topic, found.gone)
            delete_published(self._statements, table, found.bounds)

    def _clean(self, erasure: Erasure, suppressions: Sequence[NamedSuppression]) -> None:
        """Delete what follows from suppressed events in ClickHouse, until nothing of it is left."""
        users: set[Alias] = {("user_id", user) for user in erasure.users}
        aliases = sorted(users | erasure.aliases)
        erased: set[ErasedId] = ids_of(suppressions)
        left: Counter[str] = Counter()
        for cleaning in range(CLEANINGS):
            if cleaning:
                time.sleep(CLEANING_SECONDS)
            delete_displaced(self._statements, aliases)
            delete_touches(self._statements, suppressions)
            recount_usage(self._statements, aliases)
            # Those too that were raised while the rows were deleted.
            self._delete_alerts(erased)
            left = count_traces(self._statements, erased)
            left["event_rows"] += count_events(self._statements, self.request.level, suppressions)
            left["touch_rows"] += count_touches(self._statements, suppressions)
            left = +left
            if not left:
                return
        found = ", ".join(f"{count:,} in {table}" for table, count in sorted(left.items()))
        raise DeploymentError(f"rows are left that should not be: {found}. Give the same command again")

    def _named(self, erasure: Erasure, suppressions: SuppressionList) -> list[NamedSuppression]:
        return named_suppressions(self.request, erasure, suppressions, self._events)

    def _delete_alerts(self, erased: set[ErasedId]) -> None:
        """Delete alerts that name the erased, after their keys from the topic."""
        alert_ids = naming_alerts(self._statements, erased)
        self._publisher.delete_keys(ALERTS, alert_ids)
        delete_alerts(self._statements, erased, alert_ids)


def _up_to(suppressions: Iterable[Suppression], until: int) -> list[Suppression]:
    """The suppressions before a moment: what comes later, while an erasure is running, is a new life of the id."""
    cut = [
        msgspec.structs.replace(
            each, periods=[(since, min(end, until)) for since, end in each.periods if since < until]
        )
        for each in suppressions
    ]
    return [each for each in cut if each.periods]


def _aliases_of(event: Event) -> list[Alias]:
    return [
        ("api_key", event.api_key),
        ("session_token", event.session_token),
        ("anonymous_id", event.anonymous_id),
        ("anonymous_id", event.merged_id),
    ]


def _now() -> int:
    return int(time.time() * 1000)
