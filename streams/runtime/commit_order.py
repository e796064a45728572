"""The order in which the effects of a batch become durable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, cast

import msgspec
from faust.tables.manager import TableManager
from faust.types import TP
from faust.types import Message as KafkaMessage

from schemas import metrics
from streams import topology
from streams.messages.outbox import Message
from streams.processors import Change, Outcome
from streams.runtime.batch import Batch
from streams.runtime.faust_app import StreamsApp
from streams.runtime.fencing import WriterFence, header
from streams.runtime.lease import Lease
from streams.runtime.producer import AcknowledgedProducer
from streams.runtime.state_store import PartitionRows, RowTable


class _DeadLetter(msgspec.Struct):
    """The field of a dead letter that is counted."""

    reason: str


_decode_dead_letter: Final = msgspec.json.Decoder(_DeadLetter).decode


class CommitOrder:
    """Makes batches durable. Each step begins when the brokers have acknowledged the step before it.

    1. `write_intent`: the offset at which the batch ends goes to the changelog, then to RocksDB. After a crash the next worker folds exactly
       this batch again, from the same rows, and emits the same messages. In a longer batch a later event may undo an
       earlier effect. It would emit no message for it, although one was sent before the crash.
    2. `send_messages`: the messages go to their topics. They precede the changes, so the state never holds an effect that
       was not published.
    3. `write_changes`: the changed rows go to the changelog, then to RocksDB, in the order of the outcome: rolling counts,
       contributions, the owner's row. Folding the batch again completes a part that was written.
    4. `acknowledge`: the offsets of the batch may be committed. Before this step Kafka delivers the batch again.

    Every step is idempotent, so a crash at any point changes no number. A batch without messages needs no intent: its
    changes alone are safe to write again. A batch of input events has no state: steps 2 and 4 are all it needs.
    """

    def __init__(
        self, app: StreamsApp, producer: AcknowledgedProducer, lease: Lease, topic_name: Callable[[str], str]
    ) -> None:
        """`topic_name`: the name in Kafka of a topic of `streams.topology`."""
        self._app = app
        self._producer = producer
        self._lease = lease
        self._topic_name = topic_name
        self._fence = WriterFence()
        #: By changelog: the consumer group's generation in which the rows were restored that a late worker overwrote (fencing.py).
        self._restored: dict[TP, int] = {}

    async def make_durable(self, table: RowTable, tp: TP, outcome: Outcome) -> None:
        """Steps 1 to 3 for the outcome of a batch, or of a part of one."""
        if outcome.messages:
            await self.write_intent(table, tp, outcome)
            await self.send_messages(outcome.messages)
            self._count_step(tp)
        if outcome.changes:
            await self.write_changes(table, tp, outcome)

    async def write_intent(self, table: RowTable, tp: TP, outcome: Outcome) -> None:
        """Step 1. Raises FencedError if another worker writes to the changelog, DeploymentError if the brokers refuse."""
        await self._write_rows(table, tp, outcome.intent, outcome.end)

    async def send_messages(self, messages: Sequence[Message]) -> None:
        """Step 2. Raises FencedError, DeploymentError."""
        if not messages:
            return
        self._lease.check()
        for message in messages:
            await self._producer.send(self._topic_name(message.topic), message.key, message.value)
        await self._producer.acknowledged()
        for message in messages:
            if message.topic == topology.DEAD_LETTERS and message.value is not None:
                metrics.DEAD_LETTERS.labels(_decode_dead_letter(message.value).reason).inc()

    async def write_changes(self, table: RowTable, tp: TP, outcome: Outcome) -> None:
        """Step 3. Raises FencedError, DeploymentError, StateError."""
        await self._write_rows(table, tp, outcome.changes, outcome.end)

    def acknowledge(self, batches: Iterable[tuple[Batch, KafkaMessage]], tp: TP) -> None:
        """Step 4, for the batches of a partition whose effects are durable."""
        consumer = self._app.reader
        assert consumer is not None, "a batch comes from the consumer"
        for batch, message in batches:
            consumer.mark_processed(batch, message)
        consumer.steps[tp] += 1

    async def _write_rows(self, table: RowTable, tp: TP, changes: Sequence[Change], version: int) -> None:
        """Write to the changelog, and once the brokers have acknowledged it, to the local rows.

        The fence checks the acknowledged offsets before the local write. The offset of the local rows would else cover records
        of another worker, which a recovery then skips.
        """
        self._lease.check()
        changelog, rows = table.changelog(tp.partition), table.store.partition(tp.partition)
        overwritten = self._take_overwritten(changelog, rows)
        headers = header(version)
        # Drops what a cancelled batch left behind.
        self._producer.take_written(changelog.topic, changelog.partition)
        for key, value in [*((key, rows.get(key)) for key in overwritten), *changes]:
            await self._producer.send(changelog.topic, key, value, changelog.partition, headers)
        await self._producer.acknowledged()
        written = self._producer.take_written(changelog.topic, changelog.partition)
        assert written is not None, "the changelog has just been acknowledged"
        # A changelog that was created after the group had formed is not among them: it was empty.
        recovered_to = cast("TableManager", self._app.tables).recovery.active_highwaters.get(changelog, -1)
        self._fence.follow(changelog.topic, changelog.partition, recovered_to, written)
        rows.write(changes, written.last, version)
        if overwritten:
            rows.clear_overwritten(overwritten)
        self._count_step(tp)

    def _take_overwritten(self, changelog: TP, rows: PartitionRows) -> list[bytes]:
        """The keys of rows that a late worker overwrote in the changelog; they are written again, once after each recovery.

        Marks them as restored before the write. A write that fails ends the worker, and the next one recovers them again.
        """
        generation = self._app.consumer_generation_id
        if self._restored.get(changelog) == generation:
            return []
        self._restored[changelog] = generation
        return rows.overwritten()

    def _count_step(self, tp: TP) -> None:
        """Show the watchdog that work on the partition goes on, also within a batch."""
        if self._app.reader is not None:
            self._app.reader.steps[tp] += 1
