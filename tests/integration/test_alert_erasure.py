"""Alerts that name a company that is erased: gone from ClickHouse, from the running process, and not back after a restart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaException

from deploy.alerts.alert import Alert
from deploy.alerts.watch import Watch
from deploy.erasure.statements import Statements
from deploy.erasure.traces import ErasedId, count_traces, delete_alerts, naming_alerts
from schemas.config.monitors import Monitors
from sinks.clickhouse import Address, connect
from streams.alerting.series import HOUR_MS
from tests.integration.test_alerts import NOW_HOUR, Receiver, activated, delivered, fill, monitors, rows

ERASED: set[ErasedId] = {("company_id", "acme zq9")}
TABLES = ("alert_rows", "alert_delivery_rows", "monitor_rows")


@pytest.fixture
def address(database: str) -> Address:
    """A database in which the activations of one company are down to a tenth for ten hours, and those of another are not."""
    address = Address.parse(database)
    falling = activated(NOW_HOUR, 5.0, drop_from=NOW_HOUR - 10)
    steady = activated(NOW_HOUR, 4.0)
    fill(address, "profile_rows", [_of("acme zq9", "a", row) for row in falling])
    fill(address, "profile_rows", [_of("globex", "g", row) for row in steady])
    return address


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def _of(company: str, name: str, row: bytes) -> bytes:
    return row.replace(b'"id":"d', f'"company_id":"{company}","id":"{name}'.encode())


def _config(receiver: Receiver) -> Monitors:
    watched = {"activation": {"kind": "activations", "definition": "first_call", "segments": ["company"]}}
    return monitors(watched, pager={"kind": "alertmanager", "url": receiver.url})


def _erase(address: Address) -> list[str]:
    """What an erasure does with the company's developers and alerts; the ids of the alerts."""
    with connect(address) as client:
        client.command("DELETE FROM profile_rows WHERE company_id = 'acme zq9'")
    statements = Statements(address)
    alert_ids = naming_alerts(statements, ERASED)
    assert count_traces(statements, ERASED) != {}
    delete_alerts(statements, ERASED, alert_ids)
    assert count_traces(statements, ERASED) == {}
    statements.close()
    return alert_ids


def _kept(address: Address) -> bytes:
    """All that is written down, outdated rows too."""
    with connect(address) as client:
        return b"".join(client.raw_query(f"SELECT * FROM {table}", fmt="JSONEachRow") for table in TABLES)


def test_a_running_process_drops_an_alert_on_a_company_that_is_erased(address, receiver):
    published: list[Alert] = []
    watch = Watch(address, _config(receiver), published.append)
    watch.check(NOW_HOUR * HOUR_MS)
    delivered(watch)
    (alert,) = rows(address, "SELECT alert_id, segment, value FROM alerts")
    assert (alert["segment"], alert["value"]) == ("company", "acme zq9")
    assert b"acme zq9" in rows(address, "SELECT carried FROM monitor_rows")[0]["carried"].encode()
    assert watch.dispatch.alerts() == {alert["alert_id"]}

    assert _erase(address) == [alert["alert_id"]]
    assert _kept(address) == b""
    for hour in (0, 1):
        watch.check((NOW_HOUR + hour) * HOUR_MS)
        assert alert["alert_id"] not in watch.dispatch.alerts()
    watch.stop()
    assert [alert.value for alert in published if alert.value] == ["acme zq9"]
    assert b"acme zq9" not in _kept(address)
    assert b"activation" in _kept(address)


def test_a_restart_after_an_erasure_knows_nothing_of_the_alert(address, receiver):
    before = Watch(address, _config(receiver), None)
    before.check(NOW_HOUR * HOUR_MS)
    delivered(before)
    before.stop()
    _erase(address)
    after = Watch(address, _config(receiver), None)
    (evaluation,) = after.check(NOW_HOUR * HOUR_MS)
    assert after.dispatch.alerts() == set()
    after.stop()
    assert evaluation.status.condition == "quiet"
    assert b"acme zq9" not in _kept(address)


def test_an_alert_that_was_not_published_is_not_written_again(address, receiver):
    def unpublished(_: Alert) -> None:
        raise KafkaException("away")

    watch = Watch(address, _config(receiver), unpublished)
    watch.check(NOW_HOUR * HOUR_MS)
    delivered(watch)
    _erase(address)
    watch.check(NOW_HOUR * HOUR_MS + 60_000)
    watch.stop()
    assert b"acme zq9" not in _kept(address)


def test_alerts_on_others_stay(address, receiver):
    watch = Watch(address, _config(receiver), None)
    watch.check(NOW_HOUR * HOUR_MS)
    delivered(watch)
    watch.stop()
    statements = Statements(address)
    for others in ("acme", "zq", "activation", "company", "developer"):
        # The first is a word of the name: it goes as well, as with refused messages.
        expected = 1 if others == "acme" else 0
        assert len(naming_alerts(statements, {("company_id", others)})) == expected, others
    assert naming_alerts(statements, {("api_key", "acme zq9")}) == []
    statements.close()
