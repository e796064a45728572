"""Dead letters on a running deployment: every poison is a dead letter and stops nothing, and a replay after a fix is exact."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer
from typer.testing import CliRunner

from deploy.cli.main import app
from schemas.config.definitions import Definitions, load
from sinks.clickhouse import connect
from streams.normalise.suppression_list import Suppression, digest_of, name_of
from streams.runtime.suppression_feed import message_of
from streams.topology import MAX_INPUT_BYTES
from tests.support.erasing import Deployment
from tests.support.reference import Record, compute, differences
from tests.support.worlds import DAY, HOUR, MONDAY, SECRETS, journey, page_viewed, record, signed_up
from tests.support.worlds.poison import POISON

pytestmark = pytest.mark.timeout(600)

#: Before this time, a version of the program refused all events, which was its fault.
CUT = MONDAY + DAY
#: A sound event stays away from the start that a dead letter shows, so that no one is found by it.
LONG = {"text": "x" * 3_000}

OLD_CALL = {"type": "track", "event": "Signed Up", "userId": "bea", "timestamp": "2026-01-05T08:00:00Z"}
NEW_CALL = {"type": "track", "event": "Signed Up", "userId": "cleo", "timestamp": "2026-01-07T08:00:00Z"}
HOPELESS_CALL = {"type": "track", "event": "Signed Up"}
MIXED = Record("web", {"batch": [OLD_CALL, HOPELESS_CALL, NEW_CALL]}, MONDAY + 3 * DAY)
SENT = [
    *journey().records,
    MIXED,
    # Their times are those of their messages.
    Record("web", {"name": "Signed Up", "user_id": "dan"}, MONDAY + HOUR),
    Record(
        "api", {"name": "API Call", "api_key": "sk_live_dan", "user_id": "dan", "properties": {"status": 200}}, MONDAY
    ),
]
GONE = [
    record({**page_viewed(MONDAY + HOUR, "/docs"), "properties": LONG, "user_id": "zq7-gone"}),
    record(signed_up(MONDAY + 2 * HOUR, user_id="zq7-gone", company_id="acme")),
]


class Aging(Deployment):
    """A deployment that begins with a version that refuses what it should not, and goes on with this one."""

    def __init__(self, broker: str, name: str, directory: Path, meaning: Definitions, database: str) -> None:
        super().__init__(broker, name, directory, meaning, database)
        older = (
            f"from streams.normalise import clock; clock.OLDEST_MS = {CUT}; from deploy.cli.main import main; main()"
        )
        self.program = ("-c", older)

    def renew(self) -> None:
        self.stop()
        self.program = Deployment.program
        self.start("worker-1")
        self.start_sink()

    def rows(self, sql: str) -> list[Any]:  # type: ignore[override]
        with connect(self.address) as client:
            return [tuple(row) for row in client.query(sql).result_rows]


def send(
    deployment: Deployment, topic: str, value: bytes | None, key: bytes | None = None, timestamp: int = MONDAY
) -> None:
    options = {"bootstrap.servers": deployment.settings.brokers, "message.max.bytes": 2 * MAX_INPUT_BYTES}
    failed: list[KafkaError] = []
    producer = Producer(options)
    producer.produce(
        deployment.settings.topic(topic),
        value,
        key,
        timestamp=timestamp,
        on_delivery=lambda error, _: failed.append(error) if error else None,
    )
    assert producer.flush(60) == 0
    if failed:
        raise RuntimeError(failed[0].name())


def erase(deployment: Deployment, user: str) -> None:
    """Publish that a user has been erased, as `firstcall erase` begins."""
    mark = Suppression(
        "user_id", digest_of(SECRETS[-1], "user_id", user), [(0, MONDAY + 100 * DAY)], name_of(SECRETS[-1])
    )
    message = message_of(mark)
    send(deployment, message.topic, message.value, message.key)


def differing(deployment: Deployment) -> list[str]:
    expected, actual = compute(SENT, load(), SECRETS), deployment.published()
    actual.rejected = expected.rejected
    # Their ids are derived from their content, by the reference in another way. They are counted instead.
    actual.events, actual.event_rows = expected.events, expected.event_rows
    return differences(expected, actual)


@pytest.mark.long
def test_poison_is_a_dead_letter_and_a_replay_after_a_fix_is_exact(
    broker: str, unique: str, tmp_path: Path, database: str
) -> None:
    deployment = Aging(broker, unique, tmp_path, load(), database)

    def command(*arguments: str, code: int = 0) -> str:
        found, printed = deployment.run("dead-letters", *arguments)
        assert found == code, printed
        return printed

    def letters(*arguments: str) -> list[dict[str, Any]]:
        lines = command("list", "--format", "json", "--limit", "1000", *arguments).splitlines()
        return [json.loads(line) for line in lines]

    try:
        # ClickHouse refuses some rows of a batch.
        deployment.rows("ALTER TABLE profile_rows ADD CONSTRAINT mistaken CHECK id NOT IN ('cleo', 'ada')")
        deployment.start("worker-1")
        deployment.start_sink()
        for _, value, _ in POISON:
            # After the cut: whatever is wrong with it, it is not its age.
            send(deployment, "web-events", value, timestamp=CUT + HOUR)
        with pytest.raises(RuntimeError, match="MSG_SIZE_TOO_LARGE"):
            send(deployment, "web-events", b"x" * (MAX_INPUT_BYTES + 1_000))
        for topic in ("alias-updates", "merges", "developer-updates", "company-updates"):
            send(deployment, topic, b'{"someone": "else"}', b"k")
            send(deployment, topic, None, b"k")
        send(deployment, "identities", b'{"name": "Signed Up"}', b"k")
        deployment.feed([*SENT, *GONE])
        deployment.arrive()

        # Each poison once, with its place; what else was refused; the rest has arrived.
        listed = letters()
        assert all(letter["topic"] and letter["partition"] >= 0 and letter["offset"] >= 0 for letter in listed)
        assert all(letter["detail"] for letter in listed)
        reasons = [letter["reason"] for letter in listed]
        expected = Counter(reason for _, _, reason in POISON) + Counter(["no_identifier"])
        others = {"ancient", "row_refused", "not_an_update"}
        found = Counter(reason for reason in reasons if reason not in others)
        assert found == Counter({reason: count for reason, count in expected.items() if reason not in others})
        assert reasons.count("not_an_update") == 8
        rows_refused = Counter(
            letter["topic"].rpartition("-")[2] for letter in listed if letter["reason"] == "row_refused"
        )
        assert rows_refused["identities"] == 1
        assert rows_refused["profiles"] >= 2
        assert rows_refused.total() == rows_refused["identities"] + rows_refused["profiles"]
        assert deployment.rows("SELECT count() FROM events WHERE user_id = 'cleo'") == [(1,)]
        profiles = {name for (name,) in deployment.rows("SELECT id FROM profile_rows")}
        assert not profiles & {"cleo", "ada"}
        assert "anonymous_id:laptop" in profiles
        (mixed,) = [letter for letter in letters("--reason", "ancient") if letter["field"].startswith("batch[0]")]
        place = f"{mixed['topic']}/{mixed['partition']}/{mixed['offset']}"
        shown = command("show", place)
        assert "batch[1]" in shown
        assert '{"batch":[{"type":"track","event":"Signed Up","userId":"bea"' in shown
        assert len(letters("--id", place)) == 2
        filters = ("--topic", "web-events", "--topic", "api-events", "--reason", "ancient")
        assert letters(*filters, "--until", "2026-01-05T12:00:00Z") == [
            letter for letter in listed if letter["reason"] == "ancient" and letter["recorded_at"] < "2026-01-05T12:00"
        ]
        assert "there is no dead letter" in command("show", "web-events/0/99999999", code=2)

        # The program is mended, and so is the table.
        deployment.renew()
        deployment.rows("ALTER TABLE profile_rows DROP CONSTRAINT mistaken")
        erase(deployment, "zq7-gone")
        before = len(listed)
        tried = command("replay", "--dry-run", code=1)
        assert "refused again: erased; as" in tried
        assert len(letters()) == before
        one = command("replay", "--id", place)
        assert "Sent 1 message again." in one

        # Interrupted before anything of it was noted: all of it is sent once more.
        first = command("replay", code=1)
        deployment.rows("TRUNCATE TABLE dead_letter_replay_rows")
        second = command("replay", code=1)
        assert int(tried.split()[2]) == int(second.split()[1]) == int(first.split()[1]) + 1
        assert "2 refused again: erased" in second
        assert "1 refused again: row_refused" in second
        deployment.arrive()

        assert differing(deployment) == []
        sent = len({json.dumps(one.value, sort_keys=True) for one in SENT}) + 1
        assert deployment.rows("SELECT count() FROM events") == [(sent,)]
        assert deployment.rows("SELECT count() FROM events WHERE user_id = 'zq7-gone'") == [(0,)]
        # Of the batch, only the hopeless call is left: at its new places, as it was sent twice.
        left = [letter for letter in letters() if letter["reason"] == "no_identifier" and letter["field"] == "batch[1]"]
        assert [letter["offset"] > mixed["offset"] for letter in left] == [True, True]
        assert [letter["replayed_at"] for letter in letters("--replayed", "--id", place)] != [None, None]
        assert "Sent 0 messages again." in command("replay", code=1)
    finally:
        deployment.stop()


@pytest.mark.parametrize(
    ("arguments", "text"), [(["--id", "web-events"], "topic/partition/offset"), (["--since", "soon"], "2026-05-18")]
)
def test_a_wrong_filter_is_explained(arguments: list[str], text: str) -> None:
    done = CliRunner().invoke(app, ["dead-letters", "list", *arguments])
    assert (done.exit_code, text in done.output) == (2, True), done.output
