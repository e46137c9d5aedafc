"""A SOCKS5 proxy on loopback that connects everybody to one server, whatever they ask for."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SUCCESS = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
REFUSED = b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"


class SocksProxy:
    """What has come to it.

    Attributes:
        port: Where it listens.
        greetings: The first byte of each connection; 5 is SOCKS.
        destinations: The hosts that were asked for: names, or addresses of four bytes.
    """

    def __init__(self, target: tuple[str, int] | None) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.greetings: list[bytes] = []
        self.destinations: list[bytes] = []

    def serve(self) -> None:
        with contextlib.suppress(OSError):  # the listener has been closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._greet, args=(client,), daemon=True).start()

    def _greet(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as reader, contextlib.suppress(OSError, IndexError):
            self.greetings.append(reader.read(1))
            if self.greetings[-1] != b"\x05":
                return
            reader.read(reader.read(1)[0])
            client.sendall(b"\x05\x00")
            kind = reader.read(4)[3]
            self.destinations.append(reader.read(reader.read(1)[0] if kind == 3 else 4))
            reader.read(2)
            client.sendall(SUCCESS if self._target else REFUSED)
            if self._target:
                with socket.create_connection(self._target) as server:
                    threading.Thread(target=_pump, args=(server, client.sendall), daemon=True).start()
                    while data := reader.read1(65536):
                        server.sendall(data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _pump(source: socket.socket, send: Any) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            send(data)


@contextlib.contextmanager
def socks_proxy(target: tuple[str, int] | None) -> Iterator[SocksProxy]:
    """Run a proxy to this address; it refuses to connect to None."""
    proxy = SocksProxy(target)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    yield proxy
    proxy.close()
    thread.join(5)
