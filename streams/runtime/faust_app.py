"""The Faust app itself: how it is configured, how it logs in, and what it tells of itself beside its agents."""

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

from schemas.config.kafka_options import KafkaOptions
from schemas.config.settings import Settings
from streams.runtime import metrics
from streams.runtime.batch_consumer import BatchConsumer, BatchTransport
from streams.runtime.brokers import Brokers
from streams.runtime.heartbeats import Heartbeats
from streams.runtime.shutdown import end_in_time
from streams.runtime.state_store import RowTable
from streams.topology import INPUTS, UPDATES

#: What may be fetched and not taken, of all partitions together if one worker has them all, as it comes from the brokers; and of one
#: partition at most. A message that is larger comes by itself.
FETCHED_BYTES: Final = 64 * 1024**2
PARTITION_FETCHED_BYTES: Final = 4 * 1024**2
#: The event loop turns at least so often, if nothing on it hangs.
LOOP_TURNS_WITHIN_SECONDS: Final = 45.0
TURN_SECONDS: Final = 1.0
LOOP: Final = "the event loop"

log = structlog.get_logger("firstcall.streams")


class StreamsApp(faust.App):
    """A Faust app that consumes in batches, and shows that its event loop turns."""

    heartbeats: Heartbeats
    #: Where batches wait in front of each agent.
    queues: dict[str, Any]
    #: Asked by the consumer for what its client does not say.
    brokers: Brokers
    #: Its consumer, once there is one.
    reader: BatchConsumer | None = None

    @Service.task
    async def _turn(self) -> None:
        # From the start on, unlike Faust's timers, which wait for the tables.
        self.heartbeats.expect(LOOP, LOOP_TURNS_WITHIN_SECONDS)
        while not self.should_stop:
            self.heartbeats.beat(LOOP)
            await self.sleep(TURN_SECONDS)

    def on_rebalance_start(self) -> None:
        """Count it."""
        metrics.REBALANCES.inc()
        super().on_rebalance_start()

    async def crash(self, reason: BaseException) -> None:
        """Stop because of an error."""
        end_in_time()
        await super().crash(reason)

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)


class Process(faust.Worker):
    """Faust's process around the app, whose end cannot be held up."""

    def stop_and_shutdown(self) -> None:
        """End in order."""
        end_in_time()
        super().stop_and_shutdown()


def make_app(settings: Settings) -> StreamsApp:
    """The app of a worker, without agents and tables."""
    BatchConsumer.batch_size = settings.batch_size
    return StreamsApp(
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
        # A batch of each partition, so that none waits for room that another one takes.
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


class _TokenInFile(AbstractTokenProvider):  # type: ignore[misc]  # published without types
    """The token of the moment, for each connection that is made."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options

    async def token(self) -> str:
        return self._options.token()


def _fetched_bytes(partitions: int) -> int:
    """What may be fetched of each partition at once, where topics have so many."""
    all_partitions = sum(1 if topic.single else partitions for topic in (*INPUTS, *UPDATES))
    return min(PARTITION_FETCHED_BYTES, FETCHED_BYTES // all_partitions)


def _credentials(options: KafkaOptions) -> CredentialsT | None:
    """The same authentication in Faust's terms; None for a plain connection."""
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
