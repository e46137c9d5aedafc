"""A reply of each kind, through every way to ask: the same error comes out of each.

That each row of the catalogue is right, tests/unit/test_catalogue.py proves. Here: a JSON error, a web page, an
error inside a 200, and inside a stream, and a 200 that is no answer.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import pytest

from tests.gateway_errors import CASES
from tests.scripted import ScriptedServer, http
from xdm_integrations import AsyncClient, Client, RateLimitError, XDMError
from xdm_integrations.langchain import XDMLLM
from xdm_integrations.llama_index import XDM


class Ways:
    """The ways to ask one server, each with one request."""

    def __init__(self, url):
        settings = {"api_key": "key-of-the-user", "max_retries": 0}
        self.loop = asyncio.new_event_loop()
        self.client = Client(base_url=url, **settings)
        self.aclient = AsyncClient(base_url=url, **settings)
        self.langchain = XDMLLM(base_url=url, **settings)
        self.llama_index = XDM(api_base=url, **settings)

    def complete(self):
        self.client.complete("x")

    def acomplete(self):
        self.loop.run_until_complete(self.aclient.complete("x"))

    def stream(self):
        list(self.client.stream("x"))

    def astream(self):
        async def consume():
            async with await self.aclient.stream("x") as stream:
                return [chunk async for chunk in stream]

        self.loop.run_until_complete(consume())

    def langchain_invoke(self):
        self.langchain.invoke("x")

    def langchain_stream(self):
        list(self.langchain.stream("x"))

    def llama_index_complete(self):
        self.llama_index.complete("x")

    def llama_index_stream(self):
        list(self.llama_index.stream_complete("x"))


WHOLE = ("complete", "acomplete", "langchain_invoke", "llama_index_complete")
STREAMED = ("stream", "astream", "langchain_stream", "llama_index_stream")


@pytest.fixture(scope="module")
def stage():
    with ScriptedServer([]) as server:
        ways = Ways(server.url)
        yield server, ways
        ways.client.close()
        ways.langchain.close()
        ways.llama_index.close()
        ways.loop.run_until_complete(ways.aclient.aclose())
        ways.loop.close()


def test_a_wait_that_is_a_date_comes_out_of_every_way_to_ask(stage):
    server, ways = stage
    moment = formatdate(time.time() + 3600, usegmt=True)
    reply = http({"error": {"message": "slow down"}}, 429, {"Retry-After": moment})
    server.script = lambda seen: reply if seen.method == "POST" else http("", 404)
    for name in WHOLE + STREAMED:
        with pytest.raises(RateLimitError) as caught:
            getattr(ways, name)()
        assert 3000 < caught.value.retry_after <= 3601, name


KINDS = ("A7 named", "G1 502", "S5", "S1 data", "S6")


@pytest.mark.parametrize("case", [case for case in CASES if case.id in KINDS], ids=lambda case: case.id)
def test_the_same_error_comes_out_of_every_way_to_ask(stage, case):
    server, ways = stage
    reply = http(case.body, case.status, case.headers)
    server.script = lambda seen: reply if seen.method == "POST" else http("", 404)
    for name in STREAMED if case.stream else WHOLE + STREAMED:
        with pytest.raises(XDMError) as caught:
            getattr(ways, name)()
        error = caught.value
        assert type(error) is case.error, name
        retry, says = case.retry, case.says
        if case.id == "S6" and name in STREAMED:
            # In a stream an event without choices carries counts; if nothing else comes, that is row S4.
            retry, says = "backoff", "without any text"
        assert error.retry == retry, name
        assert error.request_id == case.request_id, name
        if hasattr(error, "status_code"):
            assert error.status_code == (case.status_code or case.status), name
        assert says in error.message, name
