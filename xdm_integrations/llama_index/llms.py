"""`XDM`: the gateway's text completions as a LlamaIndex LLM."""

# ruff: noqa: ANN401, FBT001, FBT002 # LlamaIndex's own signatures

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import ConfigDict
from llama_index.core.constants import DEFAULT_NUM_OUTPUTS

from xdm_integrations.core.errors.tree import ConfigurationError

from .convert import completions as _convert
from .instrumentation import chat_events, completion_events, span
from .llm_batches import Batches
from .llm_structured import StructuredAnswers
from .streams import aitems, aowned, items, opened, owned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from xdm_integrations.core.completions.parameters import CompletionParams, ParamsBesideSuffix


class XDM(Batches, StructuredAnswers):
    """Text completions of the XDM gateway, wherever LlamaIndex takes an LLM.

    Example:
        >>> from xdm_integrations.llama_index import XDM
        >>> llm = XDM(max_tokens=20)
        >>> response = llm.complete("Say this is a test")
        >>> response.raw["choices"][0]["finish_reason"]
        'stop'

    What a response holds:

    - `text`: the answer (choice 0); in a stream the answer so far, with the new text in `delta`.
    - `raw`: a dictionary in the API's shape with `id`, `model`, `choices` (all of them), `usage`,
      `request_id` and so on; in a stream before its last item, the new piece only.
    - `additional_kwargs`: the token counts.
    - `logprobs`: per token of the text, the sampled one first; in a stream before its last item,
      for the tokens of `delta` only.

    The last item of a stream is the whole answer: all of its text, finish_reason, token counts.
    A stream that is cut off raises; it never ends as if it were whole.

    Arguments of a call win over `additional_kwargs`, and those over fields; None means "not given".
    `extra_body` wins over all of them, that of a call over the field.
    Arguments that only chat models know (`tools`, `response_format`, ...) are dropped.

    LlamaIndex sets `callback_manager` to `Settings.callback_manager` when it builds a query engine
    (run-llama/llama_index issue 16311): give token counters to `Settings`.
    """

    model_config = ConfigDict(defer_build=False)

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex stores and loads this class."""
        return "XDM"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex plans prompts with. Asks nobody."""
        tokens = self.additional_kwargs.get("max_tokens", self.max_tokens)
        return LLMMetadata(
            context_window=self.context_window,
            num_output=DEFAULT_NUM_OUTPUTS if tokens is None else tokens,
            is_chat_model=False,
            is_function_calling_model=False,
            model_name=str(self.additional_kwargs.get("model", self.model)),
        )

    # The eight methods. What LlamaIndex's callbacks see is the prompt as it is sent, so the
    # prompt is made before the decorated method is called, and each call is decorated once.

    @span
    def complete(  # type: ignore[override] # the base class takes anything
        self, prompt: str | None = None, formatted: bool = False, **kwargs: Unpack[CompletionParams]
    ) -> CompletionResponse:
        """Return the answer to a prompt.

        Args:
            prompt: One text.
            formatted: The prompt has been through `completion_to_prompt` already.
            **kwargs: Parameters of the endpoint, and `extra_body`, `extra_headers`, `timeout`, which
                no callback or tracer gets to see; see
                `xdm_integrations.core.completions.parameters.CompletionParams`.

        Raises:
            ValueError: No prompt was given.
            ConfigurationError: Something can't be sent; no byte was.
            XDMError: The call failed; see `xdm_integrations.core.errors.tree`.
        """
        return self._complete(self._prompt(prompt, formatted), **kwargs)

    @span
    async def acomplete(  # type: ignore[override] # the base class takes anything
        self, prompt: str | None = None, formatted: bool = False, **kwargs: Unpack[CompletionParams]
    ) -> CompletionResponse:
        """See `complete`."""
        return await self._acomplete(self._prompt(prompt, formatted), **kwargs)

    @span
    def stream_complete(  # type: ignore[override] # the base class takes anything
        self, prompt: str | None = None, formatted: bool = False, **kwargs: Unpack[CompletionParams]
    ) -> CompletionResponseGen:
        """Return the answer piece by piece. The first piece has arrived when this returns.

        Closing or dropping the generator closes the connection, and ends the generation.

        Raises:
            StreamInterruptedError: While iterating: the answer was cut off; see its `.partial`.
            XDMError: As for `complete`.
        """
        return owned(self._stream_complete(self._prompt(prompt, formatted), **kwargs))

    @span
    async def astream_complete(  # type: ignore[override] # the base class takes anything
        self, prompt: str | None = None, formatted: bool = False, **kwargs: Unpack[CompletionParams]
    ) -> CompletionResponseAsyncGen:
        """See `stream_complete`."""
        return aowned(await self._astream_complete(self._prompt(prompt, formatted), **kwargs))

    @span
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[CompletionParams]) -> ChatResponse:  # type: ignore[override] # the base class takes anything
        """Return the answer to a conversation, which `messages_to_prompt` turns into a prompt."""
        return self._chat(messages, **kwargs)

    @span
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[CompletionParams]) -> ChatResponse:  # type: ignore[override] # the base class takes anything
        """See `chat`."""
        return await self._achat(messages, **kwargs)

    @span
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[CompletionParams]) -> ChatResponseGen:  # type: ignore[override] # the base class takes anything
        """Return the answer to a conversation piece by piece; see `stream_complete`."""
        return owned(self._stream_chat(messages, **kwargs))

    @span
    async def astream_chat(  # type: ignore[override] # the base class takes anything
        self, messages: Sequence[ChatMessage], **kwargs: Unpack[CompletionParams]
    ) -> ChatResponseAsyncGen:
        """See `stream_chat`."""
        return aowned(await self._astream_chat(messages, **kwargs))

    @completion_events
    def _complete(self, prompt: str, **kwargs: Any) -> CompletionResponse:
        return _convert.completion_response(self._sync_client().complete(prompt, **self._params(kwargs)))

    @completion_events
    async def _acomplete(self, prompt: str, **kwargs: Any) -> CompletionResponse:
        return _convert.completion_response(await self._async_client().complete(prompt, **self._params(kwargs)))

    @completion_events
    def _stream_complete(self, prompt: str, **kwargs: Any) -> CompletionResponseGen:
        stream = self._sync_client().stream(prompt, **self._params(kwargs))
        return items(opened(stream), _convert.completion_piece, _convert.completion_response)

    @completion_events
    async def _astream_complete(self, prompt: str, **kwargs: Any) -> CompletionResponseAsyncGen:
        stream = await self._async_client().stream(prompt, **self._params(kwargs))
        return aitems(opened(stream), _convert.completion_piece, _convert.completion_response)

    @chat_events
    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        prompt = self._chat_prompt(messages)
        return _convert.chat_response(self._sync_client().complete(prompt, **self._params(kwargs)))

    @chat_events
    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        prompt = self._chat_prompt(messages)
        return _convert.chat_response(await self._async_client().complete(prompt, **self._params(kwargs)))

    @chat_events
    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        prompt = self._chat_prompt(messages)
        stream = self._sync_client().stream(prompt, **self._params(kwargs))
        return items(opened(stream), _convert.chat_piece, _convert.chat_response)

    @chat_events
    async def _astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        prompt = self._chat_prompt(messages)
        stream = await self._async_client().stream(prompt, **self._params(kwargs))
        return aitems(opened(stream), _convert.chat_piece, _convert.chat_response)

    # Beyond the base class.

    @span
    def fill_in_middle(self, prompt: str, suffix: str, **kwargs: Unpack[ParamsBesideSuffix]) -> CompletionResponse:
        """Return the text between `prompt` and `suffix`. Few models can; `completion_to_prompt` isn't applied."""
        return self._complete(prompt, suffix=suffix, **kwargs)

    @span
    async def afill_in_middle(
        self, prompt: str, suffix: str, **kwargs: Unpack[ParamsBesideSuffix]
    ) -> CompletionResponse:
        """See `fill_in_middle`."""
        return await self._acomplete(prompt, suffix=suffix, **kwargs)

    @span
    def stream_fill_in_middle(
        self, prompt: str, suffix: str, **kwargs: Unpack[ParamsBesideSuffix]
    ) -> CompletionResponseGen:
        """See `fill_in_middle` and `stream_complete`."""
        return owned(self._stream_complete(prompt, suffix=suffix, **kwargs))

    @span
    async def astream_fill_in_middle(
        self, prompt: str, suffix: str, **kwargs: Unpack[ParamsBesideSuffix]
    ) -> CompletionResponseAsyncGen:
        """See `fill_in_middle` and `astream_complete`."""
        return aowned(await self._astream_complete(prompt, suffix=suffix, **kwargs))

    def _prompt(self, prompt: object, formatted: bool) -> str:
        if prompt is None:
            raise ValueError("No prompt given, neither as the first argument nor as `prompt`.")
        if not isinstance(prompt, str):
            raise ConfigurationError(
                f"prompt: expected one text, got {type(prompt).__name__}. "
                f"For several texts, or token ids, call `complete_batch`."
            )
        return prompt if formatted else self._templated(prompt)
