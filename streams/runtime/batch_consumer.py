"""Faust's Kafka consumer, changed to deliver batches and to commit only what is processed.

- Faust passes every message through two asyncio tasks, which costs 100 µs. Here the records that one fetch brought for a
  partition travel as one Faust message, whose value is a `Batch`.
- Faust acknowledges what it skips during a rebalance, which would commit events that no processor has seen. Here an offset is
  committed only after `mark_processed`, and only without a hole before it.
- Batches that Faust drops on the way are found and read again: `streams.runtime.dropped_batches`, `streams.runtime.log_holes`.
- Of each partition one batch waits for its processor, and no more is fetched until that is accepted. So a busy processor
  holds up its own partitions only, and memory is bounded, however much was fetched.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import structlog
from faust.transport.drivers import aiokafka
from faust.types import TP, Message
from faust.types.tuples import ConsumerMessage

from streams.runtime.batch import Batch, batches
from streams.runtime.dropped_batches import DroppedBatches
from streams.runtime.log_holes import LogHoles
from streams.runtime.partition_progress import PartitionProgress

#: How soon partitions that had a batch waiting are tried again.
RETRY_SECONDS = 0.05

log = structlog.get_logger("firstcall.streams")


class BatchConsumer(aiokafka.Consumer):
    """Delivers `Batch`es. Set `batch_size` (records) before it starts.

    `assigned`: the partitions of this worker; None before the first assignment. `steps`: how often an effect of a partition
    became durable, also within a batch. Both may be read from any thread.
    """

    batch_size = 2_000

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("Any", self.app).reader = self
        self.assigned: frozenset[TP] | None = None
        self.steps: Counter[TP] = Counter()
        self._progress: dict[TP, PartitionProgress] = defaultdict(PartitionProgress)
        #: Messages (by id) that a processor has accepted and not released yet.
        self._accepted: set[int] = set()
        # `_read_offset` is Faust's: here the end of what was delivered.
        self._holes = LogHoles(self, self._progress, self._read_offset)
        self._dropped = DroppedBatches(self, self._holes, self._progress, self._read_offset)

    # What agents and the watchdog call.

    def accept(self, batch: Batch, message: Message) -> bool:
        """Whether a processor may process the batch: it is of this generation, and continues the last one.

        What precedes a hole is read again, and this batch after it.
        """
        progress = self._progress[batch.tp]
        expected = progress.expected
        if message.generation_id != self.app.consumer_generation_id or expected is None or batch.start > expected:
            return False
        progress.expected = max(expected, batch.end)
        self._accepted.add(id(message))
        return True

    def mark_processed(self, batch: Batch, message: Message) -> None:
        """Let the offsets of a batch be committed: all of its effects are durable.

        A batch of an earlier generation is ignored: the new owner of the partition processes it again.
        """
        if message.generation_id == self.app.consumer_generation_id:
            self._progress[batch.tp].finish(batch.end)

    def oldest_timestamp(self, tp: TP) -> int | None:
        """The timestamp, in ms, of the oldest record in memory that is not processed. Safe from any thread."""
        progress = self._progress.get(tp)
        return progress.oldest_timestamp if progress is not None else None

    def queued(self) -> set[TP]:
        """The partitions with a batch in an agent's queue. Safe from any thread."""
        # A copy: the queues go on meanwhile.
        return {event.message.tp for queued in self._queues() for event in list(queued)}

    # Releasing and committing.

    def ack(self, message: Message) -> bool:
        """Release a message. It commits nothing: `mark_processed` does. One that no processor has accepted is read again."""
        if message.acked:
            return False
        message.acked = True
        if id(message) not in self._accepted and message.generation_id == self.app.consumer_generation_id:
            batch = cast("Batch", message.value)
            self._progress[batch.tp].drop(batch)
        self._accepted.discard(id(message))
        self._unacked_messages.discard(message)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        finished = [tp for tp, progress in self._progress.items() if progress.processed is not None]
        return (tp for tp in finished if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._progress[tp].processed

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """Commit. Faust takes refused offsets for committed, and would not try them again before others follow."""
        is_committed = bool(await super()._commit_offsets(offsets, start_new_transaction))
        if not is_committed:
            for tp in offsets:
                self._committed_offset.pop(tp, None)
        return is_committed

    # Rebalancing.

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Drop the progress of partitions that another worker may have now."""
        await super().on_partitions_revoked(revoked)
        self.assigned = (self.assigned or frozenset()) - revoked
        log.info("partitions_revoked", partitions=self._shown(revoked))
        for tp in revoked:
            self._progress.pop(tp, None)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self.assigned = frozenset(assigned)
        log.info("partitions_assigned", partitions=self._shown(assigned), generation=generation_id)
        await super().on_partitions_assigned(assigned, generation_id)

    def _shown(self, partitions: set[TP]) -> list[str]:
        return sorted(f"{tp.topic}/{tp.partition}" for tp in partitions if not self._is_changelog_tp(tp))

    async def wait_empty(self) -> None:
        """Wait for the batches that processors have accepted. The next owner of a partition reads the others again."""
        for queued in self._queues():
            while queued:
                queued.popleft().ack()
        await super().wait_empty()

    # Positions.

    async def perform_seek(self) -> None:
        """Seek to the committed offsets, as after every rebalance; to the earliest where nothing was committed.

        Faust leaves the latter where they are, which skips what was fetched and then dropped. It also seeks when the worker
        ends: that would lose the progress before it is committed.
        """
        if self.app.should_stop:
            return
        self._progress.clear()
        await super().perform_seek()
        streams = [tp for tp in self.assignment() if not self._is_changelog_tp(tp)]
        for tp, earliest in (await self.earliest_offsets(*streams)).items() if streams else ():
            position = self._read_offset.get(TP(tp.topic, tp.partition))
            if position is None:
                await self.seek(tp, earliest)
            else:
                await self._holes.is_deleted(tp, position, earliest)

    async def seek(self, partition: TP, offset: int) -> None:
        """Read from `offset` on. Faust takes 0 for an unknown position; here it is one."""
        await super().seek(partition, offset)
        tp = TP(partition.topic, partition.partition)
        self._read_offset[tp] = offset
        self._progress[tp].undeliver(offset)

    async def _seek(self, partition: TP, offset: int) -> None:
        """Seek in the client's own thread. Faust does it from this one, while a fetch may be taking what the seek drops."""

        async def seek() -> None:
            # The rebalance that took a partition away seeks for its next owner.
            if partition in self._thread.assignment():
                self._thread.seek(partition, offset)

        await self._thread.call_thread(seek)

    async def _seek_back(self) -> None:
        """Read again what was fetched and dropped while the flow was suspended."""
        try:
            await self.perform_seek()
        except asyncio.CancelledError:
            # When the worker stops, the client's own thread may be gone before this task is.
            if not (self.should_stop or self.app.should_stop):
                raise
        except Exception as error:  # noqa: BLE001 - a broker may be away; the next rebalance seeks again
            log.warning("seek_failed", error=str(error))

    # Fetching and delivering.

    async def _drain_messages(self, fetcher: Any) -> None:
        """Fetch and deliver until the consumer stops."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                if self._dropped.is_due:
                    active = [tp for tp in self._get_active_partitions() if not self._is_changelog_tp(tp)]
                    await self._dropped.find(active, self.queued())
                await self._dropped.reread()
                records, fetched_of = await self._wait_next_records(1.0)
                await self.sleep(0)
                if records is None or self.should_stop:
                    continue
                if not self.flow_active:
                    await self._seek_back()
                elif records:
                    await self._deliver(records, fetched_of)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            # Faust takes it for the end of a rebalance if there is one, and crashes, though the worker is only to stop.
            if not (self.should_stop or fetcher.should_stop or self.app.should_stop):
                raise

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's name
        """Take what was fetched, of the partitions that have no batch waiting."""
        active = active_partitions or set()
        free = {tp for tp in active if self._is_changelog_tp(tp) or not self._progress[tp].has_waiting_batch}
        if not free:
            await self.sleep(RETRY_SECONDS)
            return {}
        return await super()._getmany(free, timeout if len(free) == len(active) else RETRY_SECONDS)

    async def _deliver(self, records: Mapping[Any, Sequence[Any]], active: set[TP] | None) -> None:
        generation = self.app.consumer_generation_id
        for partition, fetched in records.items():
            tp = TP(partition.topic, partition.partition)
            if active is not None and tp not in active:
                continue
            if not self._flows(generation):
                # The client may not have the partition any more, and knows no end of it then.
                self._undelivered(records)
                return
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            position = self._read_offset.get(tp)
            if await self._holes.must_refetch(tp, position, fetched, may_lack=self._is_changelog_tp(tp)):
                continue
            for batch in batches(tp, position, fetched, self.batch_size):
                # A seek while a batch was being delivered makes the rest of what was fetched stale.
                is_stale = self._read_offset.get(tp) != position
                if is_stale or not self._flows(generation):
                    self._undelivered(records)
                    return
                # Set before it is delivered: a seek in the meantime must win.
                position = self._read_offset[tp] = batch.end
                progress = self._progress[tp]
                if progress.expected is None:
                    progress.expected = batch.start
                if not self._is_changelog_tp(tp):
                    progress.delivered.append((batch.end, batch.records[0].timestamp))
                delivery = asyncio.ensure_future(self.callback(self._batch_message(batch)))
                await self.wait_first(delivery, self.suspend_flow.wait())
                if not delivery.done():
                    self._progress[tp].drop(batch)  # looked up again: a seek may have cleared it meanwhile
                    self._undelivered(records)
                    return

    def _flows(self, generation: int) -> bool:
        """Whether what was fetched in that generation of the group may still be delivered."""
        return bool(self.flow_active and self.app.consumer_generation_id == generation)

    def _undelivered(self, records: Mapping[Any, Sequence[Any]]) -> None:
        """Read again what was fetched and is not delivered."""
        partitions = [TP(partition.topic, partition.partition) for partition in records]
        self._dropped.undelivered(tp for tp in partitions if not self._is_changelog_tp(tp))

    def _batch_message(self, batch: Batch) -> ConsumerMessage:
        last = batch.records[-1]
        return ConsumerMessage(
            last.topic,
            last.partition,
            last.offset,
            (last.timestamp or 0) / 1000.0,
            last.timestamp_type,
            None,
            None,
            cast("bytes", batch),  # a message's value may be anything; the type is that of other transports
            None,
            0,
            0,
            batch.tp,
            generation_id=self.app.consumer_generation_id,
        )

    # Queues.

    def _queues(self) -> list[deque[Any]]:
        """The batches in front of each agent. Reading the queues themselves would raise errors that they hold."""
        return [queue._queue for queue in cast("Any", self.app).queues.values()]  # noqa: SLF001

    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing: delivering waits for room in the agent's queue.

        Faust stops fetching a partition until its queue reports room; a queue that is cleared in a rebalance never does.
        """

    def on_buffer_drop(self, tp: TP) -> None:
        """Do nothing, as in `on_buffer_full`."""


class BatchTransport(aiokafka.Transport):
    """Faust's Kafka transport with the batch consumer."""

    Consumer = BatchConsumer
