"""Many requests at once: threads or tasks that work a batch plan off.

The plan (`core.packing`) says which prompts share a request; here is only the concurrency, once
with threads and once with tasks.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .core.errors import XDMError
from .core.packing import BatchPlan, Outcome, Pack, PackResult, check_at_least_one
from .core.results import Completion, Usage, total_usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .core.flow import Flow


@dataclass
class Batch:
    """The outcomes of a batch.

    Attributes:
        outcomes: Per prompt, in order: a `Completion`, or the `XDMError` it failed with. The
            completions of prompts that shared a request have no `usage` of their own.
        usage: Token counts over all requests that succeeded, or None if the server gave none.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    usage: Usage | None = None

    @property
    def errors(self) -> list[XDMError]:
        """The errors, in the order of their prompts."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, XDMError)]

    @property
    def completions(self) -> list[Completion]:
        """The completions, in the order of their prompts.

        Raises:
            XDMError: A prompt failed: the first one's error.
        """
        for error in self.errors:
            raise error
        return [outcome for outcome in self.outcomes if isinstance(outcome, Completion)]


class _Work:
    """The state of a batch that is being worked off. Used by one thread, or under its lock."""

    def __init__(
        self,
        plan: BatchPlan,
        on_result: Callable[[int, Outcome], None] | None,
        *,
        stop_on_error: bool,
    ) -> None:
        self.todo = deque(plan.packs)
        self.busy = 0
        self._outcomes: list[Outcome | None] = [None] * len(plan.call.prompts)
        self._usages: list[Usage | None] = []
        self._on_result = on_result
        self._stop_on_error = stop_on_error
        self._first_error: XDMError | None = None

    def next(self) -> Pack | None:
        """Take the next pack, or None if there is none (now)."""
        if not self.todo:
            return None
        self.busy += 1
        return self.todo.popleft()

    def done(self, pack: Pack, result: PackResult) -> None:
        """Take note of a pack's result."""
        self.busy -= 1
        self.todo.extendleft(reversed(result.ask_alone))
        self._usages.append(result.usage)
        for position, outcome in zip(pack.positions, result.outcomes, strict=False):
            self._outcomes[position] = outcome
            if self._stop_on_error and isinstance(outcome, XDMError):
                self._first_error = self._first_error or outcome
                self.todo.clear()
            if self._on_result is not None:
                self._on_result(position, outcome)

    def batch(self) -> Batch:
        """Return the outcomes; a prompt that wasn't asked any more has the error that stopped it."""
        outcomes = [o if o is not None else self._first_error for o in self._outcomes]
        return Batch([o for o in outcomes if o is not None], total_usage(self._usages))


def run_batch(  # noqa: PLR0913 - one argument per setting
    plan: BatchPlan,
    drive: Callable[[Flow[PackResult]], PackResult],
    *,
    max_concurrency: int,
    on_result: Callable[[int, Outcome], None] | None = None,
    stop_on_error: bool = False,
) -> Batch:
    """Work a plan off with at most `max_concurrency` threads, and return the outcomes."""
    check_at_least_one("max_concurrency", max_concurrency)
    work = _Work(plan, on_result, stop_on_error=stop_on_error)
    changed = threading.Condition()
    crashes: list[BaseException] = []

    def worker() -> None:
        while True:
            with changed:
                pack = work.next()
                while pack is None and work.busy and not crashes:
                    changed.wait()
                    pack = work.next()
                if pack is None or crashes:
                    return
            try:
                result = drive(plan.flow(pack))
                with changed:
                    work.done(pack, result)
                    changed.notify_all()
            except BaseException as crash:  # noqa: BLE001 - raised again in the calling thread
                with changed:
                    crashes.append(crash)
                    changed.notify_all()
                return

    # Daemons, so that Ctrl-C in the calling thread ends the program at once.
    threads = [
        threading.Thread(target=worker, name=f"xdm-batch-{i}", daemon=True)
        for i in range(min(max_concurrency, len(plan.call.prompts)) - 1)
    ]
    try:
        if len(plan.packs) > 1 or len(plan.call.prompts) > 1:
            for thread in threads[: max(len(plan.packs) - 1, 0)]:
                thread.start()
        worker()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    except BaseException:
        work.todo.clear()
        raise
    if crashes:
        raise crashes[0]
    return work.batch()


async def run_batch_async(  # noqa: PLR0913 - one argument per setting
    plan: BatchPlan,
    drive: Callable[[Flow[PackResult]], Awaitable[PackResult]],
    *,
    max_concurrency: int,
    on_result: Callable[[int, Outcome], None] | None = None,
    stop_on_error: bool = False,
) -> Batch:
    """Work a plan off with at most `max_concurrency` tasks, and return the outcomes."""
    check_at_least_one("max_concurrency", max_concurrency)
    work = _Work(plan, on_result, stop_on_error=stop_on_error)
    changed = asyncio.Event()

    async def worker() -> None:
        while True:
            pack = work.next()
            if pack is None:
                if not work.busy:
                    return
                changed.clear()
                await changed.wait()
                continue
            result = await drive(plan.flow(pack))
            work.done(pack, result)
            changed.set()

    tasks = [asyncio.ensure_future(worker()) for _ in range(min(max_concurrency, len(plan.call.prompts)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return work.batch()
