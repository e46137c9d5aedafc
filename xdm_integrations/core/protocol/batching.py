"""Batches: which items share a request, and what came of each."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from xdm_integrations.core.errors.tree import (
    AuthenticationError,
    ConfigurationError,
    InsufficientQuotaError,
    ModelUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from xdm_integrations.core.errors.tree import XDMError

    from .flow import Flow
    from .results import Usage

Answer = TypeVar("Answer")

MOST_REFUSALS = 10
"""Requests in a row that may be refused for what all of a batch have in common. One proves little: a budget may be too
small for this request alone, and a gateway tries several providers. Thousands may get a key banned."""
IN_COMMON = (AuthenticationError, InsufficientQuotaError, ModelUnavailableError)
"""Errors that every other request of a batch would meet too. Other 403s aren't: providers answer so to content."""


class Pack(NamedTuple):
    """Items of a batch that share a request.

    Attributes:
        positions: Their numbers in the batch.
        previous_error: Why a request for them and others was refused before.
    """

    positions: range | list[int]
    previous_error: XDMError | None = None


class PackResult(NamedTuple):
    """What came of a pack.

    Attributes:
        outcomes: Per item, in order, an answer or the `XDMError` it failed with; fewer if `retry` has the rest.
        usage: Token counts of the request, which the server doesn't split by item.
        retry: The packs to ask for, for the items without an outcome.
    """

    outcomes: list[Any]
    usage: Usage | None = None
    retry: tuple[Pack, ...] = ()

    @property
    def refusal(self) -> XDMError | None:
        """The error that every other request of the batch would meet too: key, budget and model are those of all."""
        last = self.outcomes[-1] if self.outcomes else None
        return last if isinstance(last, IN_COMMON) else None


@dataclass(frozen=True)
class Plan(Generic[Answer]):
    """A batch: its packs, and the flow that asks for one. The flow raises no `XDMError`: outcomes hold them."""

    packs: list[Pack]
    flow: Callable[[Pack], Flow[PackResult]]


def packs_of(count: int, size: int) -> list[Pack]:
    """Return `count` items in packs of at most `size`, in order."""
    return [Pack(range(i, min(i + size, count))) for i in range(0, count, size)]


def holds_nothing(items: object) -> bool:
    """Return True for an empty list: no request, and no key for it. Checks speak of what is no list."""
    return isinstance(items, Sequence) and not items and not isinstance(items, (str, bytes, bytearray))


def check_at_least_one(name: str, value: int) -> None:
    """Refuse a count that isn't an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name}: {value!r} must be an integer of at least 1.")


def check_callback(callback: Callable[[int, Any], None] | None) -> None:
    """Refuse what can't be called, and coroutine functions, which would never run: nothing waits for a callback."""
    if callback is not None and not callable(callback):
        raise ConfigurationError(f"on_result: expected a function, got {type(callback).__name__}.")
    if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(getattr(callback, "__call__", None)):  # noqa: B004 - its kind is asked for, not whether it is there
        raise ConfigurationError(
            "on_result: a coroutine function isn't awaited; give a plain one, which may start a task or fill a queue."
        )
