"""What crash reporters see: nothing that an error, a client, an adapter or a stream leads to shows the key."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import pytest

from tests.scripted import CLOSE, chunk, completion, http, piece, stream
from xdm_integrations import AsyncClient, Client, XDMError

KEY = "k3y-that-must-not-be-seen"
HTML = {"Content-Type": "text/html"}
ECHOES = {
    "broken JSON": http(f'{{"you sent": "Bearer {KEY}"'),
    "text": http(f"you sent Bearer {KEY}", headers={"Content-Type": "text/plain"}),
    "HTML": http(f"<html><title>no</title>Bearer {KEY}</html>", headers=HTML),
    "an error in text": http(f"you sent Bearer {KEY}", status=500),
    "an error in broken JSON": http(f'{{"error": "Bearer {KEY}', status=401),
    "an error in HTML": http(f"<html>Bearer {KEY}</html>", status=403, headers=HTML),
    "a header": http("no", status=429, headers={"Retry-After": KEY, "X-Echo": f"Bearer {KEY}"}),
    "an event that is no JSON": stream(f"data: {{{KEY}\n\n"),
    "a late event that is no JSON": stream(chunk("a"), f"data: {{{KEY}\n\n"),
    "bare lines": stream(f"{{{KEY}\n", f"{KEY}\n"),
    "broken framing": [f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{KEY}\r\n".encode(), CLOSE],
    "late broken framing": [*stream(chunk("a"), end=False), f"{KEY}\r\n".encode(), CLOSE],
    "a broken head": [f"HTTP/1.1 200 OK\r\nX {KEY}\0\r\n\r\n".encode(), CLOSE],
    "broken compression": [
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + piece(KEY.encode()),
        CLOSE,
    ],
}
OPAQUE = (str, bytes, int, float, bool, type(None), type)


def reachable(root: object) -> list[str]:
    """Return the paths at which the key shows, from the attributes of `root` and of whatever they lead to."""
    found: list[str] = []
    seen: dict[int, object] = {}
    todo: list[tuple[str, object]] = [("", root)]
    while todo:
        path, value = todo.pop()
        if id(value) in seen or path.count(".") > 8 or len(seen) > 20_000:
            continue
        seen[id(value)] = value
        if KEY in repr(value) + (str(value) if isinstance(value, BaseException) else ""):
            found.append(f"{path}: {type(value).__name__}")
        if isinstance(value, OPAQUE):
            continue
        if type(value) in (dict, list, tuple, set):
            parts: Any = value.items() if isinstance(value, dict) else enumerate(value)
        else:
            parts = list(getattr(value, "__dict__", {}).items())
            names = [name for kind in type(value).__mro__ for name in _slots(kind)]
            parts += [(name, getattr(value, name)) for name in names if hasattr(value, name)]
            if isinstance(value, BaseException):
                parts += [
                    (name, getattr(value, name))
                    for name in ("args", "__cause__", "__context__", "doc", "object")
                    if hasattr(value, name)
                ]
        todo += [(f"{path}.{name}", part) for name, part in parts if _is_worth_a_look(part)]
    return found


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _is_worth_a_look(value: object) -> bool:
    """True for values, and for objects of ours and of the libraries below; functions and modules lead anywhere."""
    module = type(value).__module__.partition(".")[0]
    return isinstance(value, (*OPAQUE, BaseException, dict, list, tuple, set)) or module in (
        "xdm_integrations",
        "urllib3",
        "requests",
        "aiohttp",
        "http",
        "pydantic",
    )


@pytest.mark.parametrize("streamed", [False, True], ids=["complete", "streamed"])
@pytest.mark.parametrize("way", ECHOES)
def test_the_key_shows_nowhere_behind_an_error(surface, server, way, streamed):
    server.script = [ECHOES[way]]
    client = surface.client(base_url=server.url, api_key=KEY, max_retries=1)
    with pytest.raises(XDMError) as caught:
        (surface.stream if streamed else surface.complete)(client, "x")
    assert reachable(caught.value) == []


SCHEMA = {"title": "A", "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
NO_OBJECT = {"choices": [{"index": 0, "message": {"role": "assistant", "content": f"none {KEY}"}}]}
OF_NO_USE = {
    "models": (["models"], {"you sent": KEY}),
    "quota": (["quota"], {"you sent": KEY}),
    "no vector": (["embed", "a"], {"data": [{"embedding": KEY}]}),
    "vectors of two lengths": (["embed", ["a", "b"]], {"data": [{"embedding": [1]}, {"embedding": [1, 2]}]}),
    "no object": (["chat_structured", "a", SCHEMA], NO_OBJECT),
}
"""Good JSON of which an error is made after it was received: the call, and the answer."""


@pytest.mark.parametrize("way", OF_NO_USE)
def test_the_key_shows_nowhere_behind_an_error_that_is_made_of_an_answer(surface, server, way):
    call, body = OF_NO_USE[way]
    server.script = [http(body, headers={"X-Echo": f"Bearer {KEY}"})]
    client = surface.client(base_url=server.url, api_key=KEY, max_retries=0)
    with pytest.raises(XDMError) as caught:
        surface.call(client, *call)
    assert reachable(caught.value) == []


def test_the_key_shows_nowhere_behind_the_outcome_of_a_text(surface, server):
    body = {"data": [{"embedding": None}, {"embedding": [1]}]}
    server.script = [http(body, headers={"X-Echo": f"Bearer {KEY}"})]
    outcomes: list[object] = []
    client = surface.client(base_url=server.url, api_key=KEY)
    with pytest.raises(XDMError):
        surface.embed(client, ["a", "b"], on_result=lambda _, outcome: outcomes.append(outcome))
    assert [type(outcome) is list for outcome in outcomes] == [False, True]
    assert reachable(outcomes) == []


@pytest.mark.parametrize("cls", [Client, AsyncClient])
def test_the_key_shows_nowhere_in_a_client(cls):
    assert reachable(cls(api_key=KEY, default_headers={"X-Other": KEY})) == []


def test_the_key_shows_nowhere_in_a_client_and_a_stream_at_work(surface, server):
    server.script = [http(completion("a")), stream(chunk("a"), chunk("b", finish="stop"))]
    client = surface.client(base_url=server.url, api_key=KEY, default_headers={"X-Other": KEY})
    surface.complete(client, "x")
    assert reachable(client) == []

    if not surface.is_async:
        with client.stream("x") as open_stream:
            next(open_stream)
            assert reachable(open_stream) == []
        return

    async def look() -> list[str]:
        async with AsyncClient(base_url=server.url, api_key=KEY) as other, await other.stream("x") as open_stream:
            await anext(open_stream)
            return reachable(open_stream) + reachable(other)

    assert asyncio.run(look()) == []


def adapters(url: str) -> dict[str, tuple[Any, Any]]:
    """Return an object of each class of both frameworks, and the blocking way to ask it."""
    from llama_index.core.llms import ChatMessage

    from xdm_integrations import langchain, llama_index

    hidden = {"api_key": KEY, "default_headers": {"X-Other": KEY}, "extra_body": {"token": KEY, "more": [KEY]}}
    chains = {name: getattr(langchain, name)(base_url=url, max_retries=0, **hidden) for name in langchain.__all__}
    indices = {name: getattr(llama_index, name)(api_base=url, max_retries=0, **hidden) for name in llama_index.__all__}
    asks: dict[str, Any] = {
        "ChatXDM": chains["ChatXDM"].invoke,
        "XDMLLM": chains["XDMLLM"].invoke,
        "XDMEmbeddings": chains["XDMEmbeddings"].embed_query,
        "XDM": indices["XDM"].complete,
        "XDMChat": lambda text: indices["XDMChat"].chat([ChatMessage(text)]),
        "XDMEmbedding": indices["XDMEmbedding"].get_text_embedding,
    }
    return {name: (made, asks[name]) for name, made in {**chains, **indices}.items()}


CLASSES = ["ChatXDM", "XDMLLM", "XDMEmbeddings", "XDM", "XDMChat", "XDMEmbedding"]


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("way", ["broken JSON", "an error in HTML", "broken framing"])
def test_the_key_shows_nowhere_behind_an_adapter_and_its_errors(server, name, way):
    server.script = [ECHOES[way]]
    adapter, ask = adapters(server.url)[name]
    with pytest.raises(XDMError) as caught:
        ask("x")
    assert server.requests[0].headers["x-other"] == KEY
    assert server.requests[0].json["more"] == [KEY]
    assert reachable(caught.value) == []
    assert reachable(adapter) == []


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])  # noqa: S301 - just made here
def test_the_key_shows_in_no_copy_of_an_adapter_and_none_that_was_changed(server, name, copied):
    adapter = copied(adapters(server.url)[name][0])
    assert reachable(adapter) == []
    adapter.default_headers, adapter.extra_body = {"X-New": KEY}, {"new": KEY}
    assert reachable(adapter) == []
    assert (adapter.default_headers, adapter.extra_body) == ({"X-New": KEY}, {"new": KEY})
