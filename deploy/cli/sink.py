"""The command `firstcall sink`."""

from __future__ import annotations

from deploy.cli.terminal import definitions_of, settings_or_exit


def sink() -> None:
    """Write events and the streams' rows to ClickHouse. Stateless: start as many as there are partitions, at most.

    Example: `FIRSTCALL_KAFKA=kafka-1:9092 FIRSTCALL_CLICKHOUSE=http://user:password@clickhouse:8123/firstcall firstcall sink`
    """
    from deploy.cli import logs
    from deploy.local.process import status_server
    from deploy.rebuild.generations import refuse_others
    from deploy.services.required import require_broker, require_clickhouse
    from schemas.config.loading import hmac_secrets
    from sinks.main import run_sink
    from streams.normalise.normaliser import Normaliser
    from streams.normalise.suppression_list import SuppressionList

    settings = settings_or_exit()
    definitions = definitions_of(settings)
    logs.configure(settings)
    require_broker(settings)
    require_clickhouse(settings)
    refuse_others(settings, definitions)
    secrets = hmac_secrets(settings)
    erasures = SuppressionList([*settings.retired, *secrets])
    run_sink(
        bootstrap_servers=settings.brokers,
        clickhouse_url=settings.clickhouse_address,
        normaliser=Normaliser(definitions, secrets, erasures),
        suppression_list=erasures,
        app_id=settings.streams_id,
        topic_name=settings.topic,
        kafka_options=settings.kafka_options.for_librdkafka(),
        batch_rows=settings.sink_batch_rows,
        batch_seconds=settings.sink_batch_seconds,
        session_seconds=settings.session_seconds,
        show=lambda watchdog: status_server.show(settings, "sink", watchdog),
    )
