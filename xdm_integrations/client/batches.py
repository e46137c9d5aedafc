"""Many requests at once: threads or tasks that work a batch plan off.

The plan (`core.packing`) says which prompts share a request; here is only the concurrency, once
with threads and once with tasks.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from xdm_integrations.core.completions.results import Completion
from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.batching import Outcome, Pack, PackResult, check_at_least_one
from xdm_integrations.core.protocol.results import Usage, total_usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from xdm_integrations.core.completions.packing import BatchPlan
    from xdm_integrations.core.protocol.flow import Flow


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
        self.most_at_once = len(plan.call.prompts)
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
        if self._first_error is None:
            self.todo.extendleft(reversed(result.retry_singly))
        self._usages.append(result.usage)
        for position, outcome in zip(pack.positions, result.outcomes, strict=False):  # none where the pack was split
            self._outcomes[position] = outcome
            if self._stop_on_error and isinstance(outcome, XDMError):
                self._first_error = self._first_error or outcome
                self.todo.clear()
            tell = self._on_result
            if tell is not None:
                self._on_result = None  # if it crashes, nobody is told anything more
                try:
                    tell(position, outcome)
                except BaseException:
                    self.todo.clear()  # nor asked, while this thread is on its way to say that it crashed
                    raise
                self._on_result = tell

    def batch(self) -> Batch:
        """Return the outcomes; a prompt that wasn't asked any more has the error that stopped it."""
        outcomes = [o if o is not None else self._first_error for o in self._outcomes]
        return Batch([o for o in outcomes if o is not None], total_usage(self._usages))


def run_batch(
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
    _Crew(work, lambda pack: drive(plan.flow(pack)), max_concurrency).run()
    return work.batch()


class _Crew:
    """Threads that work a batch off together. Their number grows only when a pack is split."""

    def __init__(self, work: _Work, ask: Callable[[Pack], PackResult], most: int) -> None:
        self._work = work
        self._ask = ask
        self._most = most
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._crash: BaseException | None = None

    def run(self) -> None:
        """Work until nothing is left to do.

        Raises:
            BaseException: What a thread crashed with, such as an error of a hook.
        """
        try:
            self._call_in_help()
            self._work_off()
            if self._crash is None:
                for thread in self._threads:
                    thread.join()
        except BaseException:
            self._work.todo.clear()
            raise
        if self._crash is not None:
            raise self._crash

    def _call_in_help(self) -> None:
        with self._changed:
            wanted = min(self._most, len(self._work.todo) + self._work.busy) - 1
            while len(self._threads) < wanted:
                name = f"xdm-batch-{len(self._threads)}"
                # A daemon, so that Ctrl-C in the calling thread ends the program at once.
                thread = threading.Thread(target=self._in_context(), name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _in_context(self) -> Callable[[], None]:
        """Return `_work_off` bound to the caller's context, so that hooks find what was left there."""
        return partial(copy_context().run, self._work_off)

    def _work_off(self) -> None:
        try:
            while (pack := self._next()) is not None:
                result = self._ask(pack)
                with self._changed:
                    if self._crash is not None:
                        return  # nobody waits for this any more
                    self._work.done(pack, result)
                    if result.retry_singly:
                        self._call_in_help()
                    self._changed.notify_all()
        except BaseException as crash:  # noqa: BLE001 - raised again by `run`, in the calling thread
            with self._changed:
                self._crash = self._crash or crash
                self._work.todo.clear()
                self._work.busy = 0
                self._changed.notify_all()

    def _next(self) -> Pack | None:
        """Take the next pack; wait while a pack that is being asked for may still be split."""
        with self._changed:
            while not self._work.todo and self._work.busy > 0:
                self._changed.wait()
            return self._work.next()


async def run_batch_async(
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
                if work.busy <= 0:
                    return
                changed.clear()
                await changed.wait()
                continue
            result = await drive(plan.flow(pack))
            work.done(pack, result)
            changed.set()

    tasks = [asyncio.ensure_future(worker()) for _ in range(min(max_concurrency, work.most_at_once))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return work.batch()
