"""Tracers of other packages, and the attributes of the spans that they write; a test skips where one is missing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def openinference_spans() -> Iterator[list[Any]]:
    """Let OpenInference watch LangChain; the list has its spans afterwards."""
    openinference = pytest.importorskip("openinference.instrumentation.langchain")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, spans = InMemorySpanExporter(), []
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = openinference.LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield spans
    finally:
        instrumentor.uninstrument()
    spans += [span.attributes for span in exporter.get_finished_spans()]


@contextmanager
def langfuse_spans(key: str) -> Iterator[tuple[Any, list[Any]]]:
    """Make Langfuse's handler; the list has its spans afterwards. `key` tells its clients apart."""
    langfuse = pytest.importorskip("langfuse")
    from langfuse.langchain import CallbackHandler
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, spans = InMemorySpanExporter(), []
    client = langfuse.Langfuse(
        public_key=key,
        secret_key="sk",
        base_url="http://127.0.0.1:9",
        span_exporter=exporter,
        tracer_provider=TracerProvider(),
    )
    try:
        yield CallbackHandler(public_key=key), spans
        client.flush()
    finally:
        client.shutdown()
    spans += [span.attributes for span in exporter.get_finished_spans()]


def counted_by_openinference(spans: list[Any]) -> tuple[int, ...]:
    """Return the tokens of all spans: of prompts, of answers, of both."""
    names = ("prompt", "completion", "total")
    return tuple(sum(span.get(f"llm.token_count.{name}", 0) for span in spans) for name in names)
