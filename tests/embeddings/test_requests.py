"""What goes out, whichever way a program comes in."""

from __future__ import annotations

import pytest

from tests.embeddings.doors import of_frameworks
from tests.vectors import inputs_of, numbered, vectors_of
from xdm_integrations import ConfigurationError

KEY = "a-key-that-nobody-has"
AWKWARD = ["a\nb", "", "<|endoftext|>", " edges ", "\x00", "🙂", "你好", "\r\n\t", "e\u0301", "'\"\\", "\u2028"]


def bodies(server):
    return [seen.json for seen in server.requests]


def test_a_request_holds_what_was_asked_for_and_nothing_else(door, server, made):
    door.documents(made(api_key=KEY, model="m", dimensions=4, user="u"), ["a", "b"])
    (seen,) = server.requests
    assert (seen.method, seen.path) == ("POST", "/v1/embeddings")
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["user-agent"].startswith("xdm-integrations/")
    assert door.agent in seen.headers["user-agent"]
    assert seen.json == {"model": "m", "input": ["a", "b"], "dimensions": 4, "user": "u", "encoding_format": "base64"}


def test_what_is_not_set_is_not_sent_and_one_text_goes_as_a_string(door, server, made):
    bare = {"model": "text-embedding-3-small", "input": "q", "encoding_format": "base64"}
    unset = {"dimensions": None, "user": None, "encoding_format": None, "extra_body": None, "timeout": None}
    for settings in ({}, unset):
        door.query(made(**settings), "q")
        door.documents(made(**settings), ["q"])
    assert bodies(server) == [bare] * 4


@pytest.mark.parametrize("model", ["text-embedding-ada-002", "bge-m3", "text-search-curie-doc-001"])
def test_texts_arrive_character_for_character_whatever_the_model_is_called(door, server, made, model):
    embedder = made(model=model)
    assert door.documents(embedder, AWKWARD) == vectors_of(AWKWARD)
    for text in AWKWARD:
        door.query(embedder, text)
    assert [body["input"] for body in bodies(server)] == [AWKWARD, *AWKWARD]
    assert {body["model"] for body in bodies(server)} == {model}


def test_extra_body_and_headers_go_along_and_extra_body_wins(door, server, made):
    embedder = made(
        user="u",
        dimensions=3,
        extra_body={"user": "v", "input_type": "query", "dimensions": 2},
        default_headers={"X-A": "1"},
    )
    assert len(door.query(embedder, "q")) == 2
    (seen,) = server.requests
    assert (seen.json["user"], seen.json["input_type"], seen.json["dimensions"]) == ("v", "query", 2)
    assert seen.headers["x-a"] == "1"


def test_what_is_no_json_is_refused_before_anything_is_sent(door, server, made):
    with pytest.raises(ConfigurationError, match="extra_body"):
        door.documents(made(extra_body={"x": object()}, batch_size=1), ["a", "b"])
    assert server.requests == []


@of_frameworks
def test_instructions_stand_in_front(door, server, made):
    embedder = made(query_instruction="query: ", text_instruction="passage: ")
    door.documents(embedder, ["a", "b"])
    door.query(embedder, "q")
    assert [body["input"] for body in bodies(server)] == [["passage: a", "passage: b"], "query: q"]
    for text in (None, 5, b"a", [1, 2]):
        with pytest.raises(ConfigurationError, match="item 1 is"):
            door.documents(embedder, ["a", text])
        with pytest.raises(ConfigurationError, match="item 0 is"):
            door.query(embedder, text)
    assert len(server.requests) == 2


@of_frameworks
def test_a_text_in_the_place_of_a_list_is_not_taken_for_its_characters(door, server, made):
    with pytest.raises(ConfigurationError, match="expected a list of texts"):
        door.documents(made(), "a text")
    assert server.requests == []


@of_frameworks
def test_two_numbers_are_two_items_and_not_the_tokens_of_one_text(door, server, made):
    with pytest.raises(ConfigurationError, match="item 0 is a int"):
        door.documents(made(), [5, 6])
    assert server.requests == []


@of_frameworks
def test_texts_may_come_from_an_iterator(door, server, made):
    assert door.documents(made(), (text for text in "ab")) == vectors_of("ab")


def test_token_ids_go_through_for_servers_that_take_them(door, server, made):
    assert door.documents(made(), [[1, 2], [3]]) == vectors_of([[1, 2], [3]])


def test_several_texts_share_a_request(door, server, made):
    assert door.documents(made(), numbered(256)) == vectors_of(numbered(256))
    assert sorted(len(inputs_of(body)) for body in bodies(server)) == [128, 128]
    server.requests.clear()
    assert door.documents(made(batch_size=4), numbered(10)) == vectors_of(numbered(10))
    assert sorted(len(inputs_of(body)) for body in bodies(server)) == [2, 4, 4]


def test_no_texts_are_no_request(door, server, made):
    assert door.documents(made(), []) == []
    assert server.requests == []


def test_requests_are_bounded_by_characters_too(door, server, made):
    texts = [str(i % 10) * 20_000 for i in range(128)]
    assert door.documents(made(), texts) == vectors_of(texts)
    assert max(sum(map(len, inputs_of(body))) for body in bodies(server)) <= 300_000
    assert sorted(text for body in bodies(server) for text in inputs_of(body)) == sorted(texts)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"dimension": 4}, "Did you mean 'dimensions'"),
        ({"max_retrys": 4}, "Did you mean 'max_retries'"),
        ({"dimensions": 0}, "dimensions: 0"),
        ({"dimensions": True}, "dimensions: True"),
        ({"dimensions": "4"}, "dimensions: '4'"),
        ({"encoding_format": "hex"}, "encoding_format: 'hex'"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"max_retries": -1}, "max_retries"),
        ({"model": ""}, "model"),
        ({"base_url": "http://example.com"}, "https"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything_is_sent(door, server, made, setting, words):
    if "dimension" in setting and not door.agent:
        pytest.skip("of a call, not of a client: tests/contract has it")
    with pytest.raises((ConfigurationError, TypeError)) as caught:
        door.documents(made(**setting), ["a", "b"])
    assert words.lower() in str(caught.value).lower()
    assert server.requests == []


@pytest.mark.parametrize("text", [None, 5, b"a", ["a"]])
def test_what_is_no_text_is_refused_before_anything_is_sent(door, server, made, text):
    with pytest.raises(ConfigurationError):
        door.documents(made(), ["a", text])
    if not isinstance(text, list):  # which the client takes: one text
        with pytest.raises(ConfigurationError):
            door.query(made(), text)
    assert server.requests == []


@pytest.mark.parametrize("last", [b"a", [-1], [], [1.5], ["a"], [7, 8]], ids=repr)
def test_the_last_text_of_many_is_looked_at_before_the_first_is_sent(door, server, made, last):
    with pytest.raises(ConfigurationError, match=r"item 9 |not both"):
        door.documents(made(batch_size=2, max_concurrency=1), [*numbered(9), last])
    assert server.requests == []


@pytest.mark.parametrize("last", [[], [-1], [1.5], "a"], ids=repr)
def test_so_are_the_last_token_ids_of_many(door, server, made, last):
    with pytest.raises(ConfigurationError, match=r"item 9 |not both"):
        door.documents(made(batch_size=2, max_concurrency=1), [*([i] for i in range(9)), last])
    assert server.requests == []


@of_frameworks
def test_token_ids_that_an_instruction_cannot_precede_are_refused_before_anything_is_sent(door, server, made):
    embedder = made(batch_size=2, max_concurrency=1, text_instruction="passage: ")
    with pytest.raises(ConfigurationError, match=r"item 9 .*instruction"):
        door.documents(embedder, [*numbered(9), [7]])
    assert server.requests == []


def test_half_a_character_has_its_vector(door, server, made):
    assert door.documents(made(), ["a", "\ud83d"]) == vectors_of(["a", "\ud83d"])


def test_keys_and_addresses_come_from_the_environment(door, server, monkeypatch):
    monkeypatch.setenv("XDM_API_KEY", "from-the-environment")
    monkeypatch.setenv("XDM_BASE_URL", server.url)
    door.query(door.embedder(), "q")
    assert server.requests[0].headers["authorization"] == "Bearer from-the-environment"


def test_a_function_is_asked_for_the_key_of_each_call(door, server, made):
    keys = iter(["first-key", "second-key"])

    async def ask():
        return next(keys)

    embedder = made(api_key=ask if door.is_async else lambda: next(keys))
    for _ in range(2):
        door.query(embedder, "q")
    assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer first-key", "Bearer second-key"]


def test_a_key_is_needed_for_public_hosts_alone(door, server, made):
    door.query(made(), "q")
    assert "authorization" not in server.requests[0].headers
    with pytest.raises(ConfigurationError, match="api_key"):
        door.query(made(base_url="https://example.com"), "q")
