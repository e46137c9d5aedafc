"""Connections of event loops, of which none is used again on which anything arrived while it was idle.

aiohttp parses what a server sends without being asked (a second answer, a late error page) and
keeps it as the answer to the next request. It looks at that when a connection becomes idle, not
when it is taken again.
"""

from __future__ import annotations

import select
from typing import Any

import aiohttp


class Connector(aiohttp.TCPConnector):
    """aiohttp's connector; the two methods changed are its own, `tests/fault/test_idle_connections.py` guards them."""

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:  # noqa: ANN401 - aiohttp's
        super()._release(key, protocol, should_close=should_close)
        protocol._parser = None  # noqa: SLF001 - aiohttp keeps what has no parser as bytes, part of a head too

    async def _get(self, key: Any, traces: Any) -> Any:  # noqa: ANN401 - aiohttp's
        while True:
            connection: Any = await super()._get(key, traces)
            if connection is None or _is_silent(connection.protocol):
                return connection
            connection.protocol.force_close()
            connection.close()


def _is_silent(protocol: Any) -> bool:  # noqa: ANN401 - aiohttp's
    """True if nothing has arrived since the last answer: at aiohttp, or in a socket that the loop hasn't looked at."""
    if protocol.should_close:
        return False
    sock = protocol.transport.get_extra_info("socket")
    if sock is None:
        return True
    if hasattr(select, "poll"):  # select can't watch files with high numbers
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        return not poll.poll(0)
    return not select.select([sock.fileno()], [], [], 0)[0]
