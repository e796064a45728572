"""The Faust app: its configuration, its credentials, and its heartbeat."""

from __future__ import annotations

import ssl
from typing import Any, Final

import faust
import structlog
from aiokafka.abc import AbstractTokenProvider
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT
from mode import Service
from yarl import URL

from schemas import metrics
from schemas.config.kafka_options import KafkaOptions
from schemas.config.settings import Settings
from streams.runtime.batch_consumer import BatchConsumer, BatchTransport
from streams.runtime.brokers import Brokers
from streams.runtime.heartbeats import Heartbeats
from streams.runtime.shutdown import end_in_time
from streams.runtime.state_store import RowTable
from streams.topology import INPUTS, UPDATES

#: Compressed bytes that may be fetched and not processed: of all partitions, if one worker has them all, and of one partition.
#: A larger message comes by itself.
FETCHED_BYTES: Final = 64 * 1024**2
PARTITION_FETCHED_BYTES: Final = 4 * 1024**2
#: The event loop turns at least so often, unless something blocks it.
LOOP_TURNS_WITHIN_SECONDS: Final = 45.0
TURN_SECONDS: Final = 1.0
LOOP: Final = "the event loop"

log = structlog.get_logger("firstcall.streams")


class StreamsApp(faust.App):
    """A Faust app that consumes in batches, and shows that its event loop turns."""

    heartbeats: Heartbeats
    #: The queue of batches in front of each agent.
    queues: dict[str, Any]
    #: Finds the end of a log for the consumer, whose own client does not know it.
    brokers: Brokers
    #: The consumer, once there is one.
    reader: BatchConsumer | None = None

    @Service.task
    async def _turn(self) -> None:
        # From the start on, unlike Faust's timers, which wait for the tables.
        self.heartbeats.expect(LOOP, LOOP_TURNS_WITHIN_SECONDS)
        while not self.should_stop:
            self.heartbeats.beat(LOOP)
            await self.sleep(TURN_SECONDS)

    def on_rebalance_start(self) -> None:
        metrics.REBALANCES.inc()
        super().on_rebalance_start()

    async def crash(self, reason: BaseException) -> None:
        """Stop because of an error, within a time limit."""
        end_in_time()
        await super().crash(reason)

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)


class Process(faust.Worker):
    """Faust's process around the app, which ends within a time limit."""

    def stop_and_shutdown(self) -> None:
        end_in_time()
        super().stop_and_shutdown()


def make_app(settings: Settings) -> StreamsApp:
    """The app of a worker, without agents and tables. Set `brokers` before it starts."""
    BatchConsumer.batch_size = settings.batch_size
    app = StreamsApp(
        settings.streams_id,
        broker=[URL(f"kafka://{server}") for server in settings.brokers.split(",")],
        broker_credentials=_credentials(settings.kafka_options),
        store="rocksdb://",
        datadir=str(settings.streams_dir),
        autodiscover=False,
        web_enabled=False,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication_factor,
        topic_disable_leader=True,
        # One batch of each partition, so that none waits for room that another partition takes.
        stream_buffer_maxsize=len(INPUTS) * settings.partitions,
        broker_max_poll_records=settings.batch_size,
        stream_wait_empty=True,
        broker_commit_interval=1.0,
        broker_session_timeout=settings.session_seconds,
        broker_heartbeat_interval=settings.session_seconds / 4,
        consumer_max_fetch_size=_fetched_bytes(settings.partitions),
        consumer_auto_offset_reset="earliest",
        table_standby_replicas=0,
        Table=RowTable,
    )
    app.heartbeats, app.queues = Heartbeats(), {}
    return app


class _TokenInFile(AbstractTokenProvider):  # type: ignore[misc]  # published without types
    """The current token, read for each new connection."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options

    async def token(self) -> str:
        return self._options.token()


def _fetched_bytes(partitions: int) -> int:
    """The fetch limit of each partition, for topics of so many partitions."""
    all_partitions = sum(1 if topic.single else partitions for topic in (*INPUTS, *UPDATES))
    return min(PARTITION_FETCHED_BYTES, FETCHED_BYTES // all_partitions)


def _credentials(options: KafkaOptions) -> CredentialsT | None:
    """The Kafka options as Faust's credentials; None for a plain connection."""
    context = None
    if options.uses_tls:
        context = ssl.create_default_context(cafile=options.ssl_ca_file)
        if options.ssl_cert_file is not None:
            context.load_cert_chain(options.ssl_cert_file, options.ssl_key_file)
    if options.sasl_token_file is not None:
        return OAuthCredentials(oauth_cb=_TokenInFile(options), ssl_context=context)
    if options.sasl_password is not None:
        return SASLCredentials(
            username=options.sasl_username,
            password=options.sasl_password.get_secret_value(),
            mechanism=options.sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None
