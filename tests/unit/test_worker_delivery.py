"""A worker whose brokers accept nothing: its producer waits, and its event loop goes on."""

from __future__ import annotations

import asyncio

import pytest

from streams.runtime.producer import AcknowledgedProducer
from tests.conftest import free_port


@pytest.mark.timeout(60)
def test_while_the_queue_is_full_the_event_loop_turns():
    """The other processors and the lease run on it."""

    async def fill() -> None:
        options = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "queue.buffering.max.messages": 10}
        producer = AcknowledgedProducer(options)
        for number in range(11):
            await producer.send("updates", b"", b"%d" % number)

    async def fill_for_a_while() -> None:
        await asyncio.wait_for(fill(), 0.5)

    with pytest.raises(TimeoutError):
        asyncio.run(fill_for_a_while())
