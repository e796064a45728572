"""Faust's Kafka consumer, delivering batches instead of messages, and committing only what a stage has finished.

Faust hands every message through two asyncio tasks, which costs 100 µs; here the records that one fetch brought for a
partition travel as one Faust message whose value is the list of them. Faust acknowledges what it skips during a
rebalance, which would commit events nobody has seen; here an offset is committed only when the stage says `done`, and
only without a hole before it. And what Faust drops on the way is found, by comparing where a partition is read, delivered
and worked on, and read again.

Of each partition one batch waits for its stage, and no more is asked for until that is taken. So a stage that has much to do
holds up its own partitions only, and what waits in memory is bounded, however much was fetched.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, cast

import structlog
from aiokafka.errors import IllegalStateError
from confluent_kafka import KafkaException
from faust.transport.drivers import aiokafka
from faust.types import TP, Message
from faust.types.tuples import ConsumerMessage

from streams.runtime.batch import Batch, batches
from streams.runtime.brokers import unread_deleted
from streams.runtime.partition_progress import PartitionProgress

#: How often reading is compared with what the stages have got, and how long a delivered batch may wait to be taken.
REALIGN_SECONDS = 1.0
LOST_SECONDS = 5.0
#: How soon it is looked whether there is room again for the partitions that were left out.
ROOM_SECONDS = 0.05


log = structlog.get_logger("firstcall.streams")


class BatchConsumer(aiokafka.Consumer):
    """Delivers `Batch`es. Set `batch_size` (records) before it starts."""

    batch_size = 2_000

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("Any", self.app).reader = self
        self._progress: dict[TP, PartitionProgress] = defaultdict(PartitionProgress)
        self._realigned_at = monotonic()
        #: Messages (by id) that a stage has taken and that are not released yet.
        self._taken: set[int] = set()
        #: The partitions of this worker; None before it is first told.
        self.held: frozenset[TP] | None = None
        #: How often something was made durable for a partition: it shows that work goes on, also within a batch.
        self.steps: Counter[TP] = Counter()

    def take(self, batch: Batch, message: Message) -> bool:
        """Whether a stage may work on the batch: it is of this generation, and goes on where the last one ended.

        Faust drops messages when its flow is suspended. What came before a hole is read again, and this batch after it.
        """
        progress = self._progress[batch.tp]
        following = progress.following
        if message.generation_id != self.app.consumer_generation_id or following is None or batch.start > following:
            return False
        progress.following = max(following, batch.end)
        self._taken.add(id(message))
        return True

    def done(self, batch: Batch, message: Message) -> None:
        """The stage has made everything durable that follows from the batch: its offsets may be committed.

        A batch of a generation before the last rebalance is ignored: whoever has the partition now does it again.
        """
        if message.generation_id == self.app.consumer_generation_id:
            progress = self._progress[batch.tp]
            progress.finish(batch.end)

    def oldest(self, tp: TP) -> int | None:
        """The timestamp, in ms, of the oldest record in hand that is not worked on; None if there is none. For any thread."""
        progress = self._progress.get(tp)
        return progress.oldest if progress is not None else None

    def ack(self, message: Message) -> bool:
        """Release a message. It says nothing about commits: `done` does. One that no stage has taken is read again."""
        if message.acked:
            return False
        message.acked = True
        if id(message) not in self._taken and message.generation_id == self.app.consumer_generation_id:
            self._drop(cast("Batch", message.value))
        self._taken.discard(id(message))
        self._unacked_messages.discard(message)
        return True

    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing: delivering waits for room in the agent's queue.

        Faust stops fetching the partition until the queue tells that it has room; a queue that is cleared in a rebalance
        never does.
        """

    def on_buffer_drop(self, tp: TP) -> None:
        """Do nothing, as in `on_buffer_full`."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        finished = [tp for tp, progress in self._progress.items() if progress.done is not None]
        return (tp for tp in finished if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._progress[tp].done

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """Commit. Faust takes refused offsets for committed, and would not try them again before others follow."""
        is_done = bool(await super()._commit_offsets(offsets, start_new_transaction))
        if not is_done:
            for tp in offsets:
                self._committed_offset.pop(tp, None)
        return is_done

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget what was finished of partitions that others may have now."""
        await super().on_partitions_revoked(revoked)
        self.held = (self.held or frozenset()) - revoked
        log.info("partitions revoked", partitions=self._shown(revoked))
        for tp in revoked:
            self._progress.pop(tp, None)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Note what this worker has from now on."""
        self.held = frozenset(assigned)
        log.info("partitions assigned", partitions=self._shown(assigned), generation=generation_id)
        await super().on_partitions_assigned(assigned, generation_id)

    def _shown(self, partitions: set[TP]) -> list[str]:
        return sorted(f"{tp.topic}/{tp.partition}" for tp in partitions if not self._is_changelog_tp(tp))

    async def perform_seek(self) -> None:
        """Go back to the committed offsets, as after every rebalance; to the earliest where nothing was committed.

        Faust leaves the latter where they are, which skips what was fetched and then dropped. It also seeks when the worker
        ends, which reads nothing more, and would forget what is worked on before it is committed.
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
            elif position < earliest:
                await self.app.crash(unread_deleted(self.app.conf.id, (tp.topic, tp.partition), position, earliest))

    async def wait_empty(self) -> None:
        """Wait for the batches that stages have taken. The others are read again, by whoever has the partition then."""
        for queued in self._queues():
            while queued:
                queued.popleft().ack()
        await super().wait_empty()

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's name
        """Take what was fetched, of the partitions that have no batch waiting."""
        active = active_partitions or set()
        free = {tp for tp in active if self._is_changelog_tp(tp) or not self._progress[tp].waits}
        if not free:
            await self.sleep(ROOM_SECONDS)
            return {}
        return await super()._getmany(free, timeout if len(free) == len(active) else ROOM_SECONDS)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Fetch and deliver until the consumer stops."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                if monotonic() - self._realigned_at > REALIGN_SECONDS:
                    await self._realign()
                await self._read_dropped_again()
                records, active = await self._wait_next_records(1.0)
                await self.sleep(0)
                if records is None or self.should_stop:
                    continue
                if not self.flow_active:
                    await self._seek_back()
                elif records:
                    await self._deliver(records, active)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            # Faust takes it for the end of a rebalance if there is one, and crashes, though the worker is just told to stop.
            if not (self.should_stop or fetcher.should_stop or self.app.should_stop):
                raise

    async def _seek_back(self) -> None:
        """What was fetched while the flow stood still is dropped, so it must be read again."""
        try:
            await self.perform_seek()
        except asyncio.CancelledError:
            # When the worker stops, the client's own thread may be gone before this task is.
            if not (self.should_stop or self.app.should_stop):
                raise
        except Exception as error:  # noqa: BLE001 - a broker may be away; the next rebalance seeks again
            self.log.warning("cannot seek to the committed offsets: %s", error)

    async def _deliver(self, records: Mapping[Any, Sequence[Any]], active: set[TP] | None) -> None:
        generation = self.app.consumer_generation_id
        for partition, fetched in records.items():
            tp = TP(partition.topic, partition.partition)
            if active is not None and tp not in active:
                continue
            if not self._flows(generation):
                # The client may not have the partition any more, and knows no end of it then.
                self._read_again(records)
                return
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            position = self._read_offset.get(tp)
            if await self._is_torn(tp, position, fetched):
                continue
            for batch in batches(tp, position, fetched, self.batch_size):
                # A seek while a batch was being delivered makes the rest of what was fetched stale.
                is_stale = self._read_offset.get(tp) != position
                if is_stale or not self._flows(generation):
                    self._read_again(records)
                    return
                # Set before it is delivered: a seek in the meantime must win.
                position = self._read_offset[tp] = batch.end
                progress = self._progress[tp]
                if progress.following is None:
                    progress.following = batch.start
                if not self._is_changelog_tp(tp):
                    progress.delivered.append((batch.end, batch.records[0].timestamp))
                delivery = asyncio.ensure_future(self.callback(self._batch_message(batch)))
                await self.wait_first(delivery, self.suspend_flow.wait())
                if not delivery.done():
                    self._drop(batch)
                    self._read_again(records)
                    return

    def _flows(self, generation: int) -> bool:
        """Whether what was fetched in that generation of the group may still be delivered."""
        return bool(self.flow_active and self.app.consumer_generation_id == generation)

    def _drop(self, batch: Batch) -> None:
        """Read again from where the stage is, or from the batch on if that is before."""
        progress = self._progress[batch.tp]
        known = (progress.following, progress.dropped)
        progress.dropped = min([batch.start, *(offset for offset in known if offset is not None)])

    def _read_again(self, records: Mapping[Any, Sequence[Any]]) -> None:
        """Go back for what was fetched and is not delivered: the client's own position is after it."""
        for partition in records:
            tp = TP(partition.topic, partition.partition)
            position, progress = self._read_offset.get(tp), self._progress[tp]
            if position is not None and progress.dropped is None and not self._is_changelog_tp(tp):
                progress.dropped = position

    async def _realign(self) -> None:
        """See that reading, delivering and working go on from the same places, and go back where they do not.

        Faust clears an agent's queue when it resumes its flow, whatever lies in it by then. So what was delivered, has
        not been taken for `LOST_SECONDS` and lies in no queue counts as lost.
        """
        now, queued = monotonic(), self.queued()
        self._realigned_at = now
        for tp in list(self._get_active_partitions()):
            position = self._read_offset.get(tp)
            if position is None or self._is_changelog_tp(tp):
                continue
            progress = self._progress[tp]
            following = position if progress.following is None else progress.following
            if following >= position or tp in queued:
                progress.waiting = None
            elif progress.waiting is None or progress.waiting[0] != following:
                progress.waiting = (following, now)
            elif now - progress.waiting[1] > LOST_SECONDS:
                progress.waiting, progress.dropped = (following, now), following
                continue
            try:
                ahead = await self.position(tp)
            except IllegalStateError:
                # A rebalance has begun meanwhile, and it is another member's.
                continue
            if ahead is None or ahead <= position or progress.dropped is not None:
                continue
            # Once for each progress: a log may end in transaction markers, which are no records.
            if progress.ahead != (position, ahead):
                progress.ahead = (position, ahead)
                progress.dropped = position
            elif not progress.delivered:
                await self._pass_markers(tp, position, ahead)

    async def _pass_markers(self, tp: TP, position: int, ahead: int) -> None:
        """Take markers in which a log ends for done, if they are: nothing else may ever follow, and Kafka deletes them by age."""
        loop, brokers = asyncio.get_running_loop(), cast("Any", self.app).brokers
        try:
            found = await loop.run_in_executor(None, brokers.first_record, (tp.topic, tp.partition), position)
        except KafkaException as error:
            self.log.warning("it is not known whether a log ends in transaction markers: %s", error)
            return
        progress = self._progress[tp]
        if progress.ahead != (position, ahead) or self._read_offset.get(tp) != position:
            # A rebalance came in between.
            return
        if found is not None and found.offset < ahead:
            progress.dropped = position
            return
        self._read_offset[tp] = ahead
        progress.skip(ahead)

    def queued(self) -> set[TP]:
        """The partitions of which a batch waits in front of its stage, which is busy with others. For any thread."""
        # A copy: the queues go on meanwhile.
        return {event.message.tp for queued in self._queues() for event in list(queued)}

    def _queues(self) -> list[deque[Any]]:
        """What waits in front of each agent. The queues themselves also hold errors, and end the reading of whoever asks."""
        return [queue._queue for queue in cast("Any", self.app).queues.values()]  # noqa: SLF001

    async def _read_dropped_again(self) -> None:
        for tp, progress in list(self._progress.items()):
            if progress.dropped is not None and self.flow_active:
                offset, progress.dropped = progress.dropped, None
                if tp in self.assignment():
                    await self.seek(tp, offset)

    async def seek(self, partition: TP, offset: int) -> None:
        """Read from `offset` on. Faust takes 0 for an unknown position; here it is one."""
        await super().seek(partition, offset)
        tp = TP(partition.topic, partition.partition)
        self._read_offset[tp] = offset
        self._progress[tp].undeliver(offset)

    async def _seek(self, partition: TP, offset: int) -> None:
        """Seek in the client's own thread. Faust does it from this one, while a fetch may be taking what the seek drops."""

        async def seek() -> None:
            # The rebalance that took a partition away seeks for whoever has it next.
            if partition in self._thread.assignment():
                self._thread.seek(partition, offset)

        await self._thread.call_thread(seek)

    async def _is_torn(self, tp: TP, position: int | None, fetched: Sequence[Any]) -> bool:
        """Whether records are missing before those that were fetched; then they are fetched again.

        A log may have real holes (compaction, transaction markers). But records can also have been fetched before a seek,
        and dropped in between. So a hole counts as real only if the same one comes again after a seek to its start. One that
        reaches to the beginning of the log is none: Kafka has deleted what was not worked on, and the client goes on after it.
        """
        progress = self._progress[tp]
        if position is None or fetched[0].offset <= position:
            progress.sought = None
            return False
        if progress.sought != position:
            progress.sought = position
            await self.seek(tp, position)
            return True
        progress.sought = None
        return not self._is_changelog_tp(tp) and await self._is_deleted(tp, position)

    async def _is_deleted(self, tp: TP, position: int) -> bool:
        """Whether what is to be read next is deleted; then the worker ends, for whoever decides what becomes of it."""
        (earliest,) = (await self.earliest_offsets(tp)).values()
        if position < earliest:
            await self.app.crash(unread_deleted(self.app.conf.id, (tp.topic, tp.partition), position, earliest))
        return bool(position < earliest)

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


class BatchTransport(aiokafka.Transport):
    """Faust's Kafka transport with the batch consumer."""

    Consumer = BatchConsumer
