"""Commands of many requests at once share a few connections, and each gets its own answers."""

from __future__ import annotations

import asyncio

from tests.support.server.feed_sockets import CuttableProxy

from rollbook.errors import Unavailable
from rollbook_server.redis import BrokerRedis


async def write(redis: BrokerRedis, number: int) -> None:
    name = f"broker-redis-{number}"
    assert await redis.execute(("SET", name, number), ("GET", name)) == [b"OK", b"%d" % number]


def test_each_of_many_commands_at_once_gets_its_own_answers_over_few_connections(broker_url: str) -> None:
    async def main() -> None:
        redis = BrokerRedis(broker_url)
        writes = [write(redis, number) for number in range(300)]
        cancelled = asyncio.ensure_future(write(redis, 300))
        asyncio.get_running_loop().call_soon(cancelled.cancel)

        await asyncio.gather(*writes)

        (clients,) = await redis.execute(("CLIENT", "LIST"))
        assert clients.decode().count("cmd=get ") <= 4
        await redis.aclose()

    asyncio.run(main())


def test_a_lost_redis_is_announced_to_all_that_wait_and_the_next_commands_connect_again(broker_url: str) -> None:
    async def main() -> None:
        proxy = CuttableProxy()
        redis = BrokerRedis(await proxy.open(broker_url))
        await write(redis, 0)
        await proxy.cut()

        found = await asyncio.gather(*(write(redis, number) for number in range(100)), return_exceptions=True)

        assert {type(each) for each in found} == {Unavailable}
        await proxy.restore()
        await asyncio.gather(*(write(redis, number) for number in range(100)))
        await redis.aclose()
        await proxy.cut()

    asyncio.run(main())
