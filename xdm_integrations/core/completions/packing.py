"""Many prompts in few requests: which prompts share one, and what a failure means for each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from xdm_integrations.core.errors.tree import APIResponseError, BadRequestError, ConfigurationError, XDMError
from xdm_integrations.core.protocol.batching import Pack, PackResult, Plan, check_at_least_one, packs_of
from xdm_integrations.core.protocol.wire import Key

from .request import complete_flow, prepare_completion, refuses_lists, usage_of_unusable_answer
from .results import numbered

Outcome: TypeAlias = "Completion | XDMError"
"""What came of a prompt."""

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xdm_integrations.core.protocol.call import Call, Setup
    from xdm_integrations.core.protocol.flow import Flow

    from .parameters import OnePrompt
    from .results import Completion


def plan_prompts(
    setup: Setup, prompts: Sequence[OnePrompt], params: Mapping[str, Any], batch_size: int
) -> Flow[Plan[Completion]]:
    """Check a call, and share its prompts out into requests of at most `batch_size`."""
    headers = setup.headers((yield Key()))
    call, checked = prepare_completion(setup.config, headers, prompts, params)
    check_at_least_one("batch_size", batch_size)

    def flow(pack: Pack) -> Flow[PackResult]:
        return _pack_flow(call, [checked[i] for i in pack.positions], pack, setup)

    single = call.model in setup.facts.single_prompt_models
    return Plan(packs_of(len(checked), 1 if single else batch_size), flow)


def ask_pack(
    setup: Setup, prompts: Sequence[OnePrompt], params: Mapping[str, Any], previous_error: XDMError | None = None
) -> Flow[PackResult]:
    """Ask for the answers to prompts that share a request; positions are those in `prompts`.

    For batches that aren't known as a whole, or whose prompts have parameters of their own. For `previous_error`, see
    `Pack`.
    """
    plan = yield from plan_prompts(setup, prompts, params, len(prompts))
    if len(plan.packs) > 1:  # known to be asked one by one
        return PackResult([], None, tuple(plan.packs))
    return (yield from plan.flow(plan.packs[0]._replace(previous_error=previous_error)))


def _pack_flow(call: Call, prompts: list[OnePrompt], pack: Pack, setup: Setup) -> Flow[PackResult]:
    try:
        completion = yield from complete_flow(call, prompts, setup, one_by_one=False)
    except ConfigurationError:
        raise  # the caller's mistake, the same for every prompt
    except XDMError as error:
        about_prompts = isinstance(error, (BadRequestError, APIResponseError)) and error.scope == "request"
        if len(prompts) > 1 and (about_prompts or refuses_lists(error)):  # it may be the fault of one of them
            alone = tuple(Pack([i], error) for i in pack.positions)
            return PackResult([], usage_of_unusable_answer(error), alone)
        return PackResult([error] * len(prompts))
    if pack.previous_error is not None and refuses_lists(pack.previous_error):
        setup.facts.single_prompt_models.add(call.model)
    return PackResult(_split(completion, len(prompts)), completion.usage)


def _split(completion: Completion, count: int) -> list[Completion]:
    """Return a completion per prompt. The counts stay with the request where it had several."""
    if count == 1:
        return [completion]
    return [replace(completion, choices=numbered(choices), usage=None) for choices in completion.by_prompt()]
