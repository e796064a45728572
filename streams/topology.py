"""All topics with their partitions and retention: the whole dataflow on one screen.

    web-events ─┐ normalise_events        fold_aliases           fold_developers          fold_companies
    api-events ─┴───────────────▶ alias-updates ───▶ developer-updates ───▶ company-updates ───▶ (profiles)
                        └───────▶ merges ── resolve_merges ──▶┘

Every fold also publishes rows for ClickHouse: identities, profiles, activity, rolling-counts, dead-letters.
The suppression list is on `erasures`; every process that turns messages into events reads it.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from schemas.event import ERASURES_TOPIC, TOPIC_BY_SOURCE

WEB_EVENTS: Final = TOPIC_BY_SOURCE["web"]
API_EVENTS: Final = TOPIC_BY_SOURCE["api"]
ERASURES: Final = ERASURES_TOPIC
ALIAS_UPDATES: Final = "alias-updates"
DEVELOPER_UPDATES: Final = "developer-updates"
COMPANY_UPDATES: Final = "company-updates"
MERGES: Final = "merges"
IDENTITIES: Final = "identities"
PROFILES: Final = "profiles"
ACTIVITY: Final = "activity"
ROLLING_COUNTS: Final = "rolling-counts"
DEAD_LETTERS: Final = "dead-letters"
ALERTS: Final = "alerts"


class Topic(msgspec.Struct, frozen=True):
    """A topic by its name in code; `Settings.topic` gives the one in Kafka.

    `cleanup`: Kafka's cleanup policy. `single`: one partition; all other topics have FIRSTCALL_PARTITIONS.
    `retention_days`: for topics that are deleted by age; None: the broker's default; negative: for ever.
    `deploy.services.topics` creates the topics. It changes no existing topic.
    """

    name: str
    cleanup: Literal["delete", "compact"]
    single: bool = False
    retention_days: int | None = None


#: Rows and updates of the busiest alias or company; the state's bounds (README.md) are far below, brokers' default is not.
MAX_MESSAGE_BYTES: Final = 32 * 1024**2

#: Configuration of every topic that only Firstcall writes to, changelogs too. The brokers' clock dates records: a worker's clock
#: that jumps would have them refused (too far ahead), or deleted by age before they are worked on (too far behind).
OWN_TOPICS: Final = {"max.message.bytes": str(MAX_MESSAGE_BYTES), "message.timestamp.type": "LogAppendTime"}

#: An event is at most 1 MB (streams.normalise.normaliser). What is larger comes in up to this, so that it becomes a dead letter and not
#: an error that only its producer sees; what is larger still, Kafka refuses.
MAX_INPUT_BYTES: Final = 16 * 1024**2

#: What producers write to.
INPUTS: Final = (Topic(WEB_EVENTS, "delete", retention_days=-1), Topic(API_EVENTS, "delete", retention_days=-1))

#: The suppression list. It holds for the inputs, whichever streams read these, and for ever.
SUPPRESSIONS: Final = (Topic(ERASURES, "compact", single=True),)

#: Updates between processors. Acknowledged ones are part of the state, so only age deletes them.
UPDATES: Final = (
    Topic(ALIAS_UPDATES, "delete", retention_days=7),
    Topic(DEVELOPER_UPDATES, "delete", retention_days=7),
    Topic(COMPANY_UPDATES, "delete", retention_days=7),
    Topic(MERGES, "delete", single=True, retention_days=7),
)

#: What the sink writes to ClickHouse: absolute rows, the latest of each key is enough.
ROWS: Final = (
    Topic(IDENTITIES, "compact"),
    Topic(PROFILES, "compact"),
    Topic(ACTIVITY, "compact"),
    Topic(ROLLING_COUNTS, "compact"),
    Topic(DEAD_LETTERS, "delete", retention_days=30),
)

#: The latest state of each alert, published by `firstcall alerts`, which writes its rows to ClickHouse itself.
NOTIFICATIONS: Final = (Topic(ALERTS, "compact", single=True),)

TOPICS: Final = (*INPUTS, *SUPPRESSIONS, *UPDATES, *ROWS, *NOTIFICATIONS)


def source_of(topic: str) -> Literal["web", "api"]:
    """The source of events on an input topic (with or without a prefix) that do not name their own."""
    return "api" if topic.endswith(API_EVENTS) else "web"
