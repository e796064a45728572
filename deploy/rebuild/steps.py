"""The steps of a rebuild: all numbers under changed definitions, in new tables, while the old numbers are served.

1. `make_plan` (deploy.rebuild.plan) chooses the new generation and counts the messages to read.
2. A worker and a sink of the new generation read the input topics from the beginning.
3. `catch_up` waits until all messages are in the new tables.
4. `switch_over` copies the history that no rebuild computes, and switches the views to the new tables.

If it stops before the switch, the old numbers are served and the next run continues; after it, the next run finishes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from kafka.admin import KafkaAdminClient

from deploy.rebuild import generations, history, view_switch
from deploy.rebuild.plan import Plan
from deploy.services import groups
from deploy.services.pipeline_progress import STALLED_SECONDS, PipelineProgress
from schemas.config.settings import Settings
from schemas.config.sources import is_given
from schemas.errors import DeploymentError
from sinks.clickhouse import connected
from sinks.definition_rows import write_definitions
from sinks.reconcile import reconcile

#: While events keep coming, the lag never is 0: below this many records, `PipelineProgress` waits for exact offsets.
NEARLY: Final = 1_000
_POLL_SECONDS: Final = 0.5

#: Called with the numbers of records done and in total.
Advance = Callable[[int, int], None]


def begin(plan: Plan, settings: Settings) -> None:
    """Write the definitions into the new tables, which must exist. An interrupted rebuild is found by them."""
    with connected(generations.address_of(settings, plan.after)) as client:
        write_definitions(client, plan.definitions)


def catch_up(
    client: KafkaAdminClient, plan: Plan, settings: Settings, advance: Advance, check: Callable[[], None]
) -> None:
    """Wait until all messages that are in the topics now are in the new tables. `check` raises when a process has ended.

    Raises DeploymentError when worker or sink make no progress, ClickHouseError and KafkaError.
    """
    after = generations.of_generation(settings, plan.after)
    consumed = groups.consumed_topics(after)
    total, least, since = 0, -1, time.monotonic()
    while True:
        check()
        left = sum(lag.records for lag in groups.lags(client, consumed))
        total = max(total, left)
        advance(total - left, total)
        if left <= NEARLY:
            break
        if least < 0 or left < least:
            least, since = left, time.monotonic()
        elif time.monotonic() - since > STALLED_SECONDS:
            raise DeploymentError(
                f"generation {plan.after} has made no progress for {STALLED_SECONDS:.0f} s; see the logs of its worker and sink"
            )
        time.sleep(_POLL_SECONDS)
    pipeline = PipelineProgress(client, after)
    pipeline.require_running()
    pipeline.await_all()
    with connected(generations.address_of(settings, plan.after)) as tables:
        write_definitions(tables, plan.definitions)
        reconcile(tables)
    advance(total, total)


def switch_over(plan: Plan, settings: Settings, *, despite_erasures: bool = False) -> None:
    """Show the new numbers: from here on dashboards read the new tables.

    Raises DeploymentError when the new tables might contain someone who was erased, ClickHouseError.
    """
    missing = history.erasures_missing(settings, plan.before, plan.after)
    if missing and not despite_erasures:
        raise DeploymentError(
            f"{missing} erasures were requested since generation {plan.after} was begun, perhaps too late for it. Run them again"
            f" with FIRSTCALL_GENERATION={plan.after}, then this command. If they find nobody to erase, add --despite-erasures"
        )
    history.copy_tables(settings, plan.before, plan.after, history.ALERT_TABLES)
    history.copy_dead_letters(settings, plan.before, plan.after, plan.lost_before)
    view_switch.switch_views(settings, plan.after)
    # Again, for what was written until the switch.
    history.copy_tables(settings, plan.before, plan.after)


def activate(settings: Settings, generation: int) -> bool:
    """Make a generation the one that runs from this data directory; False if a setting names the generation."""
    if is_given("generation"):
        return False
    generations.remember(settings.data_dir, generation)
    return True
