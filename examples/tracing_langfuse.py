"""Trace a chat model and a text completion of LangChain with Langfuse; here the spans stay on this machine."""

from langfuse import Langfuse
from langfuse.langchain import CallbackHandler
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from served import served

from xdm_integrations.langchain import XDMLLM, ChatXDM

spans = InMemorySpanExporter()
# In your program: Langfuse() alone, with LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY and LANGFUSE_HOST set.
langfuse = Langfuse(public_key="pk-lf-local", secret_key="none", base_url="http://127.0.0.1:9", span_exporter=spans)

with served():
    config = {"callbacks": [CallbackHandler()]}
    for _ in ChatXDM(temperature=0).stream("What is the capital of France?", config):
        pass
    XDMLLM(temperature=0).invoke("The capital of France is", config)
langfuse.flush()

for span in spans.get_finished_spans():
    attributes = {name.rpartition(".")[2]: value for name, value in span.attributes.items()}
    print(span.name, {name: attributes.get(name) for name in ("output", "usage_details")})

# Output:
# ChatXDM {'output': '..."The capital of France is Paris."}', 'usage_details': '{..."output": 7, "total": 25...}'}
# XDMLLM {'output': 'Paris.', 'usage_details': '{"total": 8..."output": 2...}'}
