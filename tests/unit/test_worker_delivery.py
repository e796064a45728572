"""What a worker's stages wait for while the brokers take nothing."""

from __future__ import annotations

import asyncio

import pytest

from streams.runtime.producer import AcknowledgedProducer
from tests.conftest import free_port


@pytest.mark.timeout(60)
def test_while_there_is_no_room_in_the_queue_the_event_loop_turns():
    """On it run the other stages, and the lease by which a worker knows that it still has its partitions."""

    async def fill() -> None:
        options = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "queue.buffering.max.messages": 10}
        delivery = AcknowledgedProducer(options)
        for number in range(11):
            await delivery.send("updates", b"", b"%d" % number)

    async def fill_for_a_while() -> None:
        await asyncio.wait_for(fill(), 0.5)

    with pytest.raises(TimeoutError):
        asyncio.run(fill_for_a_while())
