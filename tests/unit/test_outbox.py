"""However large an update is, no message outgrows what Kafka takes by default."""

from __future__ import annotations

from schemas.config.definitions import load
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.facts.facts import Facts
from streams.messages.outbox import Outbox
from streams.messages.updates import CompanyUpdate, Contribution, decode
from streams.topology import COMPANY_UPDATES

KAFKAS_LIMIT_BYTES = 1_000_000


def test_a_company_with_many_busy_developers_gets_several_messages() -> None:
    outbox = Outbox(CompiledDefinitions(load()))
    facts = Facts(counted={0: [(1_767_571_200_000 + i, 2**62 + i) for i in range(100)]})
    contributions = [Contribution(f"user_id:u{i}", "", facts, i) for i in range(3_000)]
    for contribution in contributions:
        outbox.company("acme", contribution)
    messages = list(outbox.messages())
    assert {(message.topic, message.key) for message in messages} == {(COMPANY_UPDATES, b"acme")}
    assert max(len(message.value) for message in messages) < KAFKAS_LIMIT_BYTES
    updates = [decode(CompanyUpdate, message.value) for message in messages]
    received = [one for update in updates if isinstance(update, CompanyUpdate) for one in update.contributions]
    assert [(one.contributor, one.version) for one in received] == [
        (one.contributor, one.version) for one in contributions
    ]


def test_an_empty_outbox_has_no_messages() -> None:
    outbox = Outbox(CompiledDefinitions(load()))
    outbox.alias("api_key", "k1")
    assert list(outbox.messages()) == []
