"""Trace LangChain and LlamaIndex with OpenInference (Phoenix and others): model, prompt, answer and tokens as spans."""

from openinference.instrumentation.langchain import LangChainInstrumentor
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from served import served

from xdm_integrations.langchain import XDMLLM, ChatXDM
from xdm_integrations.llama_index import XDM, XDMChat

spans = InMemorySpanExporter()  # for Phoenix: OTLPSpanExporter("http://localhost:6006/v1/traces")
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
instrumentors = (LangChainInstrumentor(), LlamaIndexInstrumentor())

with served():
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    list(ChatXDM(temperature=0).stream("What is the capital of France?"))
    XDMChat(temperature=0).complete("What is the capital of Japan?")
    list(XDMLLM(temperature=0).stream("The capital of France is"))
    XDM(temperature=0).complete("The capital of Japan is")
    for instrumentor in instrumentors:
        instrumentor.uninstrument()

for span in spans.get_finished_spans():
    seen = span.attributes
    print(seen["openinference.span.kind"], seen["llm.model_name"], seen.get("llm.token_count.total"))

# Output:
# LLM xdm-local 25
# LLM gpt-4o-mini 30
# LLM xdm-local 8
# LLM gpt-3.5-turbo-instruct 11
