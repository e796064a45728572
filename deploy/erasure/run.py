"""An erasure on a running deployment, step by step. Each step may be done again, so an interrupted one is just begun anew.

marks       nothing void is taken in any more; wait until all that was taken in before is in the state and in ClickHouse
forget      the state drops whatever holds anything of void events
retell      it hears again what the remaining events say
tidy        it drops what only remembers that someone has gone
rows        outdated rows go from ClickHouse, and their keys from the compacted topics
events      void events go, last of all: by them, all this can be found out again
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec

from deploy.erasure.erased_events import (
    NamedPeriod,
    count_void,
    count_void_touches,
    delete_displaced,
    delete_void,
    delete_void_touches,
    named_periods,
)
from deploy.erasure.event_log import ArrivedEvents
from deploy.erasure.flow import Flow
from deploy.erasure.published_rows import TOPIC_OF, delete_published, published, purge, recount_usage
from deploy.erasure.record import Extent, Record, records, subject_of, write
from deploy.erasure.remains import (
    Marked,
    delete_alerts,
    delete_dead_letters,
    naming,
    naming_alerts,
    what_is_left,
)
from deploy.erasure.statements import Statements
from schemas.config.definitions import Definitions
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from schemas.event import Event
from streams.erasure.orders import drop_orders, prune_orders, refeed_messages
from streams.erasure.plan import Alias, Erasure, Request, plan_erasure
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.messages.outbox import Message
from streams.normalise.suppression_list import Suppression, SuppressionList
from streams.runtime.producer import AcknowledgedProducer
from streams.runtime.suppression_feed import FRESH_SECONDS, SuppressionFeed, message_of
from streams.topology import ALERTS, ERASURES

#: Events of whoever is erased that were on their way when it was planned may show more of what is theirs.
ROUNDS: Final = 4
#: From when on every batch that begins goes by a mark.
IN_FORCE_SECONDS: Final = FRESH_SECONDS + 1.0
RETOLD_TOGETHER: Final = 2_000
#: What sinks had begun to count before the events were deleted is written for a while after.
CLEANINGS: Final = 5
CLEANING_SECONDS: Final = 2.0

#: Called at each step with what it does, for people.
Tell = Callable[[str], None]


class Erasing:
    """One request on one deployment. Methods raise DeploymentError, ClickHouseError, KafkaError and KafkaException."""

    def __init__(
        self,
        request: Request,
        settings: Settings,
        meaning: Definitions,
        secrets: Sequence[bytes],
        statements: Statements,
    ) -> None:
        self.request = request
        self._settings = settings
        self._meaning = meaning
        self._secrets = [*settings.retired, *secrets]
        self._statements = statements
        self._events = ArrivedEvents(statements)
        self._options = {"bootstrap.servers": settings.brokers, **settings.kafka_options.for_librdkafka()}
        self._feed = SuppressionFeed(SuppressionList(self._secrets), settings.topic(ERASURES), self._options)
        #: The newest one, which will be known for longest, makes the marks.
        self._secret = secrets[-1]
        self._subjects = [subject_of(request, secret) for secret in reversed(self._secrets)]

    def close(self) -> None:
        """Leave the brokers."""
        self._feed.close()

    def earlier(self) -> list[Record]:
        """What is recorded of this request, the latest last."""
        return [record for record in records(self._statements) if record.subject in self._subjects]

    def unfinished(self) -> list[Record]:
        """Erasures of others that are not completed."""
        return [
            record
            for record in records(self._statements)
            if not record.completed_at and record.subject not in self._subjects
        ]

    def compiled(self) -> Erasure:
        """What is to be done by the events that are in ClickHouse."""
        return plan_erasure(self.request, self._events, self._secret, self._meaning.limits)

    def extent(self, erasure: Erasure) -> Extent:
        """How much that is."""
        periods = self._periods(erasure, SuppressionList(self._secrets, erasure.suppressions))
        ids = {(kind, identifier) for kind, identifier, _, _ in periods}
        kinds = [kind for kind, _ in ids]
        return Extent(
            count_void(self._statements, periods),
            kinds.count("user_id"),
            kinds.count("session_token") + kinds.count("anonymous_id"),
            kinds.count("api_key") + kinds.count("company_key"),
        )

    def erase(self, erasure: Erasure, flow: Flow, tell: Tell) -> Record:
        """Do it, and wait until it is done. Raises DeploymentError if anything is left in the end."""
        record = self._begin(erasure)
        tell("Marking, so that nothing of it is taken in any more")
        erasure = self._mark(erasure, flow)
        tell("Forgetting")
        self._send(drop_orders(erasure))
        flow.settle()
        tell("Hearing again what remains")
        alive = self._retell(erasure)
        flow.settle()
        self._send(prune_orders(erasure))
        flow.settle()
        self._feed.refresh()
        periods = self._periods(erasure, self._feed.marks)
        erased = {(kind, identifier) for kind, identifier, _, _ in periods}
        tell("Deleting published rows")
        delete_dead_letters(self._statements, erased, alive)
        self._delete_rows(erasure, erased)
        self._delete_alerts(erased)
        tell("Deleting events")
        delete_void_touches(self._statements, periods)
        delete_void(self._statements, self.request.level, periods)
        self._clean(erasure, periods)
        purge(self._statements)
        record = Record(record.subject, record.level, record.asked_at, _now(), record.extent)
        write(self._statements, record)
        return record

    def _begin(self, erasure: Erasure) -> Record:
        """Record that it has begun; one that was interrupted goes on."""
        interrupted = [record for record in self.earlier() if not record.completed_at]
        record = Record(self._subjects[0], self.request.level, self.request.at, 0, self.extent(erasure))
        if interrupted:
            extent = record.extent.at_least(interrupted[-1].extent)
            # Under its own digest: the secret may have changed since.
            record = Record(interrupted[-1].subject, record.level, interrupted[-1].asked_at, 0, extent)
        write(self._statements, record)
        return record

    def _mark(self, erasure: Erasure, flow: Flow) -> Erasure:
        """Publish marks until nothing that was taken in without them shows that there are more."""
        until = max(until for mark in erasure.suppressions for _, until in mark.periods)
        for _ in range(ROUNDS):
            self._publish(_up_to(erasure.suppressions, until))
            time.sleep(IN_FORCE_SECONDS)
            flow.settle()
            known = {(mark.kind, mark.digest) for mark in erasure.suppressions}
            erasure = self.compiled()
            if {(mark.kind, mark.digest) for mark in _up_to(erasure.suppressions, until)} <= known:
                break
        return erasure

    def _publish(self, marks: Iterable[Suppression]) -> None:
        """Add marks to those that are there. One of an id replaces what was known of it, so it repeats that."""
        self._feed.refresh()
        told = SuppressionList(self._secrets, self._feed.marks.suppressions())
        for mark in marks:
            told.add(mark)
        changed = {(mark.kind, mark.digest) for mark in marks}
        self._send([message_of(mark) for mark in told.suppressions() if (mark.kind, mark.digest) in changed])

    def _retell(self, erasure: Erasure) -> set[Marked]:
        """Say again what the remaining events say; returns the identifiers of the erasure that stand on them."""
        self._feed.refresh()
        compiled, alive = CompiledDefinitions(self._meaning), set[Marked]()
        remaining = self._remaining(erasure)
        while some := list(islice(remaining, RETOLD_TOGETHER)):
            self._send(refeed_messages(compiled, some))
            for event in some:
                alive.update(alias for alias in _aliases_of(event) if alias in erasure.aliases)
        return alive

    def _remaining(self, erasure: Erasure) -> Iterator[Event]:
        events = self._events.carrying(erasure.users, erasure.aliases)
        return (event for event in events if not self._feed.marks.suppresses(event))

    def _delete_rows(self, erasure: Erasure, erased: set[Marked]) -> None:
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
            self._forget_keys(topic, found.gone)
            delete_published(self._statements, table, found)

    def _clean(self, erasure: Erasure, periods: Sequence[NamedPeriod]) -> None:
        """Delete what follows from void events in ClickHouse, until nothing of it is there."""
        users: set[Alias] = {("user_id", user) for user in erasure.users}
        aliases = sorted(users | erasure.aliases)
        erased = {(kind, identifier) for kind, identifier, _, _ in periods}
        left: Counter[str] = Counter()
        for cleaning in range(CLEANINGS):
            if cleaning:
                time.sleep(CLEANING_SECONDS)
            delete_displaced(self._statements, aliases)
            delete_void_touches(self._statements, periods)
            recount_usage(self._statements, aliases)
            # Those too that were found while the rows went.
            self._delete_alerts(erased)
            left = what_is_left(self._statements, erased)
            if void := count_void(self._statements, periods):
                left["event_rows"] = void
            if void := count_void_touches(self._statements, periods):
                left["touch_rows"] = void
            if not left:
                return
        found = ", ".join(f"{count:,} in {table}" for table, count in sorted(left.items()))
        raise DeploymentError(f"rows are left that should not be: {found}. Give the same command again")

    def _delete_alerts(self, erased: set[Marked]) -> None:
        """Delete alerts that name the erased, after their keys from the topic."""
        alert_ids = naming_alerts(self._statements, erased)
        self._forget_keys(ALERTS, alert_ids)
        delete_alerts(self._statements, erased, alert_ids)

    def _periods(self, erasure: Erasure, marks: SuppressionList) -> list[NamedPeriod]:
        return named_periods(self.request, erasure, marks)

    def _send(self, messages: Iterable[Message]) -> None:
        self._send_values((message.topic, message.key, message.value) for message in messages)

    def _forget_keys(self, topic: str, keys: Iterable[str]) -> None:
        self._send_values((topic, key.encode(), None) for key in keys)

    def _send_values(self, values: Iterable[tuple[str, bytes, bytes | None]]) -> None:
        """Put (topic, key, value) on their topics, and wait until the brokers have them. No value: the key is forgotten."""

        async def send() -> None:
            delivery = AcknowledgedProducer(self._options)
            for topic, key, value in values:
                await delivery.send(self._settings.topic(topic), key, value)
            await delivery.acknowledged()

        asyncio.run(send())


def _up_to(marks: Iterable[Suppression], until: int) -> list[Suppression]:
    """The marks before a moment: what comes later, while an erasure is at work, starts anew."""
    cut = [
        msgspec.structs.replace(
            mark, periods=[(since, min(end, until)) for since, end in mark.periods if since < until]
        )
        for mark in marks
    ]
    return [mark for mark in cut if mark.periods]


def _aliases_of(event: Event) -> list[Alias]:
    return [
        ("api_key", event.api_key),
        ("session_token", event.session_token),
        ("anonymous_id", event.anonymous_id),
    ]


def _now() -> int:
    return int(time.time() * 1000)
