"""Whatever comes back becomes an XDMError, and no key gets through."""

from __future__ import annotations

import json
import pickle
import re

from hypothesis import given
from hypothesis import strategies as st

from tests.gateway_errors import CASES
from xdm_integrations.core.errors.catalogue import error_for, error_in, not_an_answer
from xdm_integrations.core.errors.endpoints import WORDS
from xdm_integrations.core.errors.tree import XDMError

KEY = re.compile(r"sk-[A-Za-z0-9_-]{8,}", re.IGNORECASE)

words = st.sampled_from(
    [row.says for row in CASES]
    + ["<nil>", "None", "429", "524", "bad_response_status_code", "upstream_error", "x_api_error"]
)
keys = st.from_regex(r"sk-[A-Za-z0-9]{8,48}", fullmatch=True)
texts = st.one_of(words, keys, st.text(), st.builds("{} Bearer {}\n{}".format, st.text(), keys, words))
names = st.sampled_from(
    ["error", "message", "type", "code", "param", "detail", "choices", "success", "status", "loc", "msg", "object"]
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.text(), inner, max_size=6),
    max_leaves=20,
)
bodies = st.one_of(
    st.binary(max_size=2000),
    texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
    values.map(lambda value: json.dumps(value).encode()),
    st.builds(lambda value, cut: json.dumps(value).encode()[:cut], values, st.integers(0, 200)),
    texts.map(lambda text: f"<!doctype html><title>{text}</title>{text}".encode("utf-8", "replace")),
)
statuses = st.one_of(st.integers(), st.sampled_from([200, 204, 301, 307, *range(400, 430), *range(500, 531)]))
headers = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "location", "retry-after", "retry-after-ms", "date", "x-oneapi-request-id", "cf-mitigated"]
    ),
    st.one_of(
        st.sampled_from(["text/html", "application/json", "https://x.example/v1/completions", "7", "nan"]), texts
    ),
)


def is_sound(error: object) -> None:
    assert isinstance(error, XDMError)
    shown = error.message + repr(error) + repr(vars(error))
    assert not KEY.search(shown)
    assert "\n" not in error.message
    error.message.encode()
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)  # noqa: S301 - our own bytes


endpoints = st.sampled_from(list(WORDS))


@given(statuses, headers, bodies, endpoints)
def test_any_reply_becomes_an_error(status, headers, body, endpoint):
    is_sound(error_for(status, headers, body, endpoint))


@given(statuses, headers, bodies, endpoints)
def test_anything_may_be_no_answer(status, headers, body, endpoint):
    is_sound(not_an_answer(status, headers, body, endpoint))


@given(values, statuses, headers, bodies, st.sampled_from(["", "error", "bare"]), endpoints)
def test_any_payload_is_an_error_or_not(payload, status, headers, body, kind, endpoint):  # noqa: PLR0913, PLR0917 - drawn
    error = error_in(payload, status=status, headers=headers, body=body, kind=kind, endpoint=endpoint)
    if error is not None:
        is_sound(error)
    else:
        assert kind != "error"


@given(st.integers(1, 3000))
def test_depth_is_no_matter(depth):
    for body in (b"[" * depth, b'{"error":' * depth + b"1" + b"}" * depth, b'{"detail":[' * depth + b"]}" * depth):
        is_sound(error_for(500, {}, body))
