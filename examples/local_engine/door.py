"""One address for two servers: embeddings go to the one, everything else to the other."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import dataclass, field

from local_engine.serving import HOST

LONGEST_HEAD = 1 << 16
READ = 1 << 16


@dataclass
class Door:
    """A proxy that passes the bytes of one request and its answer on as they are.

    Only ``Connection: close`` is put into a request's head, since what comes next on a kept connection might be for
    the other server.

    Attributes:
        chat: The port of the server for everything but embeddings.
        embeddings: The port of the server for embeddings. It asks for no key.
        api_key: A request for embeddings without this key goes to the other server, which refuses it.
    """

    chat: int
    embeddings: int
    api_key: str | None = None
    _listening: threading.Event = field(default_factory=threading.Event, repr=False)

    def open(self, port: int) -> None:
        """Serve on ``port``, in a thread, from now on."""
        threading.Thread(target=lambda: asyncio.run(self._listen(port)), daemon=True).start()
        if not self._listening.wait(10):
            raise SystemExit(f"port {port} is taken")

    async def _listen(self, port: int) -> None:
        server = await asyncio.start_server(self._carry, HOST, port, limit=LONGEST_HEAD)
        self._listening.set()
        await server.serve_forever()

    async def _carry(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Carry one request and its answer."""
        forth: asyncio.StreamWriter | None = None
        try:
            head = await client.readuntil(b"\r\n\r\n")
            server, forth = await asyncio.open_connection(HOST, self._port(head))
            head = re.sub(rb"\r\nconnection:[^\r]*", b"", head, flags=re.IGNORECASE)
            forth.write(head[:-2] + b"Connection: close\r\n\r\n")
            # A client that goes away ends `sending`; closing the connection then tells the server to stop.
            sending = asyncio.ensure_future(_pump(client, forth))
            answering = asyncio.ensure_future(_pump(server, back))
            await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
            for pump in (sending, answering):
                pump.cancel()
            await asyncio.gather(sending, answering, return_exceptions=True)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # the client left, or the server did: what is closed below says so to the other
        finally:
            for end in (forth, back):
                if end:
                    end.close()

    def _port(self, head: bytes) -> int:
        line, _, fields = head.partition(b"\r\n")
        if b"/embeddings" not in line:
            return self.chat
        given = re.search(rb"^authorization: *bearer (\S+)", fields, re.IGNORECASE | re.MULTILINE)
        is_allowed = self.api_key is None or (given is not None and given[1].decode("latin-1") == self.api_key)
        return self.embeddings if is_allowed else self.chat


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy until the source ends."""
    while data := await source.read(READ):
        sink.write(data)
        await sink.drain()
