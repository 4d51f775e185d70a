"""Long-lived tasks with an owner, a name and an end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from miauflixd.errors import MiauflixdError


class ServiceExitedError(MiauflixdError):
    """A service that should live as long as the daemon has returned."""

    code = "service_exited"


@asynccontextmanager
async def running(
    name: str, main: Callable[[], Coroutine[None, None, None]]
) -> AsyncIterator[None]:
    """Run a service for the length of the block, and end the block if the service ends first.

    Raises:
        ExceptionGroup: what the service or the block raised; `ServiceExitedError` if it returned.
    """

    async def guard() -> None:
        await main()
        raise ServiceExitedError(f"The service {name!r} ended by itself")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(guard(), name=name)
        try:
            yield
        finally:
            task.cancel()
