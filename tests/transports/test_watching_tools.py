"""Tools that stand in the place of requests, or watch it: they work, or see nothing; never a foreign error."""

from __future__ import annotations

import json

import pytest
import requests_mock
import responses

from tests.scripted import completion
from xdm_integrations import AuthenticationError, Client

URL = "http://127.0.0.1:9/v1/completions"


def test_responses_answers_for_the_server():
    with responses.RequestsMock() as fake, Client(base_url=URL, max_retries=0) as client:
        fake.post(URL, json=completion("hi"))
        assert client.complete("x").text == "hi"
        assert json.loads(fake.calls[0].request.body)["prompt"] == "x"


def test_responses_answers_with_a_stream_and_with_an_error():
    event = json.dumps({"choices": [{"text": "hi", "index": 0, "finish_reason": "stop"}]})
    with responses.RequestsMock() as fake, Client(base_url=URL, max_retries=0) as client:
        fake.post(URL, body=f"data: {event}\n\ndata: [DONE]\n\n", content_type="text/event-stream")
        with client.stream("x") as stream:
            assert [chunk.text for chunk in stream] == ["hi"]
        fake.post(URL, json={"error": {"message": "Invalid token"}}, status=401)
        with pytest.raises(AuthenticationError, match="Invalid token"):
            client.complete("x")


def test_requests_mock_stands_before_sessions_and_so_sees_nothing(server):
    """There is no `requests.Session`; `docs/errors.md` says what to use instead."""
    with requests_mock.Mocker() as fake, Client(base_url=server.url) as client:
        assert client.complete("x").text == "<x>"
    assert fake.call_count == 0
