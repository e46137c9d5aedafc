"""Hooks that fail: the call ends with their error, nothing is sent again, and no reply stays open."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.scripted import HANG, chunk, completion, http, stream
from xdm_integrations import APIConnectionError, AsyncClient, Client, ConfigurationError
from xdm_integrations.core.protocol.wire import Limits
from xdm_integrations.transports.blocking.transport import RequestsTransport
from xdm_integrations.transports.drivers import Hooks, drive

OPEN = [stream(chunk("one "), HANG, end=False)]


def fails(*_):
    raise APIConnectionError("the hook's own")


@pytest.mark.parametrize("hook", ["on_request", "on_response", "on_retry"])
@pytest.mark.parametrize("streamed", [False, True])
def test_our_own_error_from_a_hook_is_not_retried(surface, server, hook, streamed):
    """Sent again, an answer that came would be paid for twice."""
    server.script = [http(b"", 503)] if hook == "on_retry" else [http(completion("x"))] if not streamed else OPEN
    client = surface.client(base_url=server.url, max_retries=3, **{hook: fails})
    with pytest.raises(APIConnectionError, match="the hook's own"):
        (surface.stream if streamed else surface.complete)(client, "x")
    assert len(server.requests) == (0 if hook == "on_request" else 1)


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt, ConfigurationError])
def test_a_hook_that_raises_closes_the_open_stream(surface, server, error):
    server.script = OPEN

    def crash(*_):
        raise error("mine")

    client = surface.client(base_url=server.url, on_response=crash)
    with pytest.raises(error, match="mine") as caught:
        surface.stream(client, "x")
    if surface.is_async:
        surface.run(asyncio.sleep(0))
    assert server.wait_until(lambda: server.open_connections == 0)
    assert caught.value  # it holds the frames of the call: closing doesn't wait for it to be dropped


def test_a_call_cancelled_inside_a_hook_closes_the_open_stream(server):
    server.script = OPEN

    async def main():
        reached = asyncio.Event()

        async def waits(*_):
            reached.set()
            await asyncio.Event().wait()

        client = AsyncClient(base_url=server.url, on_response=waits)
        task = asyncio.ensure_future(client.stream("x"))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gone = await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
        await client.aclose()
        assert gone

    asyncio.run(main())


def test_a_coroutine_function_as_a_blocking_hook_closes_the_open_stream(server):
    """Clients refuse one when they are made; some are only seen to be one when called."""
    server.script = OPEN

    async def work():
        pass

    client = Client(base_url=server.url, on_response=lambda *_: work())
    with pytest.raises(ConfigurationError, match="coroutine") as caught:
        client.stream("x")
    assert server.wait_until(lambda: server.open_connections == 0)
    assert caught.value
    client.close()


def test_a_stop_iteration_of_a_hook_is_not_the_end_of_the_flow():
    def flow():
        from xdm_integrations.core.protocol.wire import Request, Send

        yield Send(Request("http://127.0.0.1:9/", {}))
        return "never"

    with pytest.raises(RuntimeError, match="StopIteration"):
        drive(flow(), RequestsTransport(Limits()), Hooks(on_request=lambda _: next(iter(()))), lambda: None)


@pytest.mark.parametrize("usage", [[1], "many", 3, None, {"total_tokens": "x"}])
def test_debug_logging_takes_any_usage(surface, server, caplog, usage):
    caplog.set_level(logging.DEBUG, "xdm_integrations")
    server.script = [http(completion("fine", usage=usage))]
    client = surface.client(base_url=server.url)
    logging.getLogger("xdm_integrations").setLevel(logging.WARNING)
    try:
        quiet = surface.complete(client, "x")
        outcome = None
    except Exception as error:  # noqa: BLE001 - compared below
        quiet, outcome = None, error
    logging.getLogger("xdm_integrations").setLevel(logging.DEBUG)
    try:
        assert surface.complete(client, "x") == quiet
    except Exception as error:  # noqa: BLE001 - compared here
        assert type(error) is type(outcome)  # noqa: PT017 - whatever the answer is, logging changes nothing
