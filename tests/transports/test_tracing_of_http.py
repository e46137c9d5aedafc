"""OpenTelemetry's instrumentations of HTTP libraries: what they see of a call, as `docs/errors.md` says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.scripted import http
from xdm_integrations import AsyncClient, AuthenticationError, Client

if TYPE_CHECKING:
    from collections.abc import Callable


def seen_by(instrumentor: Any, work: Callable[[], object]) -> list[tuple[str, str, int]]:
    """Return method, URL and status of the spans that an instrumentation makes while something is done."""
    spans, provider, watching = InMemorySpanExporter(), TracerProvider(), instrumentor()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    watching.instrument(tracer_provider=provider)
    try:
        work()
    finally:
        watching.uninstrument()
    seen = [dict(span.attributes) for span in spans.get_finished_spans()]
    assert "the-secret-key" not in repr(seen)
    return [(each["http.method"], each["http.url"], each["http.status_code"]) for each in seen]


def calls(url: str) -> None:
    with Client("the-secret-key", base_url=url, max_retries=0) as client:
        assert client.complete("x").text == "<x>"
        with client.stream("x") as stream:
            assert "".join(chunk.text for chunk in stream) == "<x>"
        with pytest.raises(AuthenticationError):
            client.complete("bad")


def async_calls(url: str) -> None:
    async def run() -> None:
        async with AsyncClient("the-secret-key", base_url=url, max_retries=0) as client:
            assert (await client.complete("x")).text == "<x>"
            async with await client.stream("x") as stream:
                assert "".join([chunk.text async for chunk in stream]) == "<x>"
            with pytest.raises(AuthenticationError):
                await client.complete("bad")

    asyncio.run(run())


@pytest.fixture
def url(server):
    healthy = server.script
    refusal = http({"error": {"message": "Invalid token"}}, 401)
    server.script = lambda seen: refusal if seen.json["prompt"] == "bad" else healthy(seen)
    return server.url


@pytest.mark.parametrize(
    ("instrumentor", "work"), [(URLLib3Instrumentor, calls), (AioHttpClientInstrumentor, async_calls)]
)
def test_the_layer_below_sees_every_request_and_no_key(url, instrumentor, work):
    target = f"{url}/completions"
    seen = seen_by(instrumentor, lambda: work(url))
    assert seen == [("POST", target, 200), ("POST", target, 200), ("POST", target, 401)]


def test_the_instrumentation_of_requests_sees_nothing_and_disturbs_nothing(url):
    assert seen_by(RequestsInstrumentor, lambda: calls(url)) == []
