"""Many prompts in few requests: which prompts share one, and what a failure means for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xdm_integrations.core.errors.tree import APIResponseError, BadRequestError, ConfigurationError, XDMError
from xdm_integrations.core.protocol.batching import Outcome, Pack, PackResult, check_at_least_one

from .request import complete_flow, refuses_lists, usage_of_unusable_answer

if TYPE_CHECKING:
    from xdm_integrations.core.protocol.call import Call, ServerFacts
    from xdm_integrations.core.protocol.flow import Flow
    from xdm_integrations.core.protocol.retry import Runtime

    from .results import Completion


@dataclass(frozen=True)
class BatchPlan:
    """A whole batch: the call, checked once, and its packs."""

    call: Call
    facts: ServerFacts
    runtime: Runtime
    packs: list[Pack]

    def flow(self, pack: Pack) -> Flow[PackResult]:
        """Return the flow that asks for one pack. It raises no `XDMError`: outcomes hold them."""
        prompts = [self.call.prompts[i] for i in pack.positions]
        return _pack_flow(replace(self.call, prompts=prompts), pack, self.facts, self.runtime)


def pack_prompts(call: Call, facts: ServerFacts, runtime: Runtime, batch_size: int) -> BatchPlan:
    """Share the prompts of `call` out into requests of at most `batch_size`.

    Raises:
        ConfigurationError: `batch_size` isn't at least 1.
    """
    check_at_least_one("batch_size", batch_size)
    if call.model in facts.single_prompt_models:
        batch_size = 1
    count = len(call.prompts)
    packs = [Pack(range(i, min(i + batch_size, count))) for i in range(0, count, batch_size)]
    return BatchPlan(call, facts, runtime, packs)


def _pack_flow(call: Call, pack: Pack, facts: ServerFacts, runtime: Runtime) -> Flow[PackResult]:
    packed = len(call.prompts) > 1
    try:
        completion = yield from complete_flow(call, facts, runtime, one_by_one=False)
    except ConfigurationError:
        raise  # the caller's mistake, the same for every prompt
    except XDMError as error:
        if packed and _may_be_one_prompts_fault(error):
            alone = tuple(Pack([i], error) for i in pack.positions)
            return PackResult([], usage_of_unusable_answer(error), alone)
        return PackResult([error] * len(call.prompts))
    if pack.refused is not None and refuses_lists(pack.refused):
        facts.single_prompt_models.add(call.model)
    return PackResult(_split(completion, len(call.prompts)), completion.usage)


def _may_be_one_prompts_fault(error: XDMError) -> bool:
    if refuses_lists(error):
        return True
    return isinstance(error, (BadRequestError, APIResponseError)) and error.scope == "request"


def _split(completion: Completion, count: int) -> list[Outcome]:
    """Return a completion per prompt. The counts stay with the request where it had several."""
    if count == 1:
        return [completion]
    return [
        replace(
            completion,
            choices=tuple(choice._replace(index=j) for j, choice in enumerate(choices)),
            usage=None,
        )
        for choices in completion.by_prompt()
    ]
