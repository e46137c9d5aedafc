"""Every parameter: type, range, the values at its edges, and messages that name parameter, value and range."""

from __future__ import annotations

import math
from collections import OrderedDict
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from numbers import Integral, Real

import pytest

from xdm_integrations.core.completions.parameters import (
    PARAMETERS,
    CompletionParams,
    ParamsBesideStop,
    ParamsBesideSuffix,
    check_parameters,
    split_prompts,
)
from xdm_integrations.core.errors.tree import ConfigurationError

NAN, INF, HUGE = math.nan, math.inf, 10**400
UNWRITABLE = 10**5000


class Int64(int):
    """Stands for numpy's integers, which are `Integral` and no `int`."""


class Named(str, Enum):
    """Texts that `str` calls by their names."""

    FIRST = "the first"


class NumpyInt:
    """The same without being an `int`."""

    def __init__(self, value):
        self.value = value

    def __int__(self):
        return self.value

    def __repr__(self):
        return f"np.int64({self.value})"

    def __lt__(self, other):
        return self.value < other

    def __ge__(self, other):
        return self.value >= other

    def __str__(self):
        return str(self.value)

    def __hash__(self):
        return hash(self.value)

    def __eq__(self, other):
        return self.value == other


Integral.register(NumpyInt)


class NumpyFloat:
    """Stands for numpy's single floats, which are `Real` and no `float`."""

    def __float__(self):
        return 0.5


Real.register(NumpyFloat)

GOOD = [
    ("best_of", 1, 1),
    ("best_of", 20, 20),
    ("best_of", NumpyInt(3), 3),
    ("echo", True, True),
    ("echo", False, False),
    ("frequency_penalty", -2, -2),
    ("frequency_penalty", 2.0, 2.0),
    ("frequency_penalty", 0, 0),
    ("logit_bias", {50256: -100}, {"50256": -100}),
    ("logit_bias", {"50256": 100.0}, {"50256": 100.0}),
    ("logit_bias", {NumpyInt(5): 0.5}, {"5": 0.5}),
    ("logit_bias", OrderedDict({0: 0}), {"0": 0}),
    ("logprobs", 0, 0),
    ("logprobs", 5, 5),
    ("max_tokens", 1, 1),
    ("max_tokens", 10**9, 10**9),
    ("model", "m", "m"),
    ("n", 1, 1),
    ("n", 128, 128),
    ("presence_penalty", -2.0, -2.0),
    ("presence_penalty", 2, 2),
    ("seed", 0, 0),
    ("seed", -(2**63), -(2**63)),
    ("seed", 2**63 - 1, 2**63 - 1),
    ("stop", "\n", ["\n"]),
    ("stop", ["a"], ["a"]),
    ("stop", ("a", "b", "c", "d"), ["a", "b", "c", "d"]),
    ("stop", {"a"}, ["a"]),
    ("suffix", "", ""),
    ("suffix", "x", "x"),
    ("temperature", 0, 0),
    ("temperature", 0.0, 0.0),
    ("temperature", 2, 2),
    ("temperature", Fraction(1, 2), 0.5),
    ("temperature", NumpyFloat(), 0.5),
    ("top_p", 0.0, 0.0),
    ("top_p", 1, 1),
    ("user", "u", "u"),
]


@pytest.mark.parametrize(("name", "value", "sent"), GOOD, ids=lambda v: repr(v)[:30])
def test_accepted(name, value, sent):
    checked = check_parameters({name: value})[name]
    assert checked == sent
    assert type(checked) is type(sent)


BAD = [
    ("best_of", 0, "an integer from 1 to 20"),
    ("best_of", 21, "from 1 to 20"),
    ("best_of", True, "an integer from 1 to 20"),
    ("best_of", 2.0, "an integer"),
    ("echo", 1, "True or False"),
    ("echo", "yes", "True or False"),
    ("frequency_penalty", -2.01, "from -2 to 2"),
    ("frequency_penalty", 2.01, "from -2 to 2"),
    ("frequency_penalty", "1", "a number"),
    ("logit_bias", [5], "a mapping"),
    ("logit_bias", {"x": 1}, "token id"),
    ("logit_bias", {"٣": 1}, "token id"),
    ("logit_bias", {-1: 1}, "token id"),
    ("logit_bias", {"-1": 1}, "token id"),
    ("logit_bias", {True: 1}, "token id"),
    ("logit_bias", {1.0: 1}, "token id"),
    ("logit_bias", {5: 101}, "from -100 to 100"),
    ("logit_bias", {5: -100.5}, "from -100 to 100"),
    ("logit_bias", {5: NAN}, "from -100 to 100"),
    ("logit_bias", {5: "1"}, "from -100 to 100"),
    ("logprobs", -1, "from 0 to 5"),
    ("logprobs", 6, "from 0 to 5"),
    ("logprobs", True, "an integer from 0 to 5"),
    ("max_tokens", -1, "of at least 0"),
    ("max_tokens", 10.0, "an integer"),
    ("max_tokens", "10", "an integer"),
    ("model", 5, "a string"),
    ("model", "", "model's id"),
    ("model", "  ", "model's id"),
    ("n", 0, "from 1 to 128"),
    ("n", 129, "from 1 to 128"),
    ("n", False, "an integer"),
    ("presence_penalty", -3, "from -2 to 2"),
    ("presence_penalty", 3, "from -2 to 2"),
    ("seed", 2**63, "from -9223372036854775808 to 9223372036854775807"),
    ("seed", -(2**63) - 1, "from -9223372036854775808"),
    ("seed", 1.5, "an integer"),
    ("seed", UNWRITABLE, "from -9223372036854775808"),
    ("stop", 5, "a string or a sequence of up to 4 strings"),
    ("stop", ["a", 5], "up to 4 strings"),
    ("stop", b"ab", "up to 4 strings"),
    ("stop", iter("ab"), "up to 4 strings"),
    ("stop", "", "empty string"),
    ("stop", ["a", ""], "empty string"),
    ("stop", list("abcde"), "5 sequences"),
    ("suffix", 5, "a string"),
    ("temperature", -0.1, "from 0 to 2"),
    ("temperature", 2.1, "from 0 to 2"),
    ("temperature", 3, "from 0 to 2"),
    ("temperature", NAN, "from 0 to 2"),
    ("temperature", INF, "from 0 to 2"),
    ("temperature", -INF, "from 0 to 2"),
    ("temperature", HUGE, "from 0 to 2"),
    ("temperature", UNWRITABLE, "from 0 to 2"),
    ("temperature", True, "a number"),
    ("temperature", "hot", "a number"),
    ("temperature", Decimal("0.5"), "a number"),
    ("top_p", -0.01, "a number from 0 to 1"),
    ("top_p", 1.01, "from 0 to 1"),
    ("top_p", None.__class__, "a number"),
    ("user", 5, "a string"),
]


@pytest.mark.parametrize(
    ("name", "value", "says"), BAD, ids=lambda v: "huge" if v == UNWRITABLE else repr(v).partition(" object at")[0][:30]
)
def test_refused_with_name_value_and_range(name, value, says):
    with pytest.raises(ConfigurationError) as caught:
        check_parameters({name: value})
    message = caught.value.message
    assert message.startswith(name)
    assert says in message
    if isinstance(value, (int, float, str)) and value not in ("", "  ", UNWRITABLE):
        assert repr(value)[:60] in message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"user": 5}, "user: 5 must be a string."),
        ({"echo": 1}, "echo: 1 must be True or False."),
        ({"stop": 5}, "stop: 5 must be a string or a sequence of up to 4 strings."),
        (
            {"max_tokens": -1},
            (
                "max_tokens: -1 must be an integer of at least 0. For a server that takes it, pass it as "
                "extra_body={'max_tokens': ...}."
            ),
        ),
        (
            {"top_p": 2},
            "top_p: 2 must be a number from 0 to 1. For a server that takes it, pass it as extra_body={'top_p': ...}.",
        ),
        ({"n": "x" * 58}, f"n: '{'x' * 58}' must be an integer from 1 to 128."),
        ({"n": "x" * 59}, f"n: '{'x' * 59}... must be an integer from 1 to 128."),
    ],
)
def test_messages_are_whole_sentences_and_cut_long_values(given, message):
    with pytest.raises(ConfigurationError) as caught:
        check_parameters(given)
    assert caught.value.message == message


@pytest.mark.parametrize("name", PARAMETERS)
def test_none_is_not_given(name):
    assert check_parameters({name: None}) == {}
    assert check_parameters({name: None, "model": "m"}) == {"model": "m"}


def test_what_says_nothing_is_not_sent():
    assert check_parameters({"stop": [], "logit_bias": {}}) == {}


def test_what_was_handed_in_is_not_handed_on():
    stop, bias = ["a"], {"5": 1}
    body = check_parameters({"stop": stop, "logit_bias": bias})
    assert body["stop"] is not stop
    assert body["logit_bias"] is not bias


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"n": 3, "best_of": 2}, "best_of: 2 must be at least n (3)"),
        ({"max_tokens": 0}, "max_tokens: 0 must be at least 1"),
        ({"max_tokens": 0, "echo": False}, "echo=True"),
    ],
)
def test_contradictions(given, says):
    with pytest.raises(ConfigurationError, match="must be at least") as caught:
        check_parameters(given)
    assert says in caught.value.message


def test_combinations_that_are_fine():
    assert check_parameters({"n": 2, "best_of": 2}) == {"n": 2, "best_of": 2}
    assert check_parameters({"best_of": 3}) == {"best_of": 3}
    assert check_parameters({"n": 3}) == {"n": 3}
    assert check_parameters({"max_tokens": 0, "echo": True}) == {"max_tokens": 0, "echo": True}
    assert check_parameters({"best_of": 1}, streaming=True) == {"best_of": 1}


def test_best_of_does_not_stream():
    with pytest.raises(ConfigurationError, match="best_of: 2 can't be used in a stream"):
        check_parameters({"best_of": 2}, streaming=True)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("temprature", "Did you mean 'temperature'?"),
        ("max_token", "Did you mean 'max_tokens'?"),
        ("timeouts", "Did you mean 'timeout'?"),
        ("top_k", "Did you mean 'top_p'?"),
        ("top_k", "extra_body"),
        ("guided_json", "`extra_body`"),
    ],
)
def test_unknown_names(name, says):
    with pytest.raises(ConfigurationError) as caught:
        check_parameters({name: 1})
    assert caught.value.message.startswith(f"{name}: unknown parameter.")
    assert says in caught.value.message


def test_the_types_list_what_the_table_checks():
    every = {*PARAMETERS, "extra_body", "extra_headers", "timeout"}
    assert set(CompletionParams.__annotations__) == every
    assert set(ParamsBesideStop.__annotations__) == every - {"stop"}
    assert set(ParamsBesideSuffix.__annotations__) == every - {"suffix"}


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("你好,", ["你好,"]),
        (" ", [" "]),
        (["a"], ["a"]),
        (["a", "b"], ["a", "b"]),
        (("a", "b"), ["a", "b"]),
        ([Named.FIRST, Named.FIRST], ["the first", "the first"]),
        ([1, 2], [[1, 2]]),
        ((0,), [[0]]),
        (range(3), [[0, 1, 2]]),
        ([NumpyInt(1), 2], [[1, 2]]),
        ([[1, 2], (3,)], [[1, 2], [3]]),
        ([[1]], [[1]]),
    ],
    ids=repr,
)
def test_the_forms_of_a_prompt(prompt, prompts):
    split = split_prompts(prompt)
    assert split == prompts
    assert all(type(one) in (str, list) for one in split)
    assert all(type(token) is int for one in split if isinstance(one, list) for token in one)


def test_a_text_of_an_enum_is_its_value():
    sent = check_parameters({"model": Named.FIRST})["model"]
    assert (sent, str(sent)) == ("the first", "the first")


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("", "item 0 is empty"),
        ([], "an empty list"),
        ((), "an empty list"),
        ([""], "item 0 is empty"),
        (["a", ""], "item 1 is empty"),
        ([[]], "item 0 is empty"),
        ([[1], []], "item 1 is empty"),
        (["a", [1]], "not both"),
        ([[1], "a"], "not both"),
        (["a", 1], "item 1 is a int"),
        (["a", None], "item 1 is a NoneType"),
        ([1, "a"], "token ids are integers"),
        ([1, True], "token ids are integers"),
        ([1, -1], "token ids are integers"),
        ([1.5], "item 0 is a float"),
        ([True], "item 0 is a bool"),
        ([["a"]], "token ids are integers"),
        ([b"a"], "item 0 is a bytes"),
        (b"a", "got bytes"),
        (None, "got NoneType"),
        (5, "got int"),
        ({"a": 1}, "got dict"),
        (map(str, range(2)), "got map"),
    ],
    ids=lambda value: repr(value).partition(" object at")[0],
)
def test_prompts_that_are_none(prompt, says):
    with pytest.raises(ConfigurationError, match=r"^prompt: ") as caught:
        split_prompts(prompt)
    assert says in caught.value.message


def test_a_long_list_of_texts_is_not_copied_twice_and_stays_the_callers():
    prompts = ["a", "b"]
    split = split_prompts(prompts)
    split.append("c")
    assert prompts == ["a", "b"]
    assert type(check_parameters({"seed": Int64(5)})["seed"]) is int
