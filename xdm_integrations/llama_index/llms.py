"""`XDM`: the gateway's text completions as a LlamaIndex LLM."""

# ruff: noqa: FBT001, FBT002 # LlamaIndex's own signatures

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.constants import DEFAULT_NUM_OUTPUTS
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.types import PydanticProgramMode

from xdm_integrations.client import AsyncClient, Client
from xdm_integrations.core.errors.tree import ConfigurationError

from .calls import Instrumented, chat_events, completion_events, params_of, span
from .convert import completions as convert
from .convert.messages import check_types
from .fields import CompletionFields, StreamFields
from .llm_batches import Turns, progress, responses, summary
from .objects import TextObjectCall
from .predictions import Predictions
from .settings import GatewaySettings
from .streams import Item, Shape, aitems, astreamed, items, streamed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from llama_index.core.base.llms.types import (
        ChatMessage,
        ChatResponseAsyncGen,
        ChatResponseGen,
        CompletionResponseAsyncGen,
        CompletionResponseGen,
    )
    from typing_extensions import Unpack

    from xdm_integrations.client.batches import Batch
    from xdm_integrations.core.completions.parameters import CompletionParams, OnePrompt, ParamsBesideSuffix
    from xdm_integrations.core.completions.results import Completion
    from xdm_integrations.core.errors.tree import XDMError


COMPLETION = Shape(
    completion_events, convert.completion_response, convert.completion_piece, convert.completion_response
)
CHAT = Shape(chat_events, convert.chat_response, convert.chat_piece, convert.chat_response)


class XDM(CompletionFields, StreamFields, GatewaySettings, Predictions, CustomLLM):
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

    The last item of a stream is the complete answer: all of its text, finish_reason, token counts.
    A stream that is cut off raises; it never ends as if it were complete.

    Arguments of a call win over `additional_kwargs`, and those over fields; None means "not given".
    `extra_body` wins over all of them, that of a call over the field.
    Arguments that only chat models know (`tools`, `response_format`, ...) are dropped.

    LlamaIndex sets `callback_manager` to `Settings.callback_manager` when it builds a query engine
    (run-llama/llama_index issue 16311): give token counters to `Settings`.
    """

    OBJECT_MODES: ClassVar[tuple[PydanticProgramMode, ...]] = (PydanticProgramMode.DEFAULT, PydanticProgramMode.LLM)
    OBJECT_CALL: ClassVar[type[TextObjectCall[Any]]] = TextObjectCall

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex stores and loads this class."""
        return "XDM"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex plans prompts with. Makes no request."""
        tokens = self.additional_kwargs.get("max_tokens", self.max_tokens)
        return LLMMetadata(
            context_window=self.context_window,
            num_output=DEFAULT_NUM_OUTPUTS if tokens is None else tokens,
            is_chat_model=False,
            is_function_calling_model=False,
            model_name=str(self.additional_kwargs.get("model", self.model)),
        )

    # The eight methods, in two shapes: see `_answer` and its three siblings.

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
        return self._answer(COMPLETION, self._prompt(prompt, formatted), kwargs)

    @span
    async def acomplete(  # type: ignore[override] # the base class takes anything
        self, prompt: str | None = None, formatted: bool = False, **kwargs: Unpack[CompletionParams]
    ) -> CompletionResponse:
        """See `complete`."""
        return await self._aanswer(COMPLETION, self._prompt(prompt, formatted), kwargs)

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
        return self._stream(COMPLETION, self._prompt(prompt, formatted), kwargs)

    @span
    async def astream_complete(  # type: ignore[override] # the base class takes anything
        self, prompt: str | None = None, formatted: bool = False, **kwargs: Unpack[CompletionParams]
    ) -> CompletionResponseAsyncGen:
        """See `stream_complete`."""
        return await self._astream(COMPLETION, self._prompt(prompt, formatted), kwargs)

    @span
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[CompletionParams]) -> ChatResponse:  # type: ignore[override] # the base class takes anything
        """Return the answer to a conversation, which `messages_to_prompt` turns into a prompt."""
        return self._answer(CHAT, messages, kwargs)

    @span
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[CompletionParams]) -> ChatResponse:  # type: ignore[override] # the base class takes anything
        """See `chat`."""
        return await self._aanswer(CHAT, messages, kwargs)

    @span
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[CompletionParams]) -> ChatResponseGen:  # type: ignore[override] # the base class takes anything
        """Return the answer to a conversation piece by piece; see `stream_complete`."""
        return self._stream(CHAT, messages, kwargs)

    @span
    async def astream_chat(  # type: ignore[override] # the base class takes anything
        self, messages: Sequence[ChatMessage], **kwargs: Unpack[CompletionParams]
    ) -> ChatResponseAsyncGen:
        """See `stream_chat`."""
        return await self._astream(CHAT, messages, kwargs)

    # Beyond the base class.

    @span
    def fill_in_middle(self, prompt: str, suffix: str, **kwargs: Unpack[ParamsBesideSuffix]) -> CompletionResponse:
        """Return the text between `prompt` and `suffix`. Few models can; `completion_to_prompt` isn't applied."""
        return self._answer(COMPLETION, prompt, {**kwargs, "suffix": suffix})

    @span
    async def afill_in_middle(
        self, prompt: str, suffix: str, **kwargs: Unpack[ParamsBesideSuffix]
    ) -> CompletionResponse:
        """See `fill_in_middle`."""
        return await self._aanswer(COMPLETION, prompt, {**kwargs, "suffix": suffix})

    @span
    def stream_fill_in_middle(
        self, prompt: str, suffix: str, **kwargs: Unpack[ParamsBesideSuffix]
    ) -> CompletionResponseGen:
        """See `fill_in_middle` and `stream_complete`."""
        return self._stream(COMPLETION, prompt, {**kwargs, "suffix": suffix})

    @span
    async def astream_fill_in_middle(
        self, prompt: str, suffix: str, **kwargs: Unpack[ParamsBesideSuffix]
    ) -> CompletionResponseAsyncGen:
        """See `fill_in_middle` and `astream_complete`."""
        return await self._astream(COMPLETION, prompt, {**kwargs, "suffix": suffix})

    @span
    def complete_batch(
        self,
        prompts: Sequence[OnePrompt],
        *,
        batch_size: int = 20,
        max_concurrency: int = 8,
        show_progress: bool = False,
        return_exceptions: bool = False,
        **kwargs: Unpack[CompletionParams],
    ) -> list[CompletionResponse | XDMError]:
        """Answer many prompts, several per request and several requests at once.

        Args:
            prompts: Texts (`completion_to_prompt` is applied), or lists of token ids.
            batch_size: Prompts per request, at most.
            max_concurrency: Requests in flight, at most.
            show_progress: Show a progress bar.
            return_exceptions: Give a prompt that fails its error as its result. Otherwise the first
                error ends the batch, and is raised.
            **kwargs: Parameters of the calls, as for `complete`.

        Returns:
            A response per prompt, in order. Prompts that shared a request have no counts of their
            own (`raw["usage"]` is None); LlamaIndex's token counters get the sum.

        Raises:
            XDMError: A prompt failed, and `return_exceptions` is False.
        """
        if not prompts:
            return []
        asked = self._prompts(prompts)
        call = Instrumented(completion_events, self, "\n\n".join(map(str, asked)), kwargs)
        answered: list[Batch[Completion]] = []
        with progress(len(asked), shown=show_progress) as on_result:

            def work() -> CompletionResponse:
                with self._batch_client() as client:
                    batch = client.complete_batch(
                        asked,
                        batch_size=batch_size,
                        max_concurrency=max_concurrency,
                        on_result=on_result,
                        stop_on_error=not return_exceptions,
                        **params_of(self, kwargs),
                    )
                answered.append(batch)
                return summary(call, batch, return_exceptions=return_exceptions)

            call.run(work)
        return responses(answered[0])

    @span
    async def acomplete_batch(
        self,
        prompts: Sequence[OnePrompt],
        *,
        batch_size: int = 20,
        max_concurrency: int = 8,
        show_progress: bool = False,
        return_exceptions: bool = False,
        **kwargs: Unpack[CompletionParams],
    ) -> list[CompletionResponse | XDMError]:
        """See `complete_batch`."""
        if not prompts:
            return []
        asked = self._prompts(prompts)
        call = Instrumented(completion_events, self, "\n\n".join(map(str, asked)), kwargs)
        answered: list[Batch[Completion]] = []
        with progress(len(asked), shown=show_progress) as on_result:

            async def work() -> CompletionResponse:
                async with self._async_batch_client() as client:
                    batch = await client.complete_batch(
                        asked,
                        batch_size=batch_size,
                        max_concurrency=max_concurrency,
                        on_result=on_result,
                        stop_on_error=not return_exceptions,
                        **params_of(self, kwargs),
                    )
                answered.append(batch)
                return summary(call, batch, return_exceptions=return_exceptions)

            await call.arun(work)
        return responses(answered[0])

    # What the methods share. Events see the prompt as it is sent, so it is made before they begin; that of a chat is
    # made between them, since they see the messages.

    def _answer(self, shape: Shape[Item], asked: str | Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Item:
        if shape is CHAT:
            check_types(asked)

        def work() -> Item:
            client = self._made_sync or self._sync_client()
            return shape.response(client.complete(self._sent(asked), **params_of(self, kwargs)))

        return Instrumented(shape.events, self, asked, kwargs).run(work)

    async def _aanswer(self, shape: Shape[Item], asked: str | Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Item:
        if shape is CHAT:
            check_types(asked)

        async def work() -> Item:
            client = self._made_async or self._async_client()
            return shape.response(await client.complete(self._sent(asked), **params_of(self, kwargs)))

        return await Instrumented(shape.events, self, asked, kwargs).arun(work)

    def _stream(
        self, shape: Shape[Item], asked: str | Sequence[ChatMessage], kwargs: Mapping[str, Any]
    ) -> Generator[Item, None, None]:
        if shape is CHAT:
            check_types(asked)
        return streamed(
            Instrumented(shape.events, self, asked, kwargs),
            lambda: self._sync_client().stream(self._sent(asked), **params_of(self, kwargs)),
            lambda stream: items(stream, partial(shape.piece, convert.about(stream.completion)), shape.last),
        )

    async def _astream(
        self, shape: Shape[Item], asked: str | Sequence[ChatMessage], kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[Item, None]:
        if shape is CHAT:
            check_types(asked)
        return await astreamed(
            Instrumented(shape.events, self, asked, kwargs),
            lambda: self._async_client().stream(self._sent(asked), **params_of(self, kwargs)),
            lambda stream: aitems(stream, partial(shape.piece, convert.about(stream.completion)), shape.last),
        )

    def _sent(self, asked: str | Sequence[ChatMessage]) -> str:
        if isinstance(asked, str):
            return asked
        return (self.messages_to_prompt or convert.messages_to_prompt)(asked)

    def _batch_client(self) -> AbstractContextManager[Client]:
        limiter = self.rate_limiter
        if limiter is None:
            return nullcontext(self._sync_client())
        return Client(**self._client_settings(), rate_limiter=Turns(limiter))

    def _async_batch_client(self) -> AbstractAsyncContextManager[AsyncClient]:
        limiter = self.rate_limiter
        if limiter is None:
            return nullcontext(self._async_client())
        return AsyncClient(**self._client_settings(), rate_limiter=Turns(limiter))

    def _prompts(self, prompts: Sequence[OnePrompt]) -> list[OnePrompt]:
        if isinstance(prompts, str):
            raise ConfigurationError(
                "prompts: expected a list of texts or of token ids, got one text; call `complete`."
            )
        return [self._prompt(prompt, formatted=False) if isinstance(prompt, str) else prompt for prompt in prompts]

    def _prompt(self, prompt: object, formatted: bool) -> str:
        if prompt is None:
            raise ValueError("No prompt given, neither as the first argument nor as `prompt`.")
        if not isinstance(prompt, str):
            raise ConfigurationError(
                f"prompt: expected one text, got {type(prompt).__name__}. "
                f"For several texts, or token ids, call `complete_batch`."
            )
        template = self.completion_to_prompt
        return prompt if formatted or template is None else template(prompt)
