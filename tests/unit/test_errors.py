"""The error tree: what each class promises, and that every error survives pickling and copying."""

# ruff: noqa: S301 - only our own bytes are unpickled

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from xdm_integrations.core.completions.parse import WrongChoicesError
from xdm_integrations.core.completions.results import Choice, Completion
from xdm_integrations.core.errors import tree as errors

CLASSES = [
    value
    for value in {**vars(errors), "WrongChoicesError": WrongChoicesError}.values()
    if inspect.isclass(value) and issubclass(value, errors.XDMError)
]
PARTIAL = Completion((Choice("so far"),))


def make(cls):
    if issubclass(cls, errors.APIStatusError):
        return cls(
            "what",
            status_code=418,
            type="t",
            code="c",
            param="p",
            scope="token",
            headers={"a": "b"},
            body="x",
            retry_after=1.5,
            partial=PARTIAL,
            request_id="r-1",
            retry="once",
        )
    return cls("what", partial=PARTIAL, request_id="r-1", retry="once")


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    "again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
)
def test_every_error_survives(cls, again):
    error = make(cls)
    error.note = "kept"
    twin = again(error)
    assert type(twin) is cls
    assert vars(twin) == vars(error)
    assert str(twin) == str(error) == "what"
    assert twin.args == ("what",)
    assert twin.text == "so far"
    assert repr(twin) == repr(error)


@pytest.mark.parametrize("cls", CLASSES)
def test_defaults(cls):
    error = cls("what", status_code=500) if issubclass(cls, errors.APIStatusError) else cls("what")
    assert (error.partial, error.request_id, error.text, error.message) == (None, None, "", "what")
    assert error.retryable == (error.retry != "never")
    assert cls.__doc__
    if issubclass(cls, (errors.APIStatusError, errors.APIResponseError)):
        assert (error.headers, error.body) == ({}, "")
    if issubclass(cls, errors.APIStatusError):
        assert (error.type, error.code, error.param, error.retry_after) == (None, None, None, None)
        assert error.scope == "request"


def test_an_answer_that_is_none_is_the_gateways_unless_said_otherwise():
    error = errors.APIResponseError("what")
    assert (error.status_code, error.scope) == (200, "gateway")


@pytest.mark.parametrize(
    ("cls", "bases"),
    [
        ("ConfigurationError", (ValueError,)),
        ("APIConnectionError", (ConnectionError, OSError)),
        ("APITimeoutError", (errors.APIConnectionError, TimeoutError)),
        ("StreamInterruptedError", (errors.APIConnectionError,)),
        ("ContextLengthExceededError", (errors.BadRequestError, errors.APIStatusError)),
        ("ContentFilterError", (errors.BadRequestError,)),
        ("UnsupportedParameterError", (errors.BadRequestError,)),
        ("InsufficientQuotaError", (errors.PermissionDeniedError,)),
        ("ModelUnavailableError", (errors.NotFoundError,)),
        ("GatewayTimeoutError", (errors.ServerError,)),
        ("APIResponseError", (errors.XDMError,)),
    ],
)
def test_the_tree(cls, bases):
    assert issubclass(getattr(errors, cls), bases)
    assert all(issubclass(getattr(errors, cls), base) for base in bases)


@pytest.mark.parametrize(
    ("cls", "retry"),
    [
        ("ConfigurationError", "never"),
        ("APIConnectionError", "backoff"),
        ("APITimeoutError", "backoff"),
        ("StreamInterruptedError", "never"),
        ("BadRequestError", "never"),
        ("AuthenticationError", "never"),
        ("PermissionDeniedError", "never"),
        ("NotFoundError", "never"),
        ("RateLimitError", "backoff"),
        ("ServerError", "backoff"),
        ("GatewayTimeoutError", "once"),
        ("APIResponseError", "never"),
    ],
)
def test_what_may_be_sent_again_by_default(cls, retry):
    assert getattr(errors, cls).default_retry == retry


def test_the_drawing_at_the_top_is_the_tree():
    drawing = errors.__doc__
    for cls in CLASSES:
        if cls not in (errors.XDMError, WrongChoicesError):
            assert re.search(rf"─ {cls.__name__}\b", drawing), cls


def test_headers_are_copied():
    headers = {"a": "b"}
    error = errors.ServerError("x", status_code=500, headers=headers)
    response = errors.APIResponseError("x", headers=headers)
    headers["a"] = "c"
    assert error.headers == response.headers == {"a": "b"}


def test_suggestions_are_part_of_the_message():
    error = errors.ModelUnavailableError("no such model.", status_code=404)
    error.suggest(())
    assert (str(error), error.suggestions) == ("no such model.", ())
    error.suggest(("gpt-a", "gpt-b"))
    assert error.suggestions == ("gpt-a", "gpt-b")
    assert str(error) == error.message
    assert str(error) == "no such model. Offered under a similar name: 'gpt-a', 'gpt-b'."
    assert pickle.loads(pickle.dumps(error)).suggestions == ("gpt-a", "gpt-b")


def test_hiding_a_secret_reaches_every_corner():
    secret = "abcdefgh-secret"
    partial = Completion((Choice("fine"),), headers={"x-echo": secret}, raw={"a": [{"b": secret}]})
    error = errors.APIStatusError(
        f"it was {secret}", status_code=400, code=secret, headers={"x": secret}, body=f"<{secret}>", partial=partial
    )
    error.hide(secret)
    assert secret not in f"{error!r} {error} {error.__dict__!r} {error.partial.headers} {error.partial.raw}"
    assert secret.encode() not in pickle.dumps(error)
    assert error.text == "fine"
    assert (error.message, error.code, error.headers, error.body) == ("it was ***", "***", {"x": "***"}, "<***>")
    assert (error.partial.headers, error.partial.raw) == ({"x-echo": "***"}, {"a": [{"b": "***"}]})
    assert error.partial.choices == (Choice("fine"),)
    before = dict(vars(error))
    error.hide(None)
    assert vars(error) == before


def test_hiding_a_secret_reaches_the_errors_behind_and_the_text():
    secret = "abcdefgh-secret"
    cause = errors.APIConnectionError(f"it was {secret}")
    error = errors.StreamInterruptedError("cut", partial=Completion((Choice(f"the key: {secret}"),)))
    error.__cause__ = cause
    cause.__context__ = before = errors.XDMError(f"at first {secret}")
    error.hide(secret)
    assert str(before) == "at first ***"
    assert (cause.message, str(cause)) == ("it was ***", "it was ***")
    assert error.text == "the key: ***"


def test_hiding_a_secret_in_what_is_nested_too_deep_for_python():
    deep = "secret"
    for _ in range(100_000):
        deep = [deep]
    error = errors.APIResponseError("x", partial=Completion((), raw={"deep": deep}))
    error.hide("secret")
    assert error.partial.raw.keys() == {"deep"}
    while isinstance(deep, list) and deep:
        deep = deep.pop()  # freed level by level


def test_an_error_may_hold_any_answer_that_has_a_text():
    class Other:
        text = "so far"

    assert errors.XDMError("x", partial=Other()).text == "so far"


def test_pydantics_error_in_one_line():
    class WrongError(Exception):
        def errors(self, **options):
            assert options == {"include_input": False, "include_url": False}
            mine = errors.ConfigurationError("n: 0 must be an integer of at least 1.")
            return [
                {"loc": ("n",), "msg": "Value error", "ctx": {"error": mine}},
                {"loc": ("a", 0), "msg": "Field required"},
            ]

    assert errors.settings_error(WrongError()).message == "n: 0 must be an integer of at least 1. a.0: Field required"
