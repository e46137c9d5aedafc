"""What both local servers share: where they listen, when they are ready, and when they stop."""

from __future__ import annotations

import argparse
import http
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable

HOST = "127.0.0.1"
POLL = 0.1


def free_port() -> int:
    """Return a port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def options(description: str, slots: int) -> argparse.ArgumentParser:
    """Return the command line that both servers have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--api-key", default=None, help="ask for this key")
    parser.add_argument("--slots", type=int, default=slots, help="requests answered at a time")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="stop when it is gone")
    return parser


def stop_when_asked() -> None:
    """End the process at SIGTERM and SIGINT, also in the middle of loading or of an answer.

    Not by leaving the program in the ordinary way, which would destroy the server objects, and they would wait for
    streams that nobody reads any more.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))


def healthy(port: int) -> bool:
    """Tell whether the server on ``port`` has loaded its model and answers."""
    # Not urllib, which would send this through a proxy if the environment names one.
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def serve(port: int, parent: int, is_ready: Callable[[], bool]) -> None:
    """Say that the server listens once it is ready, and serve until the process ``parent`` is gone."""
    told = False
    while os.getppid() == parent:
        if not told and is_ready():
            told = True
            sys.stdout.write(f"listening http://{HOST}:{port}/v1\n")
            sys.stdout.flush()
        time.sleep(POLL)
    os._exit(0)
