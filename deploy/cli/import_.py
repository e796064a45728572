"""The command `firstcall import`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Literal

import typer

from deploy.cli.terminal import definitions_of, err, fail, out, progress, settings_or_exit

#: The bar is updated after so many lines.
_LINES_SHOWN = 1000


def import_(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="NDJSON, also gzipped (.gz), or `-` for stdin.")],
    source: Annotated[Literal["web", "api"], typer.Option(help="The source of events that carry none.")] = "web",
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Without Kafka, straight into an empty ClickHouse database.")
    ] = False,
) -> None:
    """Feed events of any accepted format, one JSON object a line, to the topics. Importing some again changes nothing.

    Exits with 1 if lines could not be sent.

    Example: `firstcall import segment-export.ndjson.gz`, or `zcat logs/*.gz | firstcall import - --source api`
    """
    from deploy.importer.feed import Destination, Feeder, report
    from deploy.importer.in_process import InProcess
    from deploy.importer.kafka_topics import KafkaTopics
    from deploy.importer.lines import InputFiles
    from deploy.services.required import reachable_clickhouse
    from schemas.config.loading import hmac_secrets
    from sinks.clickhouse import Address
    from sinks.migrations import migrate
    from streams.normalise.normaliser import Normaliser

    settings = settings_or_exit()
    definitions = definitions_of(settings)
    with ExitStack() as opened:
        inputs = InputFiles(files)
        secrets = hmac_secrets(settings)
        destination: Destination
        if in_process:
            settings = opened.enter_context(reachable_clickhouse(settings, err))
            # `firstcall migrate` creates topics too, which needs brokers.
            migrate(Address.parse(settings.clickhouse_address), cluster=settings.clickhouse_cluster)
            destination = InProcess(settings, definitions, secrets)
        else:
            destination = KafkaTopics(settings)
        feeder = Feeder(destination, Normaliser(definitions, secrets), source)
        with progress("Importing", "{task.fields[lines]:,} lines") as bar:
            task = bar.add_task("", total=inputs.size, lines=0)
            read = 0
            for read, (at, line) in enumerate(inputs.lines(), 1):
                feeder.feed(line, at)
                if read % _LINES_SHOWN == 0:
                    bar.update(task, completed=inputs.position, lines=read)
            bar.update(task, completed=inputs.position, lines=read)
            summary = feeder.finish()
    for text in report(summary):
        out.plain(text)
    if inputs.problem:
        fail(f"{inputs.problem}. The lines before it were imported; importing them again changes nothing")
    if summary.undecodable or summary.lost.messages:
        raise typer.Exit(1)
