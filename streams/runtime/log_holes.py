"""Offsets at which no record is fetched: holes of the log, records that a seek has dropped, and records that Kafka has deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, cast

import structlog
from confluent_kafka import KafkaException
from faust.transport.drivers import aiokafka
from faust.types import TP

from streams.runtime.brokers import unread_deleted
from streams.runtime.partition_progress import PartitionProgress

log = structlog.get_logger("firstcall.streams")


class LogHoles:
    """Decides what a hole is. `progress` and `delivered_to` are those of `DroppedBatches`."""

    def __init__(
        self,
        consumer: aiokafka.Consumer,
        progress: Mapping[TP, PartitionProgress],
        delivered_to: MutableMapping[TP, int | None],
    ) -> None:
        self._consumer = consumer
        self._progress = progress
        self._delivered_to = delivered_to

    async def must_refetch(self, tp: TP, position: int | None, fetched: Sequence[Any], *, may_lack: bool) -> bool:
        """Whether what was fetched must not be delivered, because records before it are missing. Then they are fetched again.

        A log may have real holes (compaction, transaction markers). Records may also have been fetched before a seek, and
        dropped by it. So a hole counts as real only if the same one is fetched again after a seek to its start.
        One that reaches to the beginning of the log is none: Kafka has deleted records that were not processed, and the client
        goes on after them. `may_lack`: they may be missing, as in a changelog.
        """
        progress = self._progress[tp]
        if position is None or fetched[0].offset <= position:
            progress.refetched = None
            return False
        if progress.refetched != position:
            progress.refetched = position
            await self._consumer.seek(tp, position)
            return True
        progress.refetched = None
        if may_lack:
            return False
        (earliest,) = (await self._consumer.earliest_offsets(tp)).values()
        return await self.is_deleted(tp, position, earliest)

    async def is_deleted(self, tp: TP, position: int, earliest: int) -> bool:
        """Whether Kafka has deleted what is to be read next. Then the worker ends: an operator decides what to do."""
        app = cast("Any", self._consumer.app)
        if position < earliest:
            await app.crash(unread_deleted(app.conf.id, (tp.topic, tp.partition), position, earliest))
        return position < earliest

    async def skip_markers(self, tp: TP, position: int, ahead: int) -> None:
        """Count transaction markers at the end of a log as processed, if that is all there is between the two offsets.

        No record may ever follow them, and Kafka deletes them by age.
        """
        loop, brokers = asyncio.get_running_loop(), cast("Any", self._consumer.app).brokers
        try:
            found = await loop.run_in_executor(None, brokers.first_record, (tp.topic, tp.partition), position)
        except KafkaException as error:
            log.warning("log_end_unknown", topic=tp.topic, partition=tp.partition, error=error.args[0].str())
            return
        progress = self._progress[tp]
        if progress.ahead != (position, ahead) or self._delivered_to.get(tp) != position:
            # A rebalance came in between.
            return
        if found is not None and found.offset < ahead:
            progress.reread_from = position
            return
        self._delivered_to[tp] = ahead
        progress.skip(ahead)
