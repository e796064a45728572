"""The law on the running pipeline: random nasty worlds through real Kafka, two workers, one killed in the middle.

The worlds are those of `test_law_core.py`, many at once in one deployment; their ids keep them apart. A difference names
the world's seed; `make worlds WORLDS=1 SEED=<seed>` runs that world alone.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from schemas.config.definitions import Definitions
from schemas.config.sources import TEST_PREFIX
from tests.support.pipeline import Pipeline, running
from tests.support.reference import Published, compute, differences
from tests.support.streams_in_memory import InMemoryStreams
from tests.support.worlds import SECRETS
from tests.support.worlds.apart import World, definitions_for, together, world_of

WORLDS = int(os.environ.get(f"{TEST_PREFIX}WORLDS", "50"))
SEED = int(os.environ.get(f"{TEST_PREFIX}SEED", "1"))
#: A worker is killed in the middle of each round.
WORLDS_IN_A_ROUND = 10


def test_worlds_that_are_kept_apart_do_not_meet() -> None:
    seeds = range(1, 13)
    definitions = definitions_for(seeds)
    found = [world_of(seed) for seed in seeds]
    alone = [compute(world.records, definitions, SECRETS) for world in found]
    joint = compute([record for world in found for record in world.records], definitions, SECRETS)
    for numbers in ("developers", "companies", "events"):
        assert getattr(joint, numbers) == {name: one for each in alone for name, one in getattr(each, numbers).items()}
        assert len(getattr(joint, numbers)) == sum(len(getattr(each, numbers)) for each in alone)
    assert joint.activity == set().union(*(each.activity for each in alone))
    assert joint.rolling and joint.activity and joint.rejected


def test_a_world_is_always_the_same_by_its_seed() -> None:
    assert world_of(17) == world_of(17)
    assert world_of(17).records != world_of(18).records


def test_a_world_that_differs_is_named_by_its_seed(tmp_path: Path) -> None:
    seeds = range(1, 6)
    definitions = definitions_for(seeds)
    found = [world_of(seed) for seed in seeds]
    expected = compute([record for world in found for record in world.records], definitions, SECRETS)
    lost = compute([record for world in found if world.seed != 4 for record in world.records], definitions, SECRETS)
    first, *others = report(found, expected, lost, definitions, tmp_path)
    assert "make worlds WORLDS=1 SEED=4" in first
    assert "in one process it does not" in first
    assert all(line.startswith("rolling") for line in others)
    assert len((tmp_path / "world-4.ndjson").read_text().splitlines()) == len(found[3].delivered)


def test_random_worlds_through_two_workers_one_killed_equal_the_reference(
    broker: str, unique: str, tmp_path: Path
) -> None:
    found = differing(range(1, 1 + WORLDS_IN_A_ROUND), broker, unique, tmp_path)
    assert not found, "\n\n".join(found)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_many_random_worlds_through_killed_workers_equal_the_reference(
    broker: str, unique: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = range(SEED, SEED + WORLDS)
    found = differing(seeds, broker, unique, tmp_path)
    with capsys.disabled():
        worlds = f"{len(seeds)} worlds, seeds {seeds[0]} to {seeds[-1]}"
        print(f"\n{worlds}, two workers, one killed every {WORLDS_IN_A_ROUND} worlds: {len(found)} differences")
    assert not found, "\n\n".join(found)


def differing(seeds: range, broker: str, name: str, directory: Path) -> list[str]:
    """A report of each world whose numbers are not those of the reference."""
    definitions = definitions_for(seeds)
    found = [world_of(seed) for seed in seeds]
    with running(broker, name, directory, definitions, partitions=3, workers=2) as pipeline:
        for start in range(0, len(found), WORLDS_IN_A_ROUND):
            victim = f"worker-{1 + start // WORLDS_IN_A_ROUND % 2}"
            feed_and_kill(pipeline, found[start : start + WORLDS_IN_A_ROUND], victim)
        pipeline.await_idle()
        actual = pipeline.rows().published()
    expected = compute((record for world in found for record in world.records), definitions, SECRETS)
    return report(found, expected, actual, definitions, directory)


def feed_and_kill(pipeline: Pipeline, found: list[World], victim: str) -> None:
    """Feed the worlds, kill a worker once it is at work on the first half of them, and start it again."""
    delivered = together(found, seed=found[0].seed)
    middle = len(delivered) // 2
    pipeline.feed(delivered[:middle])
    pipeline.advance(middle // 2)
    pipeline.feed(delivered[middle:])
    pipeline.kill(victim)
    pipeline.start(victim)


def report(
    found: list[World], expected: Published, actual: Published, definitions: Definitions, directory: Path
) -> list[str]:
    """The differences, world by world; those that name none, as rolling counts do, come last."""
    actual.events, actual.event_rows = expected.events, expected.event_rows
    lines = differences(expected, actual)
    reported = []
    for world in found:
        own = [line for line in lines if any(name in line for name in world.names)]
        if own:
            file = directory / f"world-{world.seed}.ndjson"
            file.write_text("\n".join(json.dumps(record.value, default=repr) for record in world.delivered))
            reported.append(
                f"the world of seed {world.seed} (repeat it: make worlds WORLDS=1 SEED={world.seed}; its events: {file}) "
                f"differs; in one process {'also' if differs_in_one_process(world, definitions) else 'it does not'}:\n"
                + "\n".join(own)
            )
            lines = [line for line in lines if line not in own]
    return [*reported, *lines]


def differs_in_one_process(world: World, definitions: Definitions) -> bool:
    """Whether the core alone is wrong about the world; else it is what is around the core."""
    streams = InMemoryStreams(definitions, partitions=3)
    streams.feed(world.delivered, batch=5)
    actual, expected = streams.published(), compute(world.records, definitions, SECRETS)
    actual.events, actual.event_rows = expected.events, expected.event_rows
    return bool(differences(expected, actual))
