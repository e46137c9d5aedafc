"""Errors, retries, early ends, cancellation: the same from all eight methods."""

# ruff: noqa: PLR0913, PLR0917 # fixtures and parameters of a test

from __future__ import annotations

import pytest

from tests.llama_index.conftest import METHODS, STREAMS, World
from tests.scripted import CLOSE, DONE, RESET, ScriptedServer, chunk, completion, http, stream, tokens
from xdm_integrations import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    XDMError,
)
from xdm_integrations.llama_index import XDM


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize("kind", ["data: ", "event: error\ndata: "])
def test_an_error_event_is_a_typed_error_with_the_text_so_far(
    world: World, server: ScriptedServer, llm: XDM, method: str, kind: str
) -> None:
    event = kind + '{"error": {"message": "upstream is full", "code": "server_error", "type": "server_error"}}\n\n'
    server.script = [stream(chunk("half"), event, DONE)]
    with pytest.raises(APIStatusError, match="upstream is full") as caught:
        world.ask(llm, method)
    assert caught.value.code == "server_error"
    assert caught.value.text == "half"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", [CLOSE, RESET])
def test_a_cut_before_the_answer_is_a_connection_error_of_ours(
    world: World, server: ScriptedServer, llm: XDM, method: str, how: str
) -> None:
    server.script = [[how]]
    with pytest.raises(APIConnectionError) as caught:
        world.ask(llm, method)
    assert isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize("how", [CLOSE, RESET])
def test_a_cut_within_the_answer_is_an_interruption_with_the_text_so_far(
    world: World, server: ScriptedServer, llm: XDM, method: str, how: str
) -> None:
    server.script = [stream(chunk("half"), how, end=False)]
    with pytest.raises(StreamInterruptedError) as caught:
        world.ask(llm, method)
    assert isinstance(caught.value, ConnectionError)
    assert caught.value.text == "half"
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("status", "kind"), [(400, BadRequestError), (401, AuthenticationError), (429, RateLimitError), (500, ServerError)]
)
def test_http_errors_are_typed(
    world: World, server: ScriptedServer, llm: XDM, method: str, status: int, kind: type[XDMError]
) -> None:
    body = {"error": {"message": "the server's own words"}}
    server.script = [http(body, status, {"X-Oneapi-Request-Id": "req-9"})]
    with pytest.raises(kind, match="the server's own words") as caught:
        world.ask(llm, method)
    assert caught.value.status_code == status
    assert caught.value.request_id == "req-9"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [400, 401])
def test_the_callers_mistakes_are_not_retried(world: World, server: ScriptedServer, method: str, status: int) -> None:
    server.script = [http({"error": {"message": "no"}}, status)]
    with pytest.raises(APIStatusError):
        world.ask(XDM(api_base=server.url, max_retries=3), method)
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [429, 503])
def test_max_retries_is_the_number_of_retries(world: World, server: ScriptedServer, method: str, status: int) -> None:
    server.script = [http({"error": {"message": "busy"}}, status, {"Retry-After": "0"})]
    with pytest.raises(APIStatusError):
        world.ask(XDM(api_base=server.url, max_retries=2), method)
    assert len(server.requests) == 3


@pytest.mark.parametrize("method", METHODS)
def test_a_retry_that_succeeds_gives_the_answer_once(world: World, server: ScriptedServer, method: str) -> None:
    good = tokens("ok") if method.startswith("stream") else http(completion("ok"))
    server.script = [http({"error": {"message": "busy"}}, 429, {"Retry-After": "0"}), good]
    last = world.ask(XDM(api_base=server.url), method)
    assert "ok" in str(last)
    assert len(server.requests) == 2


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_that_the_server_stopped_is_an_error_with_its_text(
    world: World, server: ScriptedServer, llm: XDM, method: str
) -> None:
    half = stream(chunk("Half"), chunk(" an", finish="abort"), DONE)
    server.script = [half if method.startswith("stream") else http(completion("Half an", finish="abort"))]
    with pytest.raises((StreamInterruptedError, APIResponseError), match="abort") as raised:
        world.ask(llm, method)
    assert raised.value.text == "Half an"
    assert len(server.requests) == 1
