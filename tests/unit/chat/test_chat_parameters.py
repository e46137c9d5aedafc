"""The parameters of chat: each checked, each described, misspelt ones named."""

from __future__ import annotations

import pytest

from xdm_integrations.core.chat.parameters import PARAMETERS, THINK_TAGS, ChatParams, check_parameters
from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.checks import OPTIONS

TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
UNTYPED = {"type": "function", "function": {"name": "now", "parameters": {"properties": {}}}}


def test_the_table_and_the_typed_dictionary_have_the_same_names():
    assert set(ChatParams.__annotations__) == {*PARAMETERS, *OPTIONS, THINK_TAGS}
    assert all(parameter.doc.endswith(".") for parameter in PARAMETERS.values())


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("temperature", 0, 0),
        ("max_tokens", 1, 1),
        ("max_completion_tokens", 1, 1),
        ("stop", "x", "x"),
        ("stop", ["x"], "x"),
        ("stop", ("x", "y"), ["x", "y"]),
        ("stop", [], None),
        ("logprobs", False, False),
        ("seed", 0, 0),
        ("logit_bias", {5: 1}, {"5": 1}),
        ("tools", [TOOL], [TOOL]),
        ("tools", [{"function": {"name": "now"}}], [{"type": "function", "function": {"name": "now"}}]),
        ("tools", [UNTYPED], [UNTYPED]),
        ("tools", [{"type": "web_search"}], [{"type": "web_search"}]),
        ("tools", [], None),
        ("tool_choice", "none", "none"),
        ("metadata", {"a": "b"}, {"a": "b"}),
        ("modalities", ("text",), ["text"]),
        ("temperature", None, None),
    ],
)
def test_what_is_given_is_sent_and_nothing_else(name, value, sent):
    assert check_parameters({name: value}) == ({} if sent is None else {name: sent})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"temprature": 1}, "Did you mean 'temperature'"),
        ({"timout": 1}, "Did you mean 'timeout'"),
        ({"max_completion_tokens": 0}, "at least 1"),
        ({"temperature": 3}, "from 0 to 2"),
        ({"max_tokens": 0}, "at least 1"),
        ({"n": 0}, "from 1 to 128"),
        ({"logprobs": 1}, "True or False"),
        ({"top_logprobs": 2}, "needs logprobs"),
        ({"top_logprobs": 21, "logprobs": True}, "from 0 to 20"),
        ({"response_format": {"properties": {}}}, "bare JSON schema"),
        ({"metadata": "x"}, "metadata: expected a mapping"),
        ({"modalities": "text"}, "modalities: expected a list"),
        ({"modalities": 7}, "modalities: expected a list"),
        ({"modalities": [7]}, "modalities: expected a list"),
        ({"tools": TOOL}, "tools: expected a list"),
        ({"tools": [print]}, "^tools: tool 1 is a builtin_function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tool 1 has no function with a name"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tool 1 has no function with a name"),
        ({"tools": [{"type": "function", "function": {"name": 7}}]}, "tool 1 has no function with a name"),
        ({"tools": [{"type": "function", "function": "now"}]}, "tool 1 has no function with a name"),
        ({"tools": [TOOL, {"function": {"name": "f", "parameters": {"type": "string"}}}]}, r"tool 2 \(f\)"),
        ({"tools": [{"function": {"name": "f", "parameters": "x"}}]}, "JSON schema"),
        ({"tools": [{"type": 7}]}, "tool 1: its type must be a string"),
        ({"tool_choice": "auto"}, "needs tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}}, "no tool 'f'"),
        (
            {"tools": [TOOL, {"function": {"name": "g"}}], "tool_choice": {"function": {"name": "f"}}},
            r"no tool 'f'; the tools are now, g\.$",
        ),
        ({"tools": [TOOL], "tool_choice": 7}, "tool_choice: expected a mapping"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "one of the two"),
        ({"audio": {"voice": "x"}}, "needs modalities"),
    ],
)
def test_a_mistake_is_named_before_any_byte_is_sent(given, words):
    with pytest.raises(ConfigurationError, match=words):
        check_parameters(given)


def test_a_tool_may_be_chosen_that_stands_beside_tools_of_a_providers_own_kind():
    chosen = {"tools": [{"type": "web_search"}, TOOL], "tool_choice": {"type": "function", "function": {"name": "now"}}}
    assert check_parameters(chosen) == chosen


@pytest.mark.parametrize(
    "given", [{"audio": {"voice": "x"}, "modalities": ["text", "audio"]}, {"logprobs": True, "top_logprobs": 2}]
)
def test_what_needs_another_parameter_may_be_given_beside_it(given):
    assert check_parameters(given) == given


def test_a_stream_with_tools_has_one_answer():
    check_parameters({"tools": [TOOL], "n": 2})
    with pytest.raises(ConfigurationError, match="n: with tools"):
        check_parameters({"tools": [TOOL], "n": 2}, streaming=True)
