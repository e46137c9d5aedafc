"""Trace a LangChain chain with Langfuse; here its spans stay on this machine."""

from langfuse import Langfuse
from langfuse.langchain import CallbackHandler
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from served import served

from xdm_integrations.langchain import XDMLLM

spans = InMemorySpanExporter()
# In your program: Langfuse() alone, with LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY and LANGFUSE_HOST set.
langfuse = Langfuse(public_key="pk-lf-local", secret_key="none", base_url="http://127.0.0.1:9", span_exporter=spans)

with served():
    XDMLLM(temperature=0).invoke("The capital of France is", {"callbacks": [CallbackHandler()]})
langfuse.flush()

for span in spans.get_finished_spans():
    told = {name.rpartition(".")[2]: value for name, value in span.attributes.items()}
    print(span.name, {name: told.get(name) for name in ("output", "usage_details")})

# Output:
# XDMLLM {'output': 'Paris.', 'usage_details': '{"total": 8, "input": 6, "output": 2, "input_cached_tokens": 0}'}
