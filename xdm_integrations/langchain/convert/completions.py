"""From the client's values to LangChain's. Pure.

LangChain adds the pieces of a stream up, whatever stands in `generation_info`: so what describes the complete answer
travels on exactly one piece, the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.outputs import Generation, GenerationChunk, LLMResult

from xdm_integrations.core.errors.tree import XDMError

from . import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xdm_integrations.core.chat.results import ChatChoice
    from xdm_integrations.core.completions.packing import Outcome
    from xdm_integrations.core.completions.results import Choice, Completion, CompletionChunk
    from xdm_integrations.core.protocol.results import Answer, Logprobs, Usage

_MEANINGFUL = ("usage_metadata", "lc_gateway_metadata", "choices", "token_usage")
"""Keys of `generation_info` by which LangChain and its tracers count tokens and name models."""
_SHOWN_HEADERS = ("x-ratelimit-", "x-request-id", "x-oneapi-request-id", "openai-processing-ms")


_READ = {"cached_tokens": "cache_read", "audio_tokens": "audio", "cached_creation_tokens": "cache_creation"}
_READ_BESIDE = {
    "cached_tokens": "cache_read",  # Moonshot
    "prompt_cache_hit_tokens": "cache_read",  # DeepSeek
    "cache_read_input_tokens": "cache_read",  # Claude, by New API
    "cache_creation_input_tokens": "cache_creation",
}
_MADE = {"reasoning_tokens": "reasoning", "audio_tokens": "audio"}


def generations(completion: Completion) -> list[Generation]:
    """Return the choices of one prompt."""
    answered_by = served(completion)
    return [
        Generation(
            text=choice.text,
            generation_info={
                **added_to(completion, choice),
                "finish_reason": choice.finish_reason,
                "logprobs": _logprobs(choice.logprobs),
                **answered_by,
            },
        )
        for choice in completion.choices
    ]


def llm_output(completion: Answer, usage: Usage | None) -> dict[str, Any]:
    """Return what LangChain's callbacks read: token counts in OpenAI's form, and who answered."""
    output = about(completion)
    if usage is not None:
        output["token_usage"] = usage.as_dict()
    headers = {name: value for name, value in completion.headers.items() if name.startswith(_SHOWN_HEADERS)}
    if headers:
        output["headers"] = headers
    return output


def result(outcomes: Sequence[Completion], usage: Usage | None) -> LLMResult:
    """Return the result of several prompts; `usage` is that of them all."""
    output = llm_output(outcomes[0], usage) if outcomes else {}
    return LLMResult(generations=[generations(one) for one in outcomes], llm_output=output)


def results_by_run(outcomes: Sequence[Outcome], usage: Usage | None) -> list[LLMResult | XDMError]:
    """Return the result of each prompt's own run, such that the counts of all runs sum up right.

    The server counts per request. Where several prompts shared one, their counts are on the first
    run that succeeded, and the others have none: LangChain's own convention.
    """
    answered = [outcome for outcome in outcomes if not isinstance(outcome, XDMError)]
    shared = usage is not None and any(one.usage is None for one in answered)
    results: list[LLMResult | XDMError] = []
    for outcome in outcomes:
        if isinstance(outcome, XDMError):
            results.append(outcome)
            continue
        output = llm_output(outcome, usage if shared else outcome.usage)
        if shared:
            output.setdefault("token_usage", {})
            usage = None  # counted once
        results.append(LLMResult(generations=[generations(outcome)], llm_output=output))
    return results


def chunk(piece: CompletionChunk) -> GenerationChunk:
    """Return a piece of a stream that isn't the last."""
    if piece.logprobs is None:
        return GenerationChunk(text=piece.text)
    return GenerationChunk(text=piece.text, generation_info={"logprobs": piece.logprobs.as_dict()})


def last_chunk(piece: CompletionChunk | None, completion: Completion) -> GenerationChunk:
    """Return the last piece, with everything that describes the complete answer."""
    info = _info(completion, piece.logprobs if piece is not None else None)
    return GenerationChunk(text=piece.text if piece is not None else "", generation_info=info)


def streamed_result(completion: Completion) -> LLMResult:
    """Return the result of a stream that has ended: what its pieces add up to."""
    made = GenerationChunk(text=completion.text, generation_info=_info(completion, completion.logprobs))
    return LLMResult(generations=[[made]], llm_output=llm_output(completion, completion.usage))


def partial_result(completion: Completion | None) -> LLMResult:
    """Return what had arrived when it failed."""
    if completion is None or not any(choice.text for choice in completion.choices):
        return LLMResult(generations=[])
    return streamed_result(completion)


def usage_metadata(usage: Usage) -> dict[str, Any]:
    """Return the counts under LangChain's own names."""
    metadata: dict[str, Any] = {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    details = usage.details
    if not details:
        return metadata
    read = {**_counts(details, _READ_BESIDE), **_counts(details.get("prompt_tokens_details"), _READ)}
    made = _counts(details.get("completion_tokens_details"), _MADE)
    if read:
        metadata["input_token_details"] = read
    if made:
        metadata["output_token_details"] = made
    return metadata


def _counts(details: object, names: dict[str, str]) -> dict[str, int]:
    if not isinstance(details, dict):
        return {}
    return {new: details[old] for old, new in names.items() if isinstance(details.get(old), int)}


def _info(completion: Completion, logprobs: Logprobs | None) -> dict[str, Any]:
    added = added_to(completion, completion.choices[0]) if completion.choices else {}
    info = {**added, "finish_reason": completion.finish_reason, **about(completion), **served(completion)}
    if logprobs is not None:
        info["logprobs"] = logprobs.as_dict()
    if completion.usage is not None:
        info["usage_metadata"] = usage_metadata(completion.usage)
    if len(completion.choices) > 1:
        info["choices"] = [_choice(choice) for choice in completion.choices]
    return info


def _choice(choice: Choice) -> dict[str, Any]:
    return {
        **choice.extra,
        "index": choice.index,
        "text": choice.text,
        "finish_reason": choice.finish_reason,
        "logprobs": _logprobs(choice.logprobs),
    }


def added_to(completion: Answer, choice: Choice | ChatChoice) -> dict[str, Any]:
    """Return what the server added to the answer and to a choice, without what LangChain would take for its own."""
    added = {**completion.extra, **choice.extra}
    for name in _MEANINGFUL:
        added.pop(name, None)
    return added


def about(completion: Answer) -> dict[str, Any]:
    """Return what an answer says about itself, without what isn't known."""
    known = {
        "model_name": completion.model,
        "id": completion.id,
        "created": completion.created,
        "system_fingerprint": completion.system_fingerprint,
        "request_id": completion.request_id,
    }
    return {name: value for name, value in known.items() if value not in (None, "")}


def served(completion: Answer) -> dict[str, Any]:
    """Return the key from which LangChain's tracers learn which model really served."""
    if not completion.model:
        return {}
    return {"lc_gateway_metadata": {"model": completion.model, "provider": PROVIDER}}


def _logprobs(logprobs: Logprobs | None) -> dict[str, Any] | None:
    return logprobs.as_dict() if logprobs is not None else None
