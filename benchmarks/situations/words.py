"""How observations are put into words."""

from __future__ import annotations

import re
from typing import Any

from xdm_integrations import XDMError


def error_name(error: BaseException) -> str:
    """Return the class; that of a foreign package with its name in front."""
    package = type(error).__module__.partition(".")[0]
    name = type(error).__name__
    return f"`{name}`" if package == "builtins" or isinstance(error, XDMError) else f"`{package}.{name}`"


def root_cause(error: BaseException) -> BaseException:
    """Return what an error was raised from, in the end."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def outcome(value: Any) -> str:
    """Return an answer as it is, an error by its class."""
    return error_name(value) if isinstance(value, BaseException) else f"`{value!r}`"


def short(text: object, length: int = 90) -> str:
    """Return the text on one line that fits into a table."""
    line = re.sub(r"\s+", " ", str(text)).strip().replace("|", "\\|").replace("`", "'")
    return line if len(line) <= length else line[: length - 3] + "..."


def times(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
