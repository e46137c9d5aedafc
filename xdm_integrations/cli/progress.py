"""What a person sees meanwhile: how far a run is, how fast, what it costs, and every wait of more than two seconds."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from .screens import fitted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from xdm_integrations import Usage
    from xdm_integrations.core.protocol.wire import Sleep

SHOWN_SECONDS = 2.0
"""A wait that is longer is shown."""
SMALLEST = 0.0001
"""A cost that is less is only said to be."""
APART_SECONDS = 10.0
"""So far apart are the lines about retries of a batch, which has many."""


class Price(click.ParamType):  # type: ignore[type-arg] # generic in newer versions of click alone
    """`--price IN,OUT`: what a million tokens cost."""

    name = "IN,OUT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:  # noqa: ANN401 - click's
        """Read it; one number is the price of both."""
        try:
            numbers = [float(part) for part in str(value).split(",")]
        except ValueError:
            numbers = []
        if len(numbers) not in {1, 2} or not all(0 <= number < float("inf") for number in numbers):
            self.fail("expected the prices of a million tokens of prompt and of answer, such as 0.15,0.60.", param, ctx)
        return numbers[0], numbers[-1]


def cost(usage: Usage, price: tuple[float, float]) -> float:
    """Return what tokens cost, in the unit of the price."""
    return (usage.prompt_tokens * price[0] + usage.completion_tokens * price[1]) / 1_000_000


def money(amount: float) -> str:
    """Return a cost as people read it; a very small one isn't shown as nothing."""
    return f"{amount:,.4f}" if amount >= SMALLEST or not amount else f"less than {SMALLEST}"


def tells_waits(out: Console, apart: float) -> Callable[[Sleep], None]:
    """Return an `on_retry` that writes a line about a wait, unless it is short or one was written just before."""
    told_at = float("-inf")

    def tell(sleep: Sleep) -> None:
        nonlocal told_at
        now = time.monotonic()
        if sleep.seconds >= SHOWN_SECONDS and now - told_at >= apart:
            told_at = now
            why = fitted(sleep.error.message, out)
            out.print(f"[yellow]Waiting {sleep.seconds:.0f} s[/] before retry {sleep.attempt}: {why}")

    return tell


@contextmanager
def waiting(what: str, out: Console) -> Iterator[None]:
    """Show on a terminal how long something is waited for, from the third second on; nothing in a pipe or a log."""
    if not out.is_terminal:
        yield
        return
    start = time.monotonic()

    def waited() -> Text:
        seconds = time.monotonic() - start
        return Text(f"waiting for {what}, {seconds:.0f} s" if seconds >= SHOWN_SECONDS else "", style="dim")

    with Live(get_renderable=waited, console=out, transient=True, refresh_per_second=4):
        yield


class Bar:
    """The bar of a batch; nothing where no person watches."""

    def __init__(self, out: Console, price: tuple[float, float] | None) -> None:
        self._price = price
        self._done = 0
        self._start = self._last = time.monotonic()
        self.progress = Progress(
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(compact=True),
            console=out,
            transient=True,
            disable=not out.is_terminal,
        )
        self._bar = self.progress.add_task("", total=None, facts=self)
        self._usage: Usage | None = None

    def begin(self, total: int, before: int) -> None:
        """Start with what is done already."""
        self._start = self._last = time.monotonic()
        self.progress.update(self._bar, total=total, completed=before)

    def advance(self, usage: Usage) -> None:
        """Count one more outcome."""
        self._done += 1
        self._last = time.monotonic()
        self._usage = usage
        if not self.progress.disable:
            self.progress.update(self._bar, advance=1)

    def __str__(self) -> str:
        """What stands beside the bar, each time that it is drawn."""
        now = time.monotonic()
        facts = [f"{self._done / max(now - self._start, 0.001):,.1f}/s"]
        if self._usage is not None and self._usage.total_tokens:
            facts.append(f"{self._usage.total_tokens:,} tokens")
            if self._price:
                facts.append(f"cost {cost(self._usage, self._price):,.2f}")
        if now - self._last >= SHOWN_SECONDS:
            facts.append(f"waiting {now - self._last:.0f} s")
        return " ".join(facts)
