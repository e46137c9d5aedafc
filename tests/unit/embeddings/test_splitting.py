"""Texts shared out into requests, and what a refusal teaches: each text is answered exactly once, or named."""

from __future__ import annotations

from math import log2

import pytest

from tests.unit.embeddings.working_off import Worked, error, healthy, ok
from tests.vectors import answer, inputs_of, vector_of
from xdm_integrations.core.embeddings.parse import WrongVectorsError
from xdm_integrations.core.embeddings.refusals import name_input
from xdm_integrations.core.errors.tree import (
    APIResponseError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContextLengthExceededError,
    NotFoundError,
    UnsupportedParameterError,
    XDMError,
)
from xdm_integrations.core.protocol.wire import Reply


def numbered(count):
    return [f"text {i}" for i in range(count)]


def refusing(words, most=10_000, *, status=400, characters=10**9, bad=(), **more):
    """Return a server that refuses more than `most` texts, more than `characters`, and bad texts."""

    def respond(body):
        texts = inputs_of(body)
        if len(texts) > most or sum(map(len, texts)) > characters or any(text in bad for text in texts):
            message = words.format(n=len(texts), k=most)
            return Reply(status, {}, message[1:].encode()) if message[:1] == "!" else error(status, message, **more)
        return healthy(body)

    return respond


def check(worked, result, texts):
    assert result.vectors == [vector_of(text) for text in texts]
    assert sorted(worked.answered) == sorted(texts)


COUNTS = [
    "<400> InternalError.InvalidParameter: batch size is invalid, it should not be larger than {k}.: input.contents",
    "input batch size {n} > maximum allowed batch size {k}",
    "batch size {n} > maximum allowed batch size {k}",
    "Too many inputs. The max number of inputs is {k}. We hope to increase the number of inputs per request soon.",
    "Invalid 'input': array too long. Expected an array with maximum length {k}, but got an array with length {n}.",
    "List should have at most {k} items after validation, not {n}",
    "* BatchEmbedContentsRequest.requests: at most {k} requests can be in one batch",
    "The batch size limit is {k}. Your batch size is {n}.",
    "{k} instance(s) is allowed per prediction. Actual: {n}",
    "Malformed input request: #/texts: expected maximum item count: {k}, found: {n}, please reformat your input",
    "input数组长度不能超过{k}, 当前为{n}",
    "litellm.BadRequestError: OpenAIException - batch size should be less than or equal to {k}",
    "!Too many inputs: at most {k} of them",
    "InputList 长度不能超过 {k}",
    "total number of texts must be at most {k} - received {n}",
    "输入数组最大不得超过{k}条",
]


@pytest.mark.parametrize("words", COUNTS)
@pytest.mark.parametrize("most", [1, 10, 16, 25, 32, 64])
def test_a_limit_that_is_named_costs_one_request_and_is_remembered(words, most):
    worked = Worked(refusing(words, most))
    check(worked, worked.embed(numbered(130)), numbered(130))
    assert max(worked.sizes[1:]) == most
    assert len(worked.requests) <= 2 + 130 / most + 1
    worked.requests.clear()
    worked.answered.clear()
    check(worked, worked.embed(numbered(70)), numbered(70))
    assert len(worked.requests) == -(-70 // most)


@pytest.mark.parametrize("words", COUNTS)
@pytest.mark.parametrize("most", [1, 16])
def test_a_refusal_in_the_status_of_a_passing_failure_is_not_waited_for(words, most):
    texts = numbered(2 * most)
    refused, failed = (Worked(refusing(words, most, status=status), max_retries=5) for status in (400, 503))
    check(refused, refused.embed(texts), texts)
    check(failed, failed.embed(texts), texts)
    assert failed.sizes == refused.sizes


PASSING = [
    "HTTPConnectionPool(host='embed', port=8000): Max retries exceeded with url: /v1/embeddings (Caused by X)",
    "upstream request timeout: exceeded 30 seconds",
    "Deadline exceeded after the limit of 10 s",
    "Request queue is full: at most 16 concurrent requests",
    "worker exceeded 5 restarts",
    "the batch of inputs failed: max retries exceeded with url: /v1/embeddings",
    "batch timed out, limit 60s",
    "batch queue: at most 8 concurrent batches",
    "input failed, maximum retries: 3",
]
"""Failures that name a number: of seconds, of tries, of a path."""


@pytest.mark.parametrize("words", PASSING)
def test_a_number_in_a_passing_failure_is_no_limit_of_texts(words):
    texts = numbered(100)
    replies = [error(500, words)]
    worked = Worked(lambda body: replies.pop() if replies else healthy(body))
    check(worked, worked.embed(texts), texts)
    assert worked.sizes == [100, 100]
    assert worked.setup.facts.texts_per_request == {}


def test_a_limit_that_one_request_learns_holds_for_those_that_were_planned_before():
    worked = Worked(refusing("The batch size limit is {k}.", 100))
    check(worked, worked.embed(numbered(256)), numbered(256))
    assert worked.sizes == [128, 100, 28, 100, 28]


def test_a_failure_in_the_midst_of_a_search_is_the_error_of_what_is_left():
    replies = [error(400, "no"), healthy, error(401, "Incorrect API key provided")]

    def respond(body):
        reply = replies.pop(0)
        return reply if isinstance(reply, Reply) else reply(body)

    worked = Worked(respond)
    with pytest.raises(AuthenticationError):
        worked.embed(numbered(4), stop_on_error=False)
    assert worked.answered == numbered(4)[:2]
    assert worked.sizes == [4, 2, 1]


@pytest.mark.parametrize(
    "words",
    [
        "json: cannot unmarshal array into Go struct field EmbeddingRequest.input of type string",
        "input must be a string",
    ],
)
def test_a_server_that_takes_no_lists_is_asked_for_each_text_from_then_on(words):
    worked = Worked(refusing(words, 1))
    check(worked, worked.embed(numbered(4)), numbered(4))
    assert worked.sizes == [4, 1, 1, 1, 1]
    assert worked.setup.facts.texts_per_request == {"text-embedding-3-small": 1}


def test_one_text_that_meets_a_passing_failure_is_asked_for_again():
    replies = [error(500, "overloaded"), error(500, "overloaded")]
    worked = Worked(lambda body: replies.pop() if replies else healthy(body), max_retries=5)
    check(worked, worked.embed(["a"]), ["a"])
    assert len(worked.requests) == 3


def test_one_text_whose_answer_holds_nothing_is_asked_for_again():
    replies = [ok({"data": []})]
    worked = Worked(lambda body: replies.pop() if replies else healthy(body))
    assert worked.embed(["a"]).vectors == [vector_of("a")]
    assert worked.sizes == [1, 1]


def test_one_text_that_has_two_vectors_is_an_error_and_not_asked_for_again():
    replies = [ok({"data": answer({"input": "a"})["data"] * 2}, **{"x-oneapi-request-id": "r1"})]
    worked = Worked(lambda body: replies.pop())
    with pytest.raises(WrongVectorsError, match="2 vectors") as caught:
        worked.embed(["a"])
    assert (caught.value.status_code, caught.value.request_id) == (200, "r1")
    assert worked.sizes == [1]


@pytest.mark.parametrize("name", ["model", "dimensions", "user"])
def test_a_refusal_of_something_else_asks_for_no_fewer_texts(name):
    worked = Worked(lambda body: error(400, "This value is out of the question.", param=name))
    with pytest.raises(BadRequestError, match="out of the question"):
        worked.embed(numbered(8))
    assert worked.sizes == [8]


def test_a_form_of_vectors_that_is_refused_in_any_form_asks_for_no_fewer_texts():
    worked = Worked(lambda body: error(400, "This value is out of the question.", param="encoding_format"))
    with pytest.raises(BadRequestError, match="out of the question"):
        worked.embed(numbered(8))
    assert worked.sizes == [8, 8]


def test_a_number_that_this_request_is_below_is_not_its_limit():
    worked = Worked(refusing("Too many inputs: the maximum is 2048 on another plan.", 3))
    check(worked, worked.embed(numbered(8)), numbered(8))
    assert worked.setup.facts.texts_per_request["text-embedding-3-small"] <= 3


def test_base64_is_asked_for_again_where_a_text_was_refused_that_speaks_of_it():
    worked = Worked(lambda body: error(400, "Bad word: base64") if "base64" in inputs_of(body) else healthy(body))
    with pytest.raises(BadRequestError, match="Bad word"):
        worked.embed(["base64"])
    worked.embed(["a"])
    assert ["encoding_format" in body for body in worked.requests] == [True, False, True]


def test_a_passing_failure_that_speaks_of_base64_is_passing_where_none_was_asked_for():
    replies = [error(500, "base64 is beyond us"), error(500, "The pool for base64 is full"), None]
    worked = Worked(lambda body: replies[len(worked.requests) - 1] or healthy(body), max_retries=1)
    check(worked, worked.embed(["a"]), ["a"])


def test_base64_refused_in_the_status_of_a_passing_failure_is_left_out_at_once():
    def respond(body):
        return error(500, "base64 is beyond us") if "encoding_format" in body else healthy(body)

    worked = Worked(respond, max_retries=5)
    check(worked, worked.embed(["a"]), ["a"])
    assert ["encoding_format" in body for body in worked.requests] == [True, False]


@pytest.mark.parametrize("most", [1, 2, 3, 7, 10, 33, 64, 127])
@pytest.mark.parametrize(
    "words", ["no", "too many inputs", "over the maximum with {n} inputs", "!<html><h1>400 Bad Request</h1></html>"]
)
def test_a_limit_that_is_not_named_is_found_and_remembered(words, most):
    worked = Worked(refusing(words, most))
    check(worked, worked.embed(numbered(300)), numbered(300))
    worked.requests.clear()
    worked.answered.clear()
    check(worked, worked.embed(numbered(64)), numbered(64))
    assert max(worked.sizes) <= most
    assert max(worked.sizes) > most / 2 - 1


def test_a_limit_that_shows_in_answers_without_vectors_is_one_of_texts():
    worked = Worked(lambda body: healthy(body) if len(inputs_of(body)) <= 3 else ok({"data": []}))
    assert worked.embed(numbered(12)).vectors == [vector_of(text) for text in numbered(12)]
    assert worked.setup.facts.texts_per_request == {"text-embedding-3-small": 3}
    assert worked.setup.facts.characters_per_request == {}


TOO_LARGE = [
    (400, "Requested {n}00 tokens, max 300000 tokens per request", {"type": "max_tokens_per_request"}),
    (413, "!<html><head><title>413 Request Entity Too Large</title></head></html>", {}),
    (413, "Request body too large", {}),
    (413, "no", {}),
    (400, "This model's maximum context length is 8192 tokens, however you requested 9000 tokens", {}),
    (400, "Total tokens in the request exceed 20000 bytes", {}),
]


@pytest.mark.parametrize(("status", "words", "more"), TOO_LARGE)
@pytest.mark.parametrize("characters", [20, 100, 700])
def test_a_request_that_is_too_large_is_split_and_the_size_is_remembered(status, words, more, characters):
    worked = Worked(refusing(words, status=status, characters=characters, **more))
    texts = [*numbered(100), "x" * 20, *numbered(100)]
    check(worked, worked.embed(texts), texts)
    worked.requests.clear()
    worked.answered.clear()
    check(worked, worked.embed(["abcd"] * 100), ["abcd"] * 100)
    assert len(worked.requests) == len(worked.sizes) <= 400 / (characters / 2 - 8) + 1
    assert worked.setup.facts.texts_per_request == {}


def test_requests_are_bounded_by_characters_too():
    worked = Worked(healthy)
    worked.embed(["x" * 20_000] * 128)
    assert worked.sizes == [15] * 8 + [8]
    worked.requests.clear()
    worked.embed(["x" * 400_000, "y"])
    assert worked.sizes == [1, 1]
    worked.requests.clear()
    worked.embed(["x" * 150_000, "y" * 150_001])
    assert worked.sizes == [1, 1]


def test_batch_size_texts_go_into_a_request():
    worked = Worked(healthy)
    worked.embed(numbered(10), batch_size=4)
    assert worked.sizes == [4, 4, 2]
    worked.requests.clear()
    worked.embed(numbered(256))
    assert worked.sizes == [128, 128]


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "2", None])
def test_batch_size_is_an_integer_of_at_least_one(value):
    worked = Worked(healthy)
    with pytest.raises(ConfigurationError, match=r"^batch_size: "):
        worked.embed(["a"], value)
    assert worked.requests == []


REFUSALS = [
    (400, "'$.input' is invalid. Please check the API reference", {}, BadRequestError),
    (400, "This model's maximum context length is 8192 tokens, however you requested 9000 tokens", {},
     ContextLengthExceededError),
    (422, '!{{"detail": "no"}}', {}, BadRequestError),
    (413, "inputs must have less than 512 tokens. Given: 700", {}, BadRequestError),
    (400, "inappropriate content", {"code": "data_inspection_failed"}, BadRequestError),
    (500, "input (27002 tokens) is too large to process. increase the physical batch size (current batch size: 512)",
     {"type": "server_error"}, ContextLengthExceededError),
    (500, "failed to encode response: json: unsupported value: NaN", {"type": "api_error"}, BadRequestError),
]  # fmt: skip


@pytest.mark.parametrize(("status", "words", "more", "kind"), REFUSALS)
def test_a_refused_text_is_named_and_found_with_few_requests(status, words, more, kind):
    for count in [2, 3, 5, 6, 7, 64, 100, 128]:
        for place in {0, 1, count // 2, count - 2, count - 1}:
            texts = numbered(count)
            worked = Worked(refusing(words, status=status, bad=[texts[place]], **more))
            with pytest.raises(kind, match=rf"^input {place}: ") as caught:
                worked.embed(texts)
            assert caught.value.position == place
            assert len(worked.requests) <= 2 + 2 * log2(count), (count, place)
            assert len(set(worked.answered)) == len(worked.answered)
            assert worked.setup.facts.texts_per_request == worked.setup.facts.characters_per_request == {}


def test_the_number_of_a_refused_text_counts_from_the_first_of_the_call():
    texts = numbered(300)
    worked = Worked(refusing("no", bad=[texts[201]]))
    with pytest.raises(BadRequestError, match=r"^input 201: .*\"no\""):
        worked.embed(texts)


def test_a_text_alone_has_no_number():
    worked = Worked(refusing("no", bad=["x"]))
    for one in ("x", ["x"]):
        with pytest.raises(BadRequestError) as caught:
            worked.embed(one)
        assert not str(caught.value).startswith("input")


def test_every_text_that_is_refused_has_an_error_and_the_others_a_vector():
    texts = numbered(100)
    worked = Worked(refusing("no", bad=[texts[7], texts[8], texts[99]]))
    with pytest.raises(BadRequestError, match=r"^input 7: "):
        worked.embed(texts, stop_on_error=False)
    assert sorted(worked.answered) == sorted(set(texts) - {texts[7], texts[8], texts[99]})


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(401, "Incorrect API key provided"), AuthenticationError),
        (error(400, "This model does not support specifying dimensions.", param="dimensions"), XDMError),
        (error(400, "Unsupported parameter: 'user'", code="unsupported_parameter"), UnsupportedParameterError),
        (error(404, "The model `x` does not exist", code="model_not_found"), XDMError),
        (Reply(404, {}, b"404 page not found"), NotFoundError),
        (error(400, "Unsupported parameter: 'truncate'", code="unsupported_parameter"), UnsupportedParameterError),
    ],
)
def test_what_every_text_would_meet_is_asked_once(reply, kind):
    worked = Worked(lambda body: reply)
    with pytest.raises(kind) as caught:
        worked.embed(numbered(128), dimensions=8)
    assert worked.sizes == [128]
    assert caught.value.position is None


def test_an_error_that_is_numbered_again_has_one_number():
    worked = Worked(refusing("no", bad=["text 1"]))
    with pytest.raises(BadRequestError, match=r"^input 1: ") as caught:
        worked.embed(numbered(2))
    error = name_input(caught.value, 7)
    assert (error.position, str(error)[:9], str(error).count("input 1")) == (7, "input 7: ", 0)


def test_an_empty_text_goes_out_as_it_is():
    worked = Worked(healthy)
    check(worked, worked.embed(["a", "", "b"]), ["a", "", "b"])
    worked = Worked(refusing("input cannot be an empty string", bad=[""]))
    with pytest.raises(BadRequestError, match=r"^input 1: "):
        worked.embed(["a", "", "b"])


@pytest.mark.parametrize(
    "respond",
    [
        lambda body: {"data": [{"index": 0, "embedding": [1.0] * 4 * len(inputs_of(body))}]},  # flattened
        lambda body: {"data": [{"index": 0, "embedding": [1.0] * 4}]},  # fused
        lambda body: {"data": answer(body)["data"][1:]},
        lambda body: {"data": answer(body)["data"] * 2},
        lambda body: {"data": [{**item, "index": item["index"] // 2} for item in answer(body)["data"]]},
        lambda body: {"data": [{**item, "index": item["index"] + 1} for item in answer(body)["data"]]},
        lambda body: {"data": [{**item, "index": -item["index"]} for item in answer(body)["data"]]},
        lambda body: {"data": [{**item, "index": str(item["index"])} for item in answer(body)["data"]]},
        lambda body: {"data": [{**item, "index": 10**9} for item in answer(body)["data"]]},
        lambda body: {"data": [{**item, "index": {"a": 1}} for item in answer(body)["data"]]},
        lambda body: {"data": [{**item, "index": True} for item in answer(body)["data"]]},
    ],
)
def test_vectors_that_cannot_be_paired_are_asked_for_one_by_one_and_that_is_remembered(respond):
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    worked = Worked(lambda body: healthy(body) if len(inputs_of(body)) == 1 else ok({**respond(body), "usage": usage}))
    result = worked.embed(list("abcde"))
    assert result.vectors == [vector_of(text) for text in "abcde"]
    assert worked.sizes == [5, 1, 1, 1, 1, 1]
    assert result.usage.prompt_tokens == 5 + 5 * 3  # the answer that couldn't be used is paid for all the same
    worked.requests.clear()
    worked.embed(list("fg"))
    assert worked.sizes == [1, 1]


def test_the_memory_is_the_models_own():
    worked = Worked(refusing("The batch size limit is {k}.", 2))
    worked.embed(list("abcd"), model="small")
    worked.respond = healthy
    worked.requests.clear()
    worked.embed(list("abcd"), model="other")
    assert worked.sizes == [4]
    worked.requests.clear()
    worked.embed(list("abcd"), model="small")
    assert worked.sizes == [2, 2]


def test_vectors_of_other_lengths_in_other_requests_are_refused():
    def respond(body):
        return ok(answer({**body, "dimensions": 4 if "a" in body["input"] else 8}), **{"x-oneapi-request-id": "r1"})

    with pytest.raises(APIResponseError, match="4 numbers in one answer and of 8 in another") as caught:
        Worked(respond).embed(["a", "b"], batch_size=1)
    assert caught.value.request_id == "r1"


def test_lists_of_token_ids_go_through_like_texts():
    worked = Worked(refusing("The batch size limit is {k}.", 2))
    ids = [[1, 2], [3], [4, 5, 6]]
    result = worked.embed(ids)
    assert result.vectors == [vector_of(one) for one in ids]
    assert [body["input"] for body in worked.requests] == [ids, ids[:2], [4, 5, 6]]
    worked.requests.clear()
    assert worked.embed([7, 8]).vectors == [vector_of([7, 8])]
    assert [body["input"] for body in worked.requests] == [[7, 8]]
