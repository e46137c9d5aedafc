"""The command line: `xdm`, or `python -m xdm_integrations`.

    xdm doctor                            what works, and what to do about the rest
    xdm models [PART OF A NAME]           what the gateway offers to the key
    xdm quota                             what is left of the key's budget
    xdm complete "Once upon a time"       one answer
    xdm batch prompts.jsonl -o out.jsonl  many, concurrently; run again to go on
    xdm embed texts.jsonl -o out.jsonl    vectors of many texts, likewise

Needs the extra `cli` (click and rich), which nothing else in the package loads.
"""

from __future__ import annotations

import sys

_NEEDS = ("click", "rich")


def main() -> None:
    """Run the command line and exit.

    The codes: 0 all is well, 1 a call failed, 2 wrong usage or configuration, 130 interrupted.
    """
    try:
        from .commands import xdm  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _NEEDS:
            raise
        sys.stderr.write(f'xdm needs {package}: pip install "xdm-integrations[cli]"\n')
        sys.exit(2)
    except KeyboardInterrupt:  # while it was still loading; later the commands see to it
        sys.exit(130)
    xdm(prog_name="xdm")


__all__ = ["main"]
