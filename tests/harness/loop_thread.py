"""An event loop in a thread of its own, for what serves while a test does other things."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tests.harness.errors import HarnessError

Answer = TypeVar("Answer")


class LoopThread:
    """Runs coroutines for other threads."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        # Its threads only wait, so their number has nothing to do with that of the cores.
        self.loop.set_default_executor(ThreadPoolExecutor(32, thread_name_prefix=name))
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, work: Coroutine[Any, Any, Answer], seconds: float = 30) -> Answer:
        """What the coroutine returns or raises; called from any thread but the loop's own."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            if future.done():
                raise
            future.cancel()
            raise HarnessError(f"{getattr(work, '__qualname__', work)}: not within {seconds:g} s") from None

    def soon(self, work: Callable[[], object]) -> None:
        """Have the loop call it, without waiting for that."""
        self.loop.call_soon_threadsafe(work)

    def stop(self) -> None:
        """End the loop, its tasks and the thread."""
        if self.loop.is_closed():
            return
        self.call(_end_tasks())
        self.call(self.loop.shutdown_asyncgens())
        self.call(self.loop.shutdown_default_executor())
        self.soon(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
