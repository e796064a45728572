"""The command `firstcall demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.cli.generate import Bad, Days, Developers, Seed
from deploy.cli.terminal import definitions_of, out, settings_or_exit


def demo(
    developers: Developers = 2000,
    seed: Seed = 1,
    days: Days = 60,
    bad: Bad = 25,
    workers: Annotated[int, typer.Option(min=1, max=16, help="How many workers to run.")] = 1,
    serve: Annotated[bool, typer.Option("--serve", help="Stay up at the end, until Ctrl-C.")] = False,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Without Kafka, even where it could be run.")
    ] = False,
) -> None:
    """Run everything here with a simulated population, and end with the numbers. Keeps away from any other data.

    Example: `firstcall demo --developers 500 --serve`
    """
    from deploy.demo.demo import run_demo
    from deploy.local.kafka.runtime import Missing, availability
    from deploy.simulator import Population

    settings = settings_or_exit()
    definitions_of(settings)
    no_kafka_because = "--in-process was given" if in_process else ""
    if settings.kafka is None and not in_process:
        found = availability(settings.data_dir)
        if isinstance(found, Missing):
            no_kafka_because = f"{found.reason}; {found.what_to_do}"
    population = Population(seed=seed, developers=developers, days=days, bad=bad)
    run_demo(population, out, workers, serve=serve, no_kafka_because=no_kafka_because)
