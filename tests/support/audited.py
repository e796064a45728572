"""Worlds run through the streams and the sink into ClickHouse, and what an audit finds in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clickhouse_connect.driver import Client

from deploy.audit import Audit, Difference
from schemas.config.definitions import Definitions
from sinks.clickhouse import Address, connected
from sinks.insert import RowInserter
from sinks.message_rows import RowCollector
from sinks.reconcile import reconcile
from streams.local import LocalRunner
from streams.messages.outbox import Message
from streams.normalise.normaliser import Normaliser
from tests.support.contract_reader import wire
from tests.support.reference import Record
from tests.support.worlds import SECRETS


def load(
    address: Address, records: Iterable[Record], definitions: Definitions, secrets: Sequence[Sequence[bytes]] = ()
) -> None:
    """Run messages through the streams and the sink. `secrets`: those in force for each message, the oldest first."""
    writer = RowInserter(address)
    sink = RowCollector(writer, Normaliser(definitions, SECRETS))

    def take(rows: list[Message]) -> None:
        for row in rows:
            sink.add(row.topic, row.value, 0)

    runner = LocalRunner(definitions, SECRETS, take)
    for place, one in enumerate(records):
        if secrets:
            sink.normaliser = runner._normaliser = Normaliser(definitions, secrets[place])
        topic, value = f"{one.topic}-events", wire(one)
        runner.feed(topic, [(one.timestamp_ms, value)])
        sink.add(topic, value, one.timestamp_ms)
    runner.run_until_idle()
    sink.write()
    sink.close()
    with connected(address) as client:
        reconcile(client)
        # Moments of ClickHouse are whole seconds: what was written and reconciled in one counts as reconciled in the next.
        client.command(
            "INSERT INTO reconciliation_rows SELECT max(reconciled_at) + 1, max(number) + 1 FROM reconciliation_rows"
        )


def differences(found: Audit) -> dict[str, list[Difference]]:
    """All that is wrong, by published thing."""
    return {finding.published: finding.differences for finding in found.findings if finding.wrong}


def unproven(found: Audit) -> dict[str, int]:
    """How much of a published thing only a later copy explains."""
    return {finding.published: finding.unproven for finding in found.findings if finding.unproven}


def compared(found: Audit) -> dict[str, int]:
    """How many of each published thing there were."""
    return {finding.published: finding.compared for finding in found.findings}


def working_tables(client: Client) -> int:
    """How many tables of audits there are."""
    query = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND startsWith(name, 'audit_')"
    return int(client.query(query).result_rows[0][0])
