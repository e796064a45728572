"""The command `firstcall generate`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.terminal import definitions_of, out, progress, settings_or_exit

#: Options of `demo` too.
Developers = Annotated[int, typer.Option(min=1, max=5_000_000, help="How many developers sign up.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same events.")]
Days = Annotated[int, typer.Option(min=1, max=730, help="Over how many days.")]
Bad = Annotated[int, typer.Option(min=0, help="How many messages that are no events to mix in.")]


def generate(
    developers: Developers = 1000,
    seed: Seed = 1,
    days: Days = 60,
    bad: Bad = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file for NDJSON, `-` for standard output, instead of Kafka."),
    ] = None,
) -> None:
    """Simulate developers: docs visits, ads, sign-ups, keys, calls, companies, late links, shared devices, bots, employees.

    Example: `firstcall generate --developers 5000 --seed 7 --output events.ndjson`
    """
    from deploy.simulator import Population

    population = Population(seed=seed, developers=developers, days=days, bad=bad)
    with progress("Simulating", "{task.completed:,.0f} messages") as bar:
        task = bar.add_task("", total=population.expected_events + bad)
        if output is not None:
            with nullcontext(sys.stdout.buffer) if str(output) == "-" else output.open("wb") as file:
                population.write_ndjson(file, lambda lines: bar.advance(task, lines))
            return
        from deploy.importer.feed import Feeder, report
        from deploy.importer.kafka_topics import KafkaTopics
        from schemas.config.loading import hmac_secrets
        from streams.normalise.normaliser import Normaliser

        settings = settings_or_exit()
        normaliser = Normaliser(definitions_of(settings), hmac_secrets(settings))
        feeder = Feeder(KafkaTopics(settings), normaliser)
        for topic, message in population.messages():
            feeder.send(topic, message)
            bar.advance(task)
        summary = feeder.finish()
    # The population has refused messages on purpose (`--bad`).
    summary.refused.clear()
    for line in report(summary):
        out.plain(line)
    if summary.lost.messages:
        raise typer.Exit(1)
