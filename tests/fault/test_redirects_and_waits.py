"""Redirects that may be followed, and how long the server may make us wait."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from tests.scripted import ScriptedServer, completion, http, tokens
from xdm_integrations import RateLimitError, XDMError

ANSWER = http(completion("arrived"))
CALLS = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def ask(surface, client, *, streamed: bool) -> str:
    return (surface.stream(client, "x")[1] if streamed else surface.complete(client, "x")).text


def to(location: str, status: int = 307) -> list:
    return http("moved", status=status, headers={"Location": location})


@CALLS
@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("relative", [False, True])
def test_a_redirect_within_the_origin_keeps_method_body_and_key(surface, server, status, relative, streamed):
    target = "/v2/completions" if relative else server.origin + "/v2/completions"
    arrived = tokens("arrived") if streamed else ANSWER
    server.script = lambda seen: arrived if seen.path == "/v2/completions" else to(target, status)
    client = surface.client(base_url=server.url, api_key="the-key", max_retries=0)
    assert ask(surface, client, streamed=streamed) == "arrived"
    first, second = server.requests
    assert (second.method, second.body) == ("POST", first.body)
    assert second.headers["authorization"] == "Bearer the-key"


@CALLS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_is_an_error_that_names_it(surface, server, status, streamed):
    with ScriptedServer([ANSWER]) as other:
        server.script = [to(other.url + "/completions", status)]
        client = surface.client(
            base_url=server.url, api_key="the-key", default_headers={"X-Mine": "secret"}, max_retries=2
        )
        with pytest.raises(XDMError) as caught:
            ask(surface, client, streamed=streamed)
        assert other.origin in str(caught.value)
        assert other.connections == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_lose_the_body_is_not_followed(surface, server, status):
    server.script = [to("/v2/completions", status)]
    with pytest.raises(XDMError):
        ask(surface, surface.client(base_url=server.url, max_retries=2), streamed=False)
    assert len(server.requests) == 1


@CALLS
def test_a_redirect_to_itself_ends(surface, server, streamed):
    server.script = lambda seen: to(seen.path)
    with pytest.raises(XDMError):
        ask(surface, surface.client(base_url=server.url, max_retries=0), streamed=streamed)
    assert len(server.requests) == 1


def test_a_redirect_for_ever_ends(surface, server):
    server.script = lambda seen: to(seen.path + "x")
    with pytest.raises(XDMError):
        ask(surface, surface.client(base_url=server.url, max_retries=0), streamed=False)
    assert len(server.requests) <= 5


class Waits(list):
    def __call__(self, pause):
        self.append(pause.seconds)


@CALLS
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "0.05"}, 0.05),
        ({"retry-after-ms": "50"}, 0.05),
        ({"retry-after-ms": "50", "Retry-After": "100"}, 0.05),
        ({"Retry-After": formatdate(time.time() - 100, usegmt=True)}, 0),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "nan"}, 0),
        ({"Retry-After": "inf"}, 0),
        ({"Retry-After": ""}, 0),
        ({"Retry-After": "1" * 400}, 0),
    ],
)
def test_every_form_of_retry_after(surface, server, headers, seconds, streamed):
    healthy = tokens("arrived") if streamed else ANSWER
    server.script = [http({"error": {"message": "slow down"}}, status=429, headers=headers), healthy]
    waits = Waits()
    client = surface.client(base_url=server.url, max_retries=1, on_retry=waits)
    assert ask(surface, client, streamed=streamed) == "arrived"
    assert waits == [seconds]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_wait_that_is_too_long_is_raised_at_once(surface, server, form):
    wait = "3600" if form == "seconds" else formatdate(time.time() + 9999, usegmt=True)
    server.script = [http({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": wait})]
    with pytest.raises(RateLimitError) as caught:
        ask(surface, surface.client(base_url=server.url, max_retries=3), streamed=False)
    assert len(server.requests) == 1
    assert caught.value.headers["retry-after"] == wait


def test_no_wait_beyond_the_deadline(surface, server):
    server.script = [http({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "30"})]
    waits = Waits()
    client = surface.client(base_url=server.url, max_retries=3, timeout=(5, 5, 20), on_retry=waits)
    with pytest.raises(RateLimitError):
        ask(surface, client, streamed=False)
    assert waits == []
    assert len(server.requests) == 1
