"""Lists of prompts before servers that merge, refuse or drop them: an answer is never paired with the wrong prompt."""

from __future__ import annotations

import pytest

from tests.scripted import USAGE, chunk, completion, echoing, http, stream, usage_chunk
from xdm_integrations import APIResponseError, BadRequestError, Client, StreamInterruptedError, XDMError

DETAIL = [{"type": "string_type", "loc": ["body", "prompt"], "msg": "Input should be a valid string", "input": ["a"]}]
REFUSALS = {
    "merged into one": http(completion("<a b>")),
    "only the first answered": http(completion("<a>")),
    "too many": http(completion("<a>", "<b>", "<c>", "<d>", "<e>", "<f>", "<g>")),
    "all with index 0": http({"choices": [{"text": t, "index": 0} for t in "ab"]}),
    "400": http({"detail": "prompt must be a string."}, 400),
    "422": http({"detail": DETAIL}, 422),
    "500 with an empty message": http(
        {"error": {"message": "", "type": "internal_server_error", "param": None, "code": None}}, 500
    ),
}


def refusing(refusal):
    return lambda seen: refusal if isinstance(seen.json["prompt"], list) else echoing(seen)


def prompts_of(server):
    return [seen.json["prompt"] for seen in server.requests]


@pytest.mark.parametrize("how", REFUSALS)
def test_they_are_asked_one_by_one_and_never_as_a_list_again(surface, server, how):
    server.script = refusing(REFUSALS[how])
    client = surface.client(base_url=server.url, model="m")
    answer = surface.complete(client, ["a", "b", "c"])
    assert [(c.text, c.index) for c in answer.choices] == [("<a>", 0), ("<b>", 1), ("<c>", 2)]
    in_vain = USAGE["total_tokens"] if "usage" in str(REFUSALS[how]) else 0  # paid for all the same
    assert answer.usage.total_tokens == 6 + in_vain
    assert prompts_of(server) == [["a", "b", "c"], "a", "b", "c"]
    server.requests.clear()
    surface.complete(client, ["d", "e"])
    assert prompts_of(server) == ["d", "e"]
    server.requests.clear()
    surface.batch(client, ["f", "g"])
    assert sorted(prompts_of(server)) == ["f", "g"]
    server.requests.clear()
    server.script = echoing
    surface.complete(client, ["h", "i"], model="another")
    assert prompts_of(server) == [["h", "i"]]


def test_n_of_each(surface, server):
    server.script = refusing(REFUSALS["422"])
    answer = surface.complete(surface.client(base_url=server.url), ["a", "b"], n=2)
    assert [[c.text for c in group] for group in answer.by_prompt()] == [["<a#0>", "<a#1>"], ["<b#0>", "<b#1>"]]
    assert [c.index for c in answer.choices] == [0, 1, 2, 3]


def test_where_a_server_ignores_n_the_missing_choices_are_asked_for(surface, server):
    server.script = lambda seen: http(completion(f"answer {len(server.requests)}"))
    answer = surface.complete(surface.client(base_url=server.url), "a", n=3)
    assert [(choice.text, choice.index) for choice in answer.choices] == [
        ("answer 1", 0),
        ("answer 2", 1),
        ("answer 3", 2),
    ]
    assert answer.usage.total_tokens == 3 * USAGE["total_tokens"]
    assert [seen.json.get("n") for seen in server.requests] == [3, None, None]
    assert [len(group) for group in answer.by_prompt()] == [3]


def test_a_missing_choice_that_fails_is_the_error_with_those_that_came(surface, server):
    refusal = http({"error": {"message": "not again", "type": "invalid_request_error"}}, 400)
    server.script = [http(completion("<a>")), refusal]
    with pytest.raises(BadRequestError, match="not again") as caught:
        surface.complete(surface.client(base_url=server.url), "a", n=2)
    assert caught.value.partial.text == "<a>"
    assert len(server.requests) == 2


def test_more_choices_than_were_asked_for_are_a_typed_error(surface, server):
    server.script = [http(completion("<a>", "<b>"))]
    with pytest.raises(APIResponseError, match="asked for: 1") as caught:
        surface.complete(surface.client(base_url=server.url, max_retries=0), "a")
    assert caught.value.text == "<a>"


def test_a_stream_of_n_choices_where_one_comes_says_what_to_do(surface, server):
    server.script = [stream(chunk("<a>", 0), chunk("", 0, "stop"), usage_chunk(), "data: [DONE]\n\n")]
    with pytest.raises(StreamInterruptedError, match="one answer per request"):
        surface.stream(surface.client(base_url=server.url), "a", n=2)


def test_a_prompt_that_fails_alone_is_the_error_with_the_answers_before_it(surface, server):
    def script(seen):
        prompt = seen.json["prompt"]
        if isinstance(prompt, list):
            return REFUSALS["400"]
        return (
            http({"error": {"message": "not this", "type": "invalid_request_error"}}, 400)
            if prompt == "b"
            else echoing(seen)
        )

    server.script = script
    client = surface.client(base_url=server.url)
    with pytest.raises(BadRequestError, match="not this") as caught:
        surface.complete(client, ["a", "b", "c"])
    assert caught.value.text == "<a>"
    assert prompts_of(server) == [["a", "b", "c"], "a", "b"]
    server.requests.clear()
    with pytest.raises(BadRequestError):
        surface.complete(client, ["a", "b"])
    assert prompts_of(server)[0] == ["a", "b"]


def test_other_errors_of_a_list_are_the_callers(surface, server):
    server.script = [http({"error": {"message": "Invalid token", "type": "new_api_error"}}, 401)]
    with pytest.raises(XDMError):
        surface.complete(surface.client(base_url=server.url), ["a", "b"])
    assert len(server.requests) == 1


def test_choices_in_any_order_are_paired_by_index(surface, server):
    body = completion("<a>", "<b>", "<c>")
    body["choices"].reverse()
    server.script = [http(body)]
    answer = surface.complete(surface.client(base_url=server.url), ["a", "b", "c"])
    assert [c.text for c in answer.choices] == ["<a>", "<b>", "<c>"]


def test_streams_of_several_prompts_interleave_by_index(surface, server):
    client = surface.client(base_url=server.url)
    chunks, whole = surface.stream(client, ["one", "two"], n=2)
    assert [[c.text for c in group] for group in whole.by_prompt()] == [["<one#0>", "<one#1>"], ["<two#0>", "<two#1>"]]
    assert [c.finish_reason for c in whole.choices] == ["stop"] * 4
    for i in range(4):
        assert "".join(c.text for c in chunks if c.index == i) == whole.choices[i].text


def test_a_stream_that_mixes_prompts_is_never_taken_for_their_answers(surface, server):
    server.script = [stream(chunk("<a>", 0), chunk("<b>", 0), chunk("", 0, "stop"), usage_chunk(), "data: [DONE]\n\n")]
    with pytest.raises(StreamInterruptedError, match="1 of 2 choices"):
        surface.stream(surface.client(base_url=server.url), ["a", "b"])
    assert len(server.requests) == 1


def test_a_stream_with_an_index_out_of_range_is_a_typed_error(surface, server):
    server.script = [stream(chunk("<a>", 0), chunk("<b>", 7))]
    with pytest.raises(APIResponseError, match="choice 7") as caught:
        surface.stream(surface.client(base_url=server.url), ["a", "b"])
    assert caught.value.text == "<a>"


def test_lists_are_asked_over_one_connection(surface, server):
    server.script = refusing(REFUSALS["400"])
    surface.complete(surface.client(base_url=server.url), ["a", "b", "c"])
    assert server.connections == 1


def test_a_pack_is_asked_for_one_by_one_where_that_is_known(server):
    server.script = refusing(REFUSALS["422"])
    with Client(base_url=server.url) as client:
        client.complete(["a", "b"])
        server.requests.clear()
        result = client.complete_pack(["c", "d"])
        assert (result.outcomes, [list(pack.positions) for pack in result.retry]) == ([], [[0], [1]])
        assert server.requests == []
