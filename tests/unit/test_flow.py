"""Retries, redirects and deadlines, driven by hand."""

# ruff: noqa: PLR0913, PLR0917 - a parametrised test takes an argument for each column

from __future__ import annotations

import pytest

from tests.unit.flows import URL, Clock, play, refused
from xdm_integrations.core.errors.tree import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    AuthenticationError,
    RateLimitError,
    ServerError,
)
from xdm_integrations.core.protocol.flow import send_flow, timeout_error
from xdm_integrations.core.protocol.retry import RetryPolicy
from xdm_integrations.core.protocol.wire import Reply, Request, Send, Sleep, Timeout

OK = Reply(200, {}, b"fine")
BUSY = refused(503, "<html><title>503</title></html>")


def receive(reply):
    yield from ()
    return reply.body.decode()


def flow(clock=None, receive=receive, handled_by_caller=None, deadline=None, url=URL, max_retries=2):
    request = Request(url, {"A": "b"}, b"{}", deadline=deadline)
    return send_flow(
        request, receive, RetryPolicy(max_retries=max_retries), (clock or Clock()).runtime, handled_by_caller
    )


def shape(commands):
    return [c.seconds if isinstance(c, Sleep) else "send" for c in commands]


def test_success_is_one_request():
    answer, commands = play(flow(), [OK])
    assert answer == "fine"
    assert commands == [Send(Request(URL, {"A": "b"}, b"{}"))]


def test_every_2xx_is_a_success():
    assert play(flow(), [Reply(200, {}, b"x")])[0] == "x"
    assert play(flow(), [Reply(299, {}, b"x")])[0] == "x"


@pytest.mark.parametrize("status", [199, 300])
def test_nothing_beside_2xx_is_a_success(status):
    with pytest.raises(APIStatusError) as caught:
        play(flow(max_retries=0), [Reply(status, {}, b"x")])
    assert caught.value.status_code == status


def test_no_error_and_no_retry_shows_the_key():
    request = Request(URL, {"Authorization": "Bearer my-own-password"}, b"{}")
    echo = refused(500, {"error": {"message": "who is my-own-password?"}})
    with pytest.raises(ServerError) as caught:
        play(send_flow(request, receive, RetryPolicy(max_retries=1), Clock().runtime), [echo, echo])
    assert "who is ***?" in caught.value.message
    assert "my-own-password" not in caught.value.body
    assert not [c for c in caught.value.commands if isinstance(c, Sleep) and "my-own" in c.error.message]


@pytest.mark.parametrize(
    "failure", [BUSY, APIConnectionError("refused"), refused(429), refused(408), refused(500), refused(520)]
)
def test_what_heals_is_sent_again_with_growing_waits(failure):
    answer, commands = play(flow(), [failure, failure, OK])
    assert answer == "fine"
    assert shape(commands) == ["send", 0.5, "send", 1.0, "send"]
    assert [c.attempt for c in commands if isinstance(c, Sleep)] == [1, 2]
    assert all(c == commands[0] for c in commands if isinstance(c, Send))


def test_at_most_one_request_more_than_retries():
    with pytest.raises(ServerError) as caught:
        play(flow(), [BUSY] * 3)
    assert shape(caught.value.commands) == ["send", 0.5, "send", 1.0, "send"]
    with pytest.raises(ServerError) as caught:
        play(flow(max_retries=0), [BUSY])
    assert shape(caught.value.commands) == ["send"]


def test_the_last_error_is_raised():
    with pytest.raises(RateLimitError):
        play(flow(), [BUSY, APIConnectionError("x"), refused(429)])


def test_what_never_heals_is_sent_once():
    with pytest.raises(AuthenticationError) as caught:
        play(flow(), [refused(401)])
    assert shape(caught.value.commands) == ["send"]


def test_what_may_be_billed_is_sent_twice_at_most():
    with pytest.raises(APIStatusError) as caught:
        play(flow(), [refused(524, "error code: 524")] * 2)
    assert shape(caught.value.commands) == ["send", 0.5, "send"]


def test_the_server_names_the_wait():
    _, commands = play(flow(), [refused(429, retry_after="3"), OK])
    assert shape(commands) == ["send", 3.3, "send"]


def test_a_failed_reading_of_the_answer_is_a_failed_attempt():
    tries = []

    def picky(reply):
        tries.append(reply)
        if len(tries) < 3:
            raise APIResponseError("empty", retry="backoff")
        return (yield Send(Request("x", {})))

    answer, commands = play(flow(receive=picky), [OK, OK, OK, "from inside"])
    assert answer == "from inside"
    assert shape(commands) == ["send", 0.5, "send", 1.0, "send", "send"]


def test_what_the_caller_handles_is_not_sent_again():
    with pytest.raises(ServerError) as caught:
        play(flow(handled_by_caller=lambda error: error.status_code == 503), [BUSY])
    assert shape(caught.value.commands) == ["send"]
    assert play(flow(handled_by_caller=lambda error: False), [BUSY, OK])[0] == "fine"


def test_no_wait_beyond_the_deadline():
    clock = Clock()
    with pytest.raises(ServerError) as caught:
        play(flow(clock, deadline=clock.now + 1.4), [BUSY, BUSY], clock)
    assert shape(caught.value.commands) == ["send", 0.5, "send"]
    with pytest.raises(RateLimitError) as caught:
        play(flow(clock, deadline=clock.now + 30), [refused(429, retry_after="29.5")], clock)
    assert shape(caught.value.commands) == ["send"]


@pytest.mark.parametrize(
    ("total", "left", "sends"),
    [
        (60, 1.6, 2),  # a second, and the wait of half a one
        (60, 1.4, 1),
        (5, 1.1, 2),  # a tenth of the limit
        (5, 0.9, 1),
        (None, 0.55, 2),
        (None, 0.5, 1),
    ],
)
def test_how_much_time_a_retry_must_leave_for_the_answer(total, left, sends):
    clock = Clock()
    request = Request(URL, {}, b"{}", timeout=Timeout(total=total), deadline=clock.now + left)
    with pytest.raises(ServerError) as caught:
        play(send_flow(request, receive, RetryPolicy(max_retries=1), clock.runtime), [BUSY] * sends, clock)
    assert shape(caught.value.commands).count("send") == sends


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("location", ["/v1/completions/", "http://localhost:80/v1/x?y=1", "../v2/completions"])
def test_redirects_within_the_origin_keep_method_body_and_headers(status, location):
    answer, commands = play(flow(), [refused(status, location=location), OK])
    assert answer == "fine"
    first, second = (c.request for c in commands)
    assert second.url.startswith("http://localhost")
    assert second.url != first.url
    assert (second.method, second.body, second.headers) == (first.method, first.body, first.headers)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://host/v1/completions", "https://host:443/v1/x"),
        ("https://host:443/v1/completions", "https://host/v1/x"),
    ],
)
def test_the_port_that_goes_without_saying_is_no_other_origin(url, location):
    answer, commands = play(flow(url=url), [refused(307, location=location), OK])
    assert answer == "fine"
    assert commands[1].request.url == location


@pytest.mark.parametrize(
    "redirect",
    [
        refused(307, location="http://evil.example/v1/completions"),
        refused(307, location="//evil.example/v1/completions"),
        refused(307, location="https://localhost/v1/completions"),
        refused(307, location="https://localhost:80/v1/completions"),
        refused(307, location="http://localhost:81/v1/completions"),
        refused(308, location="http://localhost:99999/x"),
        refused(308, location="http://[nonsense/x"),
        refused(307, location=URL),
        refused(307, location=""),
        refused(307),
        refused(301, location="/v1/completions/"),
        refused(302, location="/v1/completions/"),
        refused(303, location="/v1/completions/"),
    ],
)
def test_redirects_that_are_not_followed(redirect):
    with pytest.raises(APIStatusError) as caught:
        play(flow(), [redirect])
    assert shape(caught.value.commands) == ["send"]
    assert caught.value.status_code == redirect.status
    assert not caught.value.retryable


def test_a_circle_of_redirects_ends():
    there, back = refused(307, location="/a"), refused(307, location="/b")
    with pytest.raises(APIStatusError) as caught:
        play(flow(), [there, back, there, back])
    assert len(caught.value.commands) == 4


def test_an_answer_that_names_its_own_place_is_no_redirect():
    answer, commands = play(flow(), [refused(307, location="/a"), OK._replace(headers={"location": "/b"})])
    assert answer == "fine"
    assert shape(commands) == ["send", "send"]


def test_a_retry_starts_at_the_first_url_again():
    _, commands = play(flow(), [refused(307, location="/a"), BUSY, refused(307, location="/a"), OK])
    assert [c.request.url for c in commands if isinstance(c, Send)] == [URL, "http://localhost/a"] * 2


def test_a_limit_that_passed_says_which():
    error = timeout_error("total", 2.5, URL)
    assert "total limit of 2.5 s" in error.message
    assert error.retryable


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("http://localhost/v1/chat/completions", "or stream the answer"),
        ("http://localhost/v1/embeddings", "or send fewer texts"),
        (None, "raise `timeout`."),
    ],
)
def test_what_to_do_about_a_limit_that_passed_can_be_done(url, advice):
    message = timeout_error("read", 2.5, url).message
    assert advice in message
    assert ("No answer" in message) == (url is not None)


def test_a_retry_that_leaves_no_time_for_an_answer_is_not_made():
    """It would be billed and thrown away."""
    clock = Clock()
    request = Request(URL, {}, b"{}", timeout=Timeout(total=1.0), deadline=clock.now + 1.0)
    busy = Reply(429, {"retry-after-ms": "950"}, b"")
    with pytest.raises(RateLimitError) as caught:
        play(send_flow(request, receive, RetryPolicy(), clock.runtime), [busy], clock)
    assert shape(caught.value.commands) == ["send"]


def test_a_redirect_to_other_credentials_is_not_followed():
    target = "http://user:word@localhost/v1/other"
    with pytest.raises(APIStatusError) as caught:
        play(flow(), [Reply(307, {"location": target}, b"")])
    assert shape(caught.value.commands) == ["send"]
    assert "word" not in caught.value.message
