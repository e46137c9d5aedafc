"""One call of any endpoint, checked and ready to be sent; and what a client has learnt about its server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xdm_integrations.core import jsontext
from xdm_integrations.core.errors.tree import ConfigurationError

from .wire import Limits, Request, Timeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xdm_integrations.core.completions.parameters import OnePrompt

    from .retry import RetryPolicy


@dataclass
class ServerFacts:
    """What a client has learnt about its server, for the calls that come."""

    single_prompt_models: set[str] = field(default_factory=set)
    """Models that don't take a list of prompts."""
    refuses_stream_options: set[str] = field(default_factory=set)
    """Models that refuse `stream_options`."""
    offered: tuple[str, ...] | None = None
    """The names on the server's list of models; None if it was never asked for."""


@dataclass(slots=True, eq=False)
class Call:
    """One call, checked and ready to be sent."""

    prompts: list[OnePrompt]
    body: dict[str, Any]
    """Everything but the prompt."""
    n: int
    url: str
    headers: Mapping[str, str] = field(repr=False)
    timeout: Timeout
    limits: Limits
    policy: RetryPolicy
    require_finish_reason: bool

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body["model"])

    def request(self, prompts: list[OnePrompt], deadline: float | None, *, streaming: bool = False) -> Request:
        """Return the request for these prompts; a single one goes as itself, not as a list."""
        body = {**self.body, "prompt": prompts[0] if len(prompts) == 1 else prompts}
        try:
            data = jsontext.dumps(body)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"extra_body: can't be written as JSON ({error}).") from None
        return Request(
            self.url,
            self.headers,
            data,
            streaming=streaming,
            timeout=self.timeout,
            deadline=deadline,
        )
