"""The integrations that benchmarks/elsewhere.py compares, behind one set of calls.

The peers are made as their documentation says. A file for each endpoint: what its calls are called in the frameworks,
and what a healthy server of it says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Contender(NamedTuple):
    """One integration. `url` is the argument that takes the server's address, `settings` what it is made with."""

    name: str
    framework: str
    ours: bool
    cls: Callable[..., Any]
    url: str
    settings: dict[str, Any]

    def make(self, url: str, **settings: Any) -> Any:
        return self.cls(**{self.url: url}, **{**self.settings, **settings})
