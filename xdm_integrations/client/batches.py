"""Many requests at once: threads or tasks that work packs off.

Which items share a request is decided before (`core.protocol.batching`); here is only the concurrency,
once with threads and once with tasks, for every endpoint and both adapters.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.batching import (
    MOST_REFUSALS,
    Pack,
    PackResult,
    check_at_least_one,
    check_callback,
)
from xdm_integrations.core.protocol.results import Usage, total_usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

Answer = TypeVar("Answer")


@dataclass
class Batch(Generic[Answer]):
    """The outcomes of a batch.

    Attributes:
        outcomes: Per item, in order: its answer, or the `XDMError` it failed with. The
            completions of prompts that shared a request have no `usage` of their own.
        usage: Token counts over all requests that succeeded, or None if the server gave none.
    """

    outcomes: list[Answer | XDMError] = field(default_factory=list)
    usage: Usage | None = None

    @property
    def errors(self) -> list[XDMError]:
        """The errors, in the order of their items."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, XDMError)]

    @property
    def completions(self) -> list[Answer]:
        """The answers, in the order of their items.

        Raises:
            XDMError: An item failed: the first one's error.
        """
        for error in self.errors:
            raise error
        return [outcome for outcome in self.outcomes if not isinstance(outcome, XDMError)]


class _Progress:
    """What of a batch is done. Used by one thread, or under its lock.

    Attributes:
        todo: Packs that nobody works on yet; of an iterator's, the next ones.
        busy: How many are being worked on.
        stopped: True once an item has failed and the rest isn't wanted.
        count: How many items there are; 0 for an iterator, of which no outcomes are kept.
    """

    def __init__(
        self,
        packs: Sequence[Pack] | Iterator[Pack],
        on_result: Callable[[int, Any], None] | None,
        *,
        stop_on_error: bool,
        ahead: int = 0,
    ) -> None:
        check_callback(on_result)
        known = packs if isinstance(packs, Sequence) else ()
        self.todo = deque(known)
        self._more = iter(() if known else packs)
        self._ahead = ahead
        self._look_ahead()
        self.busy = 0
        self.stopped = False
        self.count = sum(len(pack.positions) for pack in known)
        self._outcomes: list[Any] = [None] * self.count
        self._usage: Usage | None = None
        self._on_result = on_result
        self._stop_on_error = stop_on_error
        self._first_error: XDMError | None = None
        self._refusals = 0

    @property
    def over(self) -> bool:
        """True if nothing more is to be waited for."""
        return self.stopped or not (self.todo or self.busy)

    def next(self) -> Pack:
        """Take the next pack."""
        pack = self.todo.popleft()
        self.busy += 1
        self._look_ahead()
        return pack

    def drop(self) -> None:
        """Leave what nobody works on yet."""
        self._more = iter(())
        self.todo.clear()

    def _look_ahead(self) -> None:
        """Take as many packs from an iterator as can be worked on: an empty `todo` means that all are taken."""
        self.todo.extend(islice(self._more, max(0, self._ahead - len(self.todo))))

    def done(self, pack: Pack, result: PackResult) -> None:
        """Take note of a pack's result."""
        self.busy -= 1
        if self._first_error is None:
            self.todo.extendleft(reversed(result.retry))
        self._count_refusals(result)
        self._usage = total_usage([self._usage, result.usage])
        for position, outcome in zip(pack.positions, result.outcomes, strict=False):  # none where `retry` has them
            if self.count:
                self._outcomes[position] = outcome
            if self._stop_on_error and isinstance(outcome, XDMError):
                self._first_error = self._first_error or outcome
                self.stopped = True
                self.drop()
            callback = self._on_result
            if callback is not None:
                self._on_result = None  # if it crashes, there are no further callbacks
                try:
                    callback(position, outcome)
                except BaseException:
                    self.drop()  # and no further requests, while the crash is on its way
                    raise
                self._on_result = callback

    def _count_refusals(self, result: PackResult) -> None:
        """Leave the rest where request after request was refused for what all have in common; an iterator's may not."""
        if result.refusal is None:
            self._refusals = 0 if result.outcomes else self._refusals
            return
        self._refusals += 1
        if self.count and self._refusals >= MOST_REFUSALS:
            self._first_error = self._first_error or result.refusal
            self.drop()

    def batch(self) -> Batch[Any]:
        """Return the outcomes; an item that wasn't answered any more has the error that stopped the batch."""
        outcomes = [o if o is not None else self._first_error for o in self._outcomes]
        return Batch(outcomes, self._usage)


def run_batch(  # noqa: PLR0913 - one argument per setting
    packs: Sequence[Pack] | Iterator[Pack],
    work: Callable[[Pack], PackResult],
    *,
    max_concurrency: int,
    on_result: Callable[[int, Any], None] | None = None,
    stop_on_error: bool = False,
    abort: Callable[[Sequence[threading.Thread]], None] | None = None,
) -> Batch[Any]:
    """Work packs off with at most `max_concurrency` threads, and return the outcomes.

    Args:
        packs: What to do, in this order. Of an iterator, only the packs that are worked on and as many next ones are
            held, and no outcomes: the batch that is returned has none.
        work: Does it; called in a copy of the caller's context.
        max_concurrency: Packs that are worked on at the same time, at most.
        on_result: Called with an item's number and outcome, as each arrives; one call at a time.
        stop_on_error: Once an item has failed, start nothing more and wait for nothing that is under way.
        abort: Called with the threads whose work nobody wants any more.

    Raises:
        ConfigurationError: `max_concurrency` isn't at least 1, or `on_result` is a coroutine function.
        BaseException: What `work` or `on_result` crashed with.
    """
    check_at_least_one("max_concurrency", max_concurrency)
    progress = _Progress(packs, on_result, stop_on_error=stop_on_error, ahead=max_concurrency)
    _ThreadPool(progress, work, max_concurrency, abort).run()
    return progress.batch()


class _ThreadPool:
    """Threads that work a batch off. Their number grows only when a pack is split.

    The caller's thread waits, so that Ctrl-C and a failed item end the batch at once: the threads are daemons, and
    what they bring later is dropped. A batch that may have only one request in flight has none.
    """

    def __init__(
        self,
        progress: _Progress,
        work: Callable[[Pack], PackResult],
        most: int,
        abort: Callable[[Sequence[threading.Thread]], None] | None,
    ) -> None:
        self._progress = progress
        self._work = work
        self._most = most
        self._abort = abort
        self._context = copy_context()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._crash: BaseException | None = None
        self._left = False
        """True once nobody waits for results any more."""

    def run(self) -> None:
        """Work until nothing is left to do.

        Raises:
            BaseException: What a thread crashed with, such as an error of a hook.
        """
        progress = self._progress
        while progress.todo and (self._most == 1 or len(progress.todo) == 1):
            pack = progress.next()
            progress.done(pack, self._work(pack))
        try:
            with self._changed:
                self._start_threads()
                while not (progress.over or self._crash):
                    self._changed.wait()
        finally:
            with self._changed:
                self._left = True
                progress.drop()
                self._changed.notify_all()
            if self._abort is not None and progress.busy:
                self._abort(self._threads)
        if self._crash is not None:
            raise self._crash

    def _start_threads(self) -> None:
        wanted = min(self._most, len(self._progress.todo) + self._progress.busy)
        while len(self._threads) < wanted:
            name = f"xdm-batch-{len(self._threads)}"
            thread = threading.Thread(target=self._run_worker, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run_worker(self) -> None:
        try:
            while (pack := self._next()) is not None:
                result = self._context.copy().run(self._work, pack)
                with self._changed:
                    if self._left:
                        return
                    try:
                        self._progress.done(pack, result)
                    except BaseException as crash:
                        self._crash = self._crash or crash  # before the lock is free: `run` may think that all is done
                        raise
                    if result.retry:
                        self._start_threads()
                    if result.retry or self._progress.over:
                        self._changed.notify_all()
        except BaseException as crash:  # noqa: BLE001 - raised again by `run`, in the calling thread
            with self._changed:
                if not self._left:
                    self._crash = self._crash or crash
                self._changed.notify_all()

    def _next(self) -> Pack | None:
        """Take the next pack; wait while one that is being worked on may still be split."""
        progress = self._progress
        with self._changed:
            while not (progress.todo or progress.over or self._left or self._crash):
                self._changed.wait()
            return progress.next() if progress.todo and not self._crash else None


async def run_batch_async(
    packs: Sequence[Pack],
    work: Callable[[Pack], Awaitable[PackResult]],
    *,
    max_concurrency: int,
    on_result: Callable[[int, Any], None] | None = None,
    stop_on_error: bool = False,
) -> Batch[Any]:
    """Work packs off with at most `max_concurrency` tasks, and return the outcomes; see `run_batch`.

    What is under way when the batch ends, in whatever way, is cancelled.
    """
    check_at_least_one("max_concurrency", max_concurrency)
    progress = _Progress(packs, on_result, stop_on_error=stop_on_error)
    changed = asyncio.Event()

    async def run_worker() -> None:
        while not progress.over:
            if not progress.todo:
                changed.clear()
                await changed.wait()
                continue
            pack = progress.next()
            progress.done(pack, await work(pack))
            changed.set()

    tasks = [asyncio.ensure_future(run_worker()) for _ in range(min(max_concurrency, progress.count))]
    try:
        pending = set(tasks)
        while pending and not progress.stopped:
            # Not FIRST_EXCEPTION: to asyncio a task that was cancelled is none, and the others would wait for its pack.
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # raises what it crashed with
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return progress.batch()
