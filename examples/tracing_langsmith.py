"""Trace with LangSmith: in your program, set LANGSMITH_TRACING=true and LANGSMITH_API_KEY, and change nothing."""

import json
from typing import ClassVar

import requests
from langchain_core.tracers import LangChainTracer
from langsmith import Client
from served import served

from xdm_integrations.langchain import XDMLLM, ChatXDM


class Kept(requests.Session):
    """A session that keeps what LangSmith would be sent."""

    runs: ClassVar[list[dict]] = []

    def request(self, method: str, url: str, **kwargs: object) -> requests.Response:
        """Keep the body, and say that it arrived."""
        self.runs.append(json.loads(kwargs["data"]))
        response = requests.Response()
        response.status_code = 202
        return response


kept = Kept()
tracer = LangChainTracer(client=Client(api_key="none", session=kept, auto_batch_tracing=False))
with served():
    ChatXDM(temperature=0).invoke("What is the capital of France?", {"callbacks": [tracer]})
    XDMLLM(temperature=0).invoke("The capital of France is", {"callbacks": [tracer]})
tracer.wait_for_futures()
for started, ended in zip(kept.runs[::2], kept.runs[1::2], strict=True):
    metadata, (generation,) = started["extra"]["metadata"], ended["outputs"]["generations"][0]
    tokens = ended["outputs"]["llm_output"]["token_usage"]["total_tokens"]
    print(metadata["ls_provider"], metadata["ls_model_name"], repr(generation["text"]), tokens)

# Output:
# xdm gpt-4o-mini 'The capital of France is Paris.' 25
# xdm gpt-3.5-turbo-instruct ' Paris.' 8
