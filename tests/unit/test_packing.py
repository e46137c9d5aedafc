"""Batches, driven by hand: which prompts share a request, and what a failure means for each."""

from __future__ import annotations

import pytest

from tests.unit.flows import ok, play, refused, sent, setup_of
from xdm_integrations.core.completions.packing import plan_prompts
from xdm_integrations.core.completions.parse import WrongChoicesError
from xdm_integrations.core.errors.tree import (
    APIConnectionError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from xdm_integrations.core.protocol.batching import Pack, check_at_least_one
from xdm_integrations.core.protocol.call import ServerFacts
from xdm_integrations.core.protocol.results import Usage
from xdm_integrations.core.protocol.wire import Reply

LIST_REFUSED = refused(400, {"detail": "prompt must be a string."})
BAD = refused(400, {"error": {"message": "not this one"}})


def plan_of(prompts, batch_size=20, facts=None, **params):
    return play(plan_prompts(setup_of(facts), prompts, params, batch_size), [])[0]


@pytest.mark.parametrize(
    ("count", "size", "packs"),
    [
        (1, 20, [[0]]),
        (5, 2, [[0, 1], [2, 3], [4]]),
        (4, 4, [[0, 1, 2, 3]]),
        (3, 1, [[0], [1], [2]]),
        (4, 100, [[0, 1, 2, 3]]),
    ],
)
def test_shares(count, size, packs):
    plan = plan_of([f"p{i}" for i in range(count)], size)
    assert [list(pack.positions) for pack in plan.packs] == packs


def test_a_model_that_takes_no_lists_gets_none():
    plan = plan_of(["a", "b"], facts=ServerFacts(single_prompt_models={"m"}), model="m")
    assert [list(pack.positions) for pack in plan.packs] == [[0], [1]]


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "2", None])
def test_counts_are_integers_of_at_least_one(value):
    with pytest.raises(ConfigurationError, match=r"^batch_size: "):
        plan_of(["a"], value)
    with pytest.raises(ConfigurationError, match=r"^x: .* at least 1"):
        check_at_least_one("x", value)
    check_at_least_one("x", 1)


def test_a_pack_is_split_by_prompt():
    plan = plan_of(["x", "y"], n=2)
    result, commands = play(plan.flow(plan.packs[0]), [ok("a", "A", "b", "B")])
    assert sent(commands) == [["x", "y"]]
    assert [[(c.text, c.index) for c in outcome.choices] for outcome in result.outcomes] == [
        [("a", 0), ("A", 1)],
        [("b", 0), ("B", 1)],
    ]
    assert [outcome.usage for outcome in result.outcomes] == [None, None]
    assert result.usage == Usage(1, 4, 5)
    assert result.retry == ()


def test_a_pack_of_one_keeps_its_counts():
    plan = plan_of(["x"])
    result, commands = play(plan.flow(plan.packs[0]), [ok("a")])
    assert sent(commands) == ["x"]
    assert result.outcomes[0].usage == result.usage == Usage(1, 1, 2)


@pytest.mark.parametrize(
    "reply",
    [LIST_REFUSED, BAD, ok("merged"), refused(500, {"error": {"message": ""}}), refused(422, {"detail": "no"}),
     refused(400, {"error": {"message": "maximum context length", "code": "context_length_exceeded"}}),
     refused(403, {"error": {"message": "Your input was flagged for the following reasons: violence", "code": 403}})],
)  # fmt: skip
def test_what_may_be_one_prompts_fault_is_asked_alone(reply):
    plan = plan_of(["x", "y"])
    result, commands = play(plan.flow(plan.packs[0]), [reply])
    assert sent(commands) == [["x", "y"]]
    assert result.outcomes == []
    assert [list(pack.positions) for pack in result.retry] == [[0], [1]]
    assert result.usage == (Usage(1, 1, 2) if reply.status == 200 else None)  # paid for all the same


def test_a_web_page_is_not_one_prompts_fault():
    plan = plan_of(["x", "y"])
    result, commands = play(plan.flow(plan.packs[0]), [Reply(200, {"content-type": "text/html"}, b"<html></html>")])
    assert sent(commands) == [["x", "y"]]
    assert result.retry == ()


def test_an_answer_without_choices_may_be_one_prompts_fault_too():
    plan = plan_of(["x", "y"])
    result, commands = play(plan.flow(plan.packs[0]), [ok(), ok()])
    assert sent(commands) == [["x", "y"]] * 2
    assert len(result.retry) == 2


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        ([refused(401)], AuthenticationError),
        ([refused(429)] * 3, RateLimitError),
        ([refused(503)] * 3, ServerError),
        ([refused(404)], NotFoundError),
        ([APIConnectionError("reset.")] * 3, APIConnectionError),
        (
            [
                refused(
                    403,
                    {"error": {"message": "用户额度不足", "type": "new_api_error", "code": "insufficient_user_quota"}},
                )
            ],
            Exception,
        ),
    ],
)
def test_what_is_nobodys_fault_fails_all(replies, kind):
    plan = plan_of(["x", "y"])
    result, _ = play(plan.flow(plan.packs[0]), replies)
    assert len(result.outcomes) == 2
    assert isinstance(result.outcomes[0], kind)
    assert result.outcomes[0] is result.outcomes[1]
    assert result.retry == ()


def test_asked_alone_teaches_only_if_a_list_was_refused():
    facts = ServerFacts()
    plan = plan_of(["x", "y"], facts=facts, model="m")
    why_bad, why_list = BadRequestError("x", status_code=400), WrongChoicesError("x")
    result, commands = play(plan.flow(Pack([1], previous_error=why_bad)), [ok("b")])
    assert sent(commands) == ["y"]
    assert result.outcomes[0].text == "b"
    assert facts == ServerFacts()
    play(plan.flow(Pack([0], previous_error=why_list)), [BAD])
    assert facts == ServerFacts()
    play(plan.flow(Pack([1], previous_error=why_list)), [ok("b")])
    assert facts.single_prompt_models == {"m"}


def test_alone_the_error_is_the_prompts_own():
    plan = plan_of(["x", "y"])
    result, _ = play(plan.flow(Pack([1])), [BAD])
    assert [type(o) for o in result.outcomes] == [BadRequestError]
    assert result.retry == ()


def test_the_callers_mistake_is_raised():
    plan = plan_of(["x", "y"], extra_body={"a": object()})
    with pytest.raises(ConfigurationError, match="extra_body"):
        play(plan.flow(plan.packs[0]), [])
