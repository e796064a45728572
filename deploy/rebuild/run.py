"""Makes all numbers anew under changed definitions: into tables of their own, shown at the end, the old ones serving meanwhile.

    plan        which generation, from which messages (replay_plan)
    make        a worker and a sink of the new generation read the input topics from the beginning
    catch up    until all that has come is in the new tables
    show        what no replay makes anew is carried over; the views show the new tables, with one statement

Stopped at any place, the old numbers are served, and the next call goes on; once the views show the new ones, it finishes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from typing import Final

from kafka.admin import KafkaAdminClient
from kafka.errors import GroupIdNotFoundError

from deploy.erasure.flow import STALLED_SECONDS, Flow
from deploy.rebuild import generations
from deploy.rebuild.plan import Plan
from deploy.services import topics
from deploy.services.topics import consumed_topics
from schemas.config.settings import Settings
from schemas.config.sources import is_given
from schemas.errors import DeploymentError
from sinks.clickhouse import Address, connected
from sinks.definition_rows import write_definitions
from sinks.reconcile import settle
from streams.processors import PROCESSORS
from streams.topology import ROWS, UPDATES

#: So few records behind is as good as none where events keep coming; the rest is waited for exactly.
NEARLY: Final = 1_000
#: Longer than the brokers wait for a sign of life of a member.
_GONE_WITHIN_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.5

#: Called with what is done and all there is to do, in records.
Advance = Callable[[int, int], None]


def begin(plan: Plan, settings: Settings) -> None:
    """Say in the new tables, which must be there, what they are made under: a later call goes by it."""
    address = generations.address_of(settings, plan.after)
    with connected(address) as client:
        write_definitions(client, plan.definitions)


def catch_up(
    client: KafkaAdminClient, plan: Plan, settings: Settings, advance: Advance, check: Callable[[], None]
) -> None:
    """Wait until all that has come by now is in the new tables. `check` raises when worker or sink have ended.

    Raises DeploymentError when they do not go on, ClickHouseError and KafkaError.
    """
    after = generations.of_generation(settings, plan.after)
    consumed = consumed_topics(after)
    total, least, since = 0, -1, time.monotonic()
    while True:
        check()
        left = sum(lag.records for lag in topics.lags(client, consumed))
        total = max(total, left)
        advance(total - left, total)
        if left <= NEARLY:
            break
        if least < 0 or left < least:
            least, since = left, time.monotonic()
        elif time.monotonic() - since > STALLED_SECONDS:
            raise DeploymentError(
                f"generation {plan.after} has not gone on for {STALLED_SECONDS:.0f} s; see its worker's and sink's logs"
            )
        time.sleep(_POLL_SECONDS)
    flow = Flow(client, after)
    try:
        flow.check()
        flow.settle()
    except DeploymentError as error:
        raise DeploymentError(str(error)) from None
    address = Address.parse(after.clickhouse_address)
    with connected(address) as tables:
        write_definitions(tables, plan.definitions)
        settle(tables)
    advance(total, total)


def take_over(plan: Plan, settings: Settings, *, despite_erasures: bool = False) -> None:
    """Make the views show the new tables. Raises DeploymentError when someone would be in them who was erased, ClickHouseError."""
    missing = generations.erasures_missing(settings, plan.before, plan.after)
    if missing and not despite_erasures:
        raise DeploymentError(
            f"since generation {plan.after} was begun, {missing} erasures were asked for that it may not have heard of in time. Give them"
            f" again with FIRSTCALL_GENERATION={plan.after}, then this command. Where that finds nobody to erase, go on with"
            " --despite-erasures"
        )
    generations.carry_history(settings, plan.before, plan.after, generations.ALERT_HISTORY)
    generations.carry_dead_letters(settings, plan.before, plan.after, plan.lost_before)
    generations.show(settings, plan.after)
    finish(settings, plan.before, plan.after)


def finish(settings: Settings, before: int, after: int) -> None:
    """What is left to do once the views show a generation. Doing it again changes nothing. Raises ClickHouseError."""
    generations.carry_history(settings, before, after)


def hand_over(settings: Settings, after: int) -> bool:
    """Make it the generation that runs from this data directory; False if a setting says which one does."""
    if is_given("generation"):
        return False
    generations.remember(settings.data_dir, after)
    return True


def remove(client: KafkaAdminClient, settings: Settings, removed: Iterable[int]) -> None:
    """Remove topics, groups, state and tables of generations that are not live. Raises DeploymentError while one still runs."""
    existing = set(client.list_topics())
    for number in removed:
        each = generations.of_generation(settings, number)
        groups = [each.streams_id, f"{each.streams_id}-sink"]
        _await_end(client, number, groups)
        _delete_groups(client, number, groups)
        names = [each.topic(topic.name) for topic in (*UPDATES, *ROWS)] + changelogs(each)
        if there := sorted(existing.intersection(names)):
            client.delete_topics(there)
        generations.drop_tables(settings, number)
        for directory in (settings.data_dir, *settings.data_dir.glob("worker-*")):
            shutil.rmtree(directory / each.streams_dir.name, ignore_errors=True)


def _await_end(client: KafkaAdminClient, generation: int, groups: Iterable[str]) -> None:
    """Wait until no worker or sink is a member of these groups. Brokers find out late about killed ones."""
    end = time.monotonic() + _GONE_WITHIN_SECONDS
    while not all(topics.is_deserted(client, group) for group in groups):
        if time.monotonic() > end:
            raise DeploymentError(f"a worker or sink of generation {generation} still runs; stop it first")
        time.sleep(_POLL_SECONDS)


def _delete_groups(client: KafkaAdminClient, generation: int, groups: list[str]) -> None:
    """Forget how far they have come: whoever reads under this name next is to begin at the beginning."""
    for group, told in client.delete_groups(groups).items():
        if told not in ("OK", GroupIdNotFoundError.__name__):
            raise DeploymentError(
                f"the consumer group {group} of generation {generation} cannot be deleted: Kafka says {told}. If a worker or sink of it "
                "still runs, stop it; then give the same command again"
            )


def changelogs(settings: Settings) -> list[str]:
    """The topics in which the streams of a generation keep their state, by the names that Faust gives them.

    By no pattern: another deployment's may begin with the same letters.
    """
    return [f"{settings.streams_id}-{stage.__name__}-changelog" for stage in PROCESSORS.values()]
