"""Whether an answer that should begin with its prompt does. Many servers drop `echo` in silence.

With `logprobs` the prompt's score would then be that of the new tokens: a wrong number that looks right
(llama.cpp's server, One API and New API drop the field).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdm_integrations.core.errors.tree import UnsupportedParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .parameters import OnePrompt
    from .results import Choice, Completion


def check_echo(completion: Completion, prompts: Sequence[OnePrompt]) -> None:
    """Refuse an answer that doesn't begin with its prompt.

    Raises:
        UnsupportedParameterError: The server can't echo; `.partial` has what it sent.
    """
    for choices, prompt in zip(completion.by_prompt(), prompts, strict=True):
        for choice in choices:
            if not _begins_with(choice, prompt) or _scores_only_what_is_new(completion, choice, prompt):
                raise cannot_echo(completion)


def cannot_echo(completion: Completion | None = None) -> UnsupportedParameterError:
    """Return the error for a server that drops `echo`."""
    return UnsupportedParameterError(
        "echo: the answer doesn't begin with the prompt, so this server can't echo, and its log probabilities aren't "
        "the prompt's. Leave `echo` out, or ask a server that has it (vLLM, for instance).",
        status_code=200,
        param="echo",
        scope="model",
        headers=completion.headers if completion is not None else None,
        partial=completion,
        request_id=completion.request_id if completion is not None else None,
        retry="never",
    )


def _begins_with(choice: Choice, prompt: OnePrompt) -> bool:
    if not isinstance(prompt, str):  # ids can't be compared with text, but there must be a token for each
        return choice.logprobs is None or len(choice.logprobs.tokens) >= len(prompt)
    return begins(choice.text, prompt)


def _scores_only_what_is_new(completion: Completion, choice: Choice, prompt: OnePrompt) -> bool:
    """Tell whether the log probabilities begin behind the prompt.

    Offsets count from the start of the echoed prompt, and its first token, which follows nothing, has no log
    probability (OpenAI's API reference). Where text can't be compared and a server scores the first token too, the
    counts decide, if there are any: an answer has more tokens than were generated if it holds the prompt.
    """
    scored = choice.logprobs
    if scored is None or not scored.tokens:
        return False
    if scored.text_offset and scored.text_offset[0] > 0:
        return True
    if isinstance(prompt, str) or scored.token_logprobs[0] is None or completion.usage is None:
        return False
    all_tokens = sum(len(each.logprobs.tokens) for each in completion.choices if each.logprobs is not None)
    return all_tokens <= completion.usage.completion_tokens


def begins(text: str, prompt: str) -> bool:
    """Tell whether a text begins with a prompt, but for the space around both, which tokenizers drop or add."""
    return text.lstrip().startswith(prompt.strip())
