"""What crosses the border to the transports: its defaults, and what of it is secret."""

from __future__ import annotations

import dataclasses

import pytest

from xdm_integrations.core.protocol.wire import Limits, Read, Reply, Request, Timeout, secret_of


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({"Authorization": "Bearer abcdefgh"}, "abcdefgh"),
        ({"authorization": "Basic  abcdefghi"}, "abcdefghi"),
        ({"X": "1", "AUTHORIZATION": "abcdefgh"}, "abcdefgh"),
        ({"Authorization": "Bearer abcdefg"}, None),  # too short: it would be in too many words
        ({"X-Authorization": "Bearer abcdefgh"}, None),
        ({}, None),
    ],
)
def test_the_secret_of_a_request(headers, secret):
    assert secret_of(headers) == Request("http://localhost", headers).secret == secret


def test_a_request_shows_neither_headers_nor_body_and_never_changes():
    request = Request("http://localhost", {"Authorization": "Bearer abcdefgh"}, b"my prompt")
    assert "localhost" in repr(request)
    assert "abcdefgh" not in repr(request)
    assert "my prompt" not in repr(request)
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.url = "http://elsewhere"


def test_defaults():
    assert Timeout() == (10.0, 300.0, None, 1800.0)
    assert Limits() == (16 * 2**20, 32 * 2**20, 64 * 2**20)
    assert Reply(200, {}) == (200, {}, b"", None, "")
    assert Read("body") == ("body", None)
    request = Request("http://localhost", {})
    assert (request.body, request.method, request.streaming) == (None, "POST", False)
    assert (request.timeout, request.deadline) == (Timeout(), None)
