"""`firstcall erase` on a running deployment: real Kafka, worker, sink and ClickHouse, while events flow."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec
import pytest

from deploy.alerts.alert import trial
from deploy.alerts.alert_rows import AlertRows
from deploy.alerts.evaluator import Carried
from deploy.alerts.publisher import publisher
from schemas.config.definitions import load
from sinks.clickhouse import connect
from streams.topology import ALERTS
from tests.support.erasing import Deployment, deployed
from tests.support.reference import Erasure, Record, compute, differences
from tests.support.worlds import (
    DAY,
    HOUR,
    MONDAY,
    SECRETS,
    api_call,
    identify,
    key_alias,
    merge,
    page_viewed,
    record,
    segment,
    signed_up,
)

pytestmark = pytest.mark.timeout(300)

NOW = int(time.time() * 1000)

#: Ann: merged from an older id, with a phone of her own and a key of her own; she shares a laptop and a key with Bob, who has
#: a session on the laptop while it is hers, and Acme with Bob and Carol. Whatever names her holds `zq7`, but for her key, which is kept as a hash.
ANN = [
    record(page_viewed(MONDAY, anonymous_id="zq7-phone", context={"campaign": {"name": "spring"}})),
    record(signed_up(MONDAY + HOUR, user_id="zq7-ann", anonymous_id="zq7-phone", company_id="acme")),
    record(page_viewed(MONDAY + 2 * HOUR, anonymous_id="laptop")),
    record(identify(MONDAY + 3 * HOUR, "zq7-ann", anonymous_id="laptop", traits={"email": "zq7@acme.example"})),
    record(segment(page_viewed(MONDAY + DAY, anonymous_id="laptop", session_token="zq7-session"), skew=HOUR)),
    record(identify(MONDAY + DAY, "zq7-ann", session_token="zq7-session")),
    record(page_viewed(MONDAY + DAY, anonymous_id="zq7-phone", session_token="zq7-lone")),
    record(page_viewed(MONDAY + DAY + HOUR, session_token="zq7-lone")),
    record(signed_up(MONDAY + HOUR, user_id="zq7-of-old")),
    record(merge(MONDAY + 2 * DAY, "zq7-of-old", "zq7-ann")),
    record(api_call(MONDAY + DAY, api_key="sk_live_ann", user_id="zq7-of-old")),
    record(api_call(MONDAY + 2 * DAY, api_key="sk_live_ann")),
    record(api_call(MONDAY + 2 * DAY, api_key="sk_live_team", user_id="zq7-ann", company_id="acme")),
    record(api_call(MONDAY + 3 * DAY, api_key="sk_live_team")),
    Record("web", {"name": "Signed Up", "user_id": "zq7-ann", "time": "yesterday"}, MONDAY),
]
OTHERS = [
    record(identify(MONDAY + 9 * DAY, "bob", anonymous_id="laptop")),
    record(page_viewed(MONDAY + 10 * DAY, anonymous_id="laptop")),
    record(page_viewed(MONDAY + 4 * HOUR, anonymous_id="laptop", session_token="of-bob")),
    record(identify(MONDAY + 9 * DAY, "bob", session_token="of-bob")),
    record(signed_up(MONDAY + 9 * DAY, user_id="bob", company_id="acme")),
    record(api_call(MONDAY + 9 * DAY, api_key="sk_live_team", user_id="bob")),
    record(signed_up(MONDAY, user_id="carol", company_id="acme")),
    record(api_call(MONDAY + DAY, api_key="sk_live_carol", user_id="carol", company_id="globex-zq8")),
    record(api_call(MONDAY + 2 * DAY, api_key="sk_live_carol")),
    record(signed_up(MONDAY + DAY, user_id="dave", company_id="globex-zq8")),
    Record("web", {"name": "Signed Up", "user_id": "dave", "time": "yesterday"}, MONDAY),
]
#: What comes while the command runs.
STREAM = [
    record(
        api_call(
            MONDAY + 20 * DAY + number * HOUR, api_key="sk_live_team", user_id="bob", message_id=f"stream-{number}"
        )
    )
    for number in range(150)
] + [
    record(page_viewed(MONDAY + 20 * DAY + number * HOUR, user_id="carol", company_id="acme")) for number in range(150)
]


class Flowing:
    """Feeds records one by one for as long as it is entered, and the rest of them then."""

    def __init__(self, deployment: Deployment, records: list[Record]) -> None:
        self._deployment = deployment
        self._left = list(records)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._deployment.feed(self._left)

    def _run(self) -> None:
        while self._left and not self._done.wait(0.1):
            self._deployment.feed([self._left.pop()])


def test_a_person_and_a_company_are_erased_while_events_flow(
    broker: str, unique: str, tmp_path: Path, database: str
) -> None:
    meaning = load()
    received = ANN + OTHERS
    erasures: list[Erasure] = []

    def differing() -> list[str]:
        expected, actual = compute(received, meaning, SECRETS, erasures), deployment.published()
        actual.rejected = expected.rejected
        # Whether the views go on after the present, where someone's later life has just begun, is not looked at here.
        for numbers in (expected, actual):
            numbers.rolling = {place: step for place, step in numbers.rolling.items() if place[3] < NOW + DAY}
        return differences(expected, actual)

    with deployed(broker, unique, tmp_path, meaning, database) as deployment:
        deployment.feed(received)
        deployment.arrive()
        assert differing() == []
        alerted(deployment, path="/invited-by/zq7-ann")
        alerted(deployment, company="globex-zq8")
        alerted(deployment, company="acme")

        code, printed = deployment.erase("--user", "nobody-zq7", "--yes")
        assert (code, "no event in ClickHouse names this id" in printed) == (2, True), printed
        code, printed = deployment.erase("--user", "zq7-ann", "--dry-run")
        assert code == 0, printed
        assert "This person: 14 event rows, 2 API keys" in printed
        assert differing() == []

        deployment.interrupted_erase("Feeding the remaining", "--user", "zq7-ann", "--yes")
        code, printed = deployment.erase("--user", "dave", "--yes")
        assert (code, "another erasure is at work, or was interrupted" in printed) == (1, True), printed
        deployment.interrupted_erase("Deleting events", "--user", "zq7-ann", "--yes")
        with Flowing(deployment, STREAM):
            code, printed = deployment.erase("--user", "zq7-ann", "--yes")
        assert code == 0, printed
        assert "It was begun before and interrupted; it goes on" in printed
        erasures.append(Erasure("developer", "zq7-ann", int(time.time() * 1000), received))
        received = received + STREAM
        deployment.arrive()
        assert differing() == []
        not_there(deployment, b"zq7-", key_alias("sk_live_ann").encode())
        kept = deployment.kept()
        assert b"dave" in kept["dead_letter_rows"]
        assert b"globex-zq8" in kept["alert_rows"]
        assert b"globex-zq8" in kept["monitor_rows"]
        assert b"globex-zq8" in kept[deployment.settings.topic(ALERTS)]

        # What was erased comes once more, and someone new by the same name.
        later = int(time.time() * 1000) + HOUR
        again = [*ANN[:-1], record(signed_up(later, user_id="zq7-ann", anonymous_id="laptop"), later)]
        deployment.feed(again)
        received = received + again
        deployment.arrive()
        assert differing() == []
        assert deployment.published().developers["zq7-ann"]["stages"] == {"signup": later}
        with connect(deployment.address) as client:
            letters = client.query("SELECT payload, count() FROM dead_letters WHERE reason = 'erased' GROUP BY payload")
            assert [tuple(row) for row in letters.result_rows] == [("", len(ANN) - 1)]

        code, printed = deployment.erase("--company", "globex-zq8", "--yes")
        assert code == 0, printed
        erasures.append(Erasure("company", "globex-zq8", int(time.time() * 1000), received))
        assert differing() == []
        not_there(deployment, b"globex-zq8")
        kept = deployment.kept()
        assert all(
            b"acme" in kept[place] for place in ("alert_rows", "monitor_rows", deployment.settings.topic(ALERTS))
        )
        code, printed = deployment.erase("--company", "globex-zq8", "--yes")
        assert (code, "Nothing to do: erased on" in printed) == (0, True), printed
        recorded(deployment)


def alerted(deployment: Deployment, **scope: str) -> None:
    """An alert about a segment that fires: its row, that of its monitor, and its message."""
    ((segment, value),) = scope.items()
    alert = msgspec.structs.replace(
        trial(NOW), alert_id=f"alert-{segment}-{len(value)}", state="firing", reason="", segment=segment, value=value
    )
    alert = msgspec.structs.replace(alert, summary=f"It concentrates in {segment} = {value}")
    monitor = {
        "monitor": f"{segment}-{len(value)}",
        "kind": "activations",
        "evaluated_at": NOW,
        "condition": "dropped",
        "carried": msgspec.json.encode(Carried(holds=alert)).decode(),
        "version": NOW,
    }
    rows = AlertRows(deployment.address)
    rows.write_alert(alert)
    rows.write_monitor(monitor)
    rows.close()
    publisher(deployment.settings)(alert)


def not_there(deployment: Deployment, *names: bytes) -> None:
    """Nothing that is kept holds any of the names."""
    for place, content in deployment.kept().items():
        for name in names:
            where = content.find(name)
            assert where < 0, f"{name!r} in {place}: {content[max(0, where - 300) : where + 200]!r}"


def recorded(deployment: Deployment) -> None:
    with connect(deployment.address) as client:
        rows = client.query(
            "SELECT level, events, users, aliases, keys, completed_at >= asked_at FROM erasures ORDER BY asked_at"
        ).result_rows
    assert [tuple(row) for row in rows] == [("developer", 14, 2, 4, 2, True), ("company", 3, 0, 0, 1, True)]
