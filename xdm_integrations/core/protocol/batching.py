"""Packs: items of a batch that share a request, and what came of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from xdm_integrations.core.errors.tree import ConfigurationError, XDMError

if TYPE_CHECKING:
    from xdm_integrations.core.completions.results import Completion

    from .results import Usage

Outcome: TypeAlias = "Completion | XDMError"


class Pack(NamedTuple):
    """Prompts that share a request.

    Attributes:
        positions: Their numbers in the batch.
        refused: Why a request for several prompts, this one among them, was refused before.
    """

    positions: range | list[int]
    refused: XDMError | None = None


class PackResult(NamedTuple):
    """What came of a pack.

    Attributes:
        outcomes: Per prompt, in order; empty if the prompts must be asked alone.
        usage: Token counts of the request, which the server doesn't split by prompt.
        retry_singly: The packs to ask instead.
    """

    outcomes: list[Outcome]
    usage: Usage | None = None
    retry_singly: tuple[Pack, ...] = ()


def check_at_least_one(name: str, value: int) -> None:
    """Refuse a count that isn't an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name}: {value!r} must be an integer of at least 1.")
