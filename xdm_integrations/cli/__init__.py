"""The command line: `xdm`, or `python -m xdm_integrations`; `xdm --help` lists the commands.

Needs the extra `cli` (click and rich), which nothing else in the package loads.
"""

from __future__ import annotations

import signal
import sys

_NEEDS = ("click", "rich")


def main() -> None:
    """Run the command line and exit.

    The codes are those that `xdm --help` names; 143 and 129: ended by SIGTERM and SIGHUP.
    """
    for name in ("SIGTERM", "SIGHUP"):  # what is open is closed, and a terminal gets its cursor back
        if number := getattr(signal, name, None):
            signal.signal(number, lambda signum, _: sys.exit(128 + signum))
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
