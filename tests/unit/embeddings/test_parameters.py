"""What a call of embeddings may say, and what goes out."""

from __future__ import annotations

import pytest

from tests.unit.embeddings.working_off import Worked, healthy
from xdm_integrations.core.embeddings.parameters import PARAMETERS, EmbeddingParams, listed
from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.protocol.checks import OPTIONS, split_texts


def sent(texts="a", settings=None, **params):
    worked = Worked(healthy, **(settings or {}))
    worked.embed(texts, **params)
    (body,) = worked.requests
    return body


def test_only_what_was_given_is_sent_and_base64_is_asked_for():
    assert sent() == {"model": "text-embedding-3-small", "input": "a", "encoding_format": "base64"}
    assert sent(model=None, dimensions=None, user=None, extra_body=None) == sent()
    assert sent(["a"]) == sent()
    full = sent(["a", "b"], model="m", dimensions=3, user="u", encoding_format="float")
    assert full == {"model": "m", "input": ["a", "b"], "dimensions": 3, "user": "u", "encoding_format": "float"}


def test_a_vector_may_have_a_single_number():
    assert sent(dimensions=1)["dimensions"] == 1


def test_no_texts_are_no_request():
    worked = Worked(healthy)
    nothing = worked.embed([])
    assert (nothing.vectors, nothing.dimensions, nothing.model, nothing.usage) == ([], 0, "", None)
    assert worked.requests == []


def test_the_clients_model_is_used_where_the_call_names_none():
    assert sent(settings={"model": "bge-m3"})["model"] == "bge-m3"
    assert sent(settings={"model": "bge-m3"}, model="m")["model"] == "m"


def test_extra_body_wins():
    body = sent(settings={"extra_body": {"a": 1, "b": 2}}, extra_body={"b": 3, "dimensions": 5}, dimensions=4)
    assert (body["a"], body["b"], body["dimensions"]) == (1, 3, 5)
    with pytest.raises(ConfigurationError, match="must not hold 'input'"):
        sent(extra_body={"input": "x"})


@pytest.mark.parametrize("field", [{"embed_dtype": "float16"}, {"endianness": "big"}, {"output_dtype": "int8"}])
def test_numbers_of_another_kind_are_asked_for_as_json(field):
    """In base64 nobody could tell what they are."""
    for body in (sent(extra_body=field), sent(settings={"extra_body": field})):
        assert body == {"model": "text-embedding-3-small", "input": "a", **field}
    assert sent(extra_body=field, encoding_format="base64")["encoding_format"] == "base64"
    assert sent(extra_body={**field, "encoding_format": "float"})["encoding_format"] == "float"


@pytest.mark.parametrize(
    "text", ["a\nb", "\x00", "  edges  ", "🙂", "<|endoftext|>", "", "\ud83d", "'\"\\", "你好", "\r\n\t", "e\u0301"]
)
def test_texts_arrive_character_for_character(text):
    assert sent(text)["input"] == text
    assert sent([text, text])["input"] == [text, text]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"dimension": 4}, "dimension: unknown parameter. Did you mean 'dimensions'"),
        ({"encoding": "x"}, "Did you mean 'encoding_format'"),
        ({"input_type": "query"}, "extra_body"),
        ({"dimensions": 0}, "dimensions: 0"),
        ({"dimensions": "4"}, "dimensions: '4'"),
        ({"dimensions": True}, "dimensions: True"),
        ({"encoding_format": "hex"}, "encoding_format: 'hex' must be one of base64, float"),
        ({"model": ""}, "model: an empty string"),
        ({"user": 5}, "user: 5"),
        ({"extra_body": 5}, "extra_body: "),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(params, words):
    worked = Worked(healthy)
    with pytest.raises(ConfigurationError) as caught:
        worked.embed("a", **params)
    assert words in str(caught.value)
    assert worked.requests == []


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("a", ["a"]),
        ("", [""]),
        (["a", ""], ["a", ""]),
        (("a",), ["a"]),
        ([], []),
        ([1, 2], [[1, 2]]),
        ([[1, 2], (3,)], [[1, 2], [3]]),
        ((0,), [[0]]),
    ],
)
def test_the_four_forms_of_texts(texts, expected):
    assert split_texts("input", texts) == expected


def test_what_embed_takes_no_vector_of_is_named():
    worked = Worked(healthy)
    with pytest.raises(ConfigurationError, match=r"^input: .*NoneType"):
        worked.embed(None)
    assert worked.requests == []


def test_texts_are_plain_strings_whatever_class_they_had():
    class Marked(str):
        __slots__ = ()

    (plain,) = split_texts("input", [Marked("a")])
    assert type(plain) is str


def test_the_callers_list_is_left_alone():
    texts, ids = ["a", "b"], [[1], [2]]
    assert split_texts("input", texts) is not texts
    split_texts("input", ids)[0].append(5)
    assert (texts, ids) == (["a", "b"], [[1], [2]])


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (None, "NoneType"),
        (5, "int"),
        (b"a", "bytes"),
        ({"a": 1}, "dict"),
        (["a", None], "item 1 is a NoneType"),
        ([None], "item 0 is a NoneType"),
        (["a", [1]], "not both"),
        ([[1], "a"], "not both"),
        ([1, "a"], "token ids are integers"),
        ([-1], "item 0 holds -1"),
        ([[1], [-1]], "item 1 holds -1"),
        ([[1, True]], "holds True"),
        ([[]], "item 0 is empty"),
        ([b"a"], "item 0 is a bytes"),
        ([0.5], "item 0 is a float"),
    ],
)
def test_what_is_no_text_is_refused(texts, words):
    with pytest.raises(ConfigurationError) as caught:
        split_texts("input", texts)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("items", "instruction", "words"),
    [
        (["a", 5], "", "item 1 is a int; expected text or token ids."),
        ([[1]], "query: ", "item 0 is a list; expected text, which the instruction goes in front of."),
        ("ab", "", "whose characters are no texts"),
    ],
)
def test_an_item_that_has_no_vector_is_named_with_what_is_expected(items, instruction, words):
    with pytest.raises(ConfigurationError) as caught:
        listed(items, instruction)
    assert words in str(caught.value)


def test_the_table_and_the_types_name_the_same_parameters():
    assert set(EmbeddingParams.__annotations__) == {*PARAMETERS, *OPTIONS}
