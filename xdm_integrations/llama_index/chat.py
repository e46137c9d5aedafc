"""`XDMChat`: the gateway's chat as a LlamaIndex LLM."""

# ruff: noqa: ARG002, FBT001, FBT002 # LlamaIndex's own signatures

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.constants import DEFAULT_NUM_OUTPUTS
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.types import PydanticProgramMode

from xdm_integrations.core.chat.limit_name import LIMIT_NAMES
from xdm_integrations.core.chat.messages import user
from xdm_integrations.core.chat.parameters import THINK_TAGS
from xdm_integrations.core.chat.windows import context_window
from xdm_integrations.core.errors.tree import ConfigurationError

from .calls import Instrumented, chat_events, completion_events, params_of, span, with_options
from .convert import chat as convert
from .convert.messages import ato_wire, to_wire
from .convert.tools import as_tool, choice_of, selections
from .fields import ChatFields, StreamFields, for_one_call
from .objects import ChatObjectCall
from .predictions import Predictions
from .settings import GatewaySettings
from .streams import Item, Shape, aitems, astreamed, items, streamed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping, Sequence

    from llama_index.core.base.llms.types import (
        ChatResponseAsyncGen,
        ChatResponseGen,
        CompletionResponseAsyncGen,
        CompletionResponseGen,
    )
    from llama_index.core.llms.llm import ToolSelection
    from llama_index.core.tools import BaseTool
    from typing_extensions import Unpack

    from xdm_integrations.client.streams import AsyncChatStream, ChatStream
    from xdm_integrations.core.chat.parameters import ChatParams


COMPLETION = Shape(
    completion_events,
    convert.completion_response,
    convert.AnswerSoFar.completion_piece,
    convert.AnswerSoFar.last_completion,
)
CHAT = Shape(chat_events, convert.chat_response, convert.AnswerSoFar.chat_piece, convert.AnswerSoFar.last_chat)


class XDMChat(ChatFields, StreamFields, GatewaySettings, Predictions, FunctionCallingLLM):
    """Chat models of the XDM gateway, wherever LlamaIndex takes an LLM: engines, agents, workflows.

    Example:
        >>> from llama_index.core.llms import ChatMessage
        >>> from xdm_integrations.llama_index import XDMChat
        >>> llm = XDMChat(model="gpt-4o-mini", max_tokens=20)
        >>> response = llm.chat([ChatMessage("Say this is a test")])
        >>> response.message.role.value
        'assistant'

    What a response holds:

    - `message`: blocks of reasoning, text, images, audio, and calls of tools (also in its
      `additional_kwargs["tool_calls"]`); in a stream all of it that has come, with the new text in `delta`
      and new reasoning in `additional_kwargs["thinking_delta"]`.
    - `raw`: a dictionary in the API's shape with `id`, `model`, `choices` (all of them), `usage`,
      `request_id` and so on; in a stream before its last item, the new piece only.
    - `additional_kwargs`: the token counts.
    - `logprobs`: per token of the text, the sampled one first.

    The last item of a stream is the complete answer: all of it, finish_reason, token counts.
    A stream that is cut off raises; it never ends as if it were complete. A call of a tool whose arguments
    were cut off is never selected.

    Any model's name is taken, and changes no parameter. Arguments of a call win over `additional_kwargs`, and
    those over fields; None means "not given". `extra_body` wins over all of them, that of a call over the field.

    LlamaIndex sets `callback_manager` to `Settings.callback_manager` when it builds a query engine
    (run-llama/llama_index issue 16311): give token counters to `Settings`.
    """

    OBJECT_MODES: ClassVar[tuple[PydanticProgramMode, ...]] = (
        PydanticProgramMode.DEFAULT,
        PydanticProgramMode.FUNCTION,
        PydanticProgramMode.LLM,
    )
    OBJECT_CALL: ClassVar[type[ChatObjectCall[Any]]] = ChatObjectCall

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex stores and loads this class."""
        return "XDMChat"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex plans prompts with. Makes no request."""
        more = self.additional_kwargs
        model = str(more.get("model", self.model))
        limits = (*map(more.get, LIMIT_NAMES), *(getattr(self, name) for name in LIMIT_NAMES))
        return LLMMetadata(
            context_window=self.context_window or context_window(model),
            num_output=next((limit for limit in limits if limit is not None), DEFAULT_NUM_OUTPUTS),
            is_chat_model=True,
            is_function_calling_model=self.is_function_calling_model,
            model_name=model,
        )

    # The eight methods, in two shapes: see `_answer` and its three siblings.

    @span
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[ChatParams]) -> ChatResponse:  # type: ignore[override] # the base class takes anything
        """Return the answer to a conversation.

        Args:
            messages: The conversation. It isn't changed.
            **kwargs: Parameters of the endpoint, and `extra_body`, `extra_headers`, `timeout`, which
                no callback or tracer gets to see; see `xdm_integrations.core.chat.parameters.ChatParams`.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
            ContentFilterError: The answer was filtered away.
            XDMError: The call failed; see `xdm_integrations.core.errors.tree`.
        """
        return self._answer(CHAT, messages, kwargs)

    @span
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[ChatParams]) -> ChatResponse:  # type: ignore[override] # the base class takes anything
        """See `chat`."""
        return await self._aanswer(CHAT, messages, kwargs)

    @span
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[ChatParams]) -> ChatResponseGen:  # type: ignore[override] # the base class takes anything
        """Return the answer piece by piece. The first piece has arrived when this returns.

        Closing or dropping the generator closes the connection, and ends the generation.

        Raises:
            StreamInterruptedError: While iterating: the answer was cut off; see its `.partial`.
            XDMError: As for `chat`.
        """
        return self._stream(CHAT, messages, kwargs)

    @span
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Unpack[ChatParams]) -> ChatResponseAsyncGen:  # type: ignore[override] # the base class takes anything
        """See `stream_chat`."""
        return await self._astream(CHAT, messages, kwargs)

    @span
    def complete(  # type: ignore[override] # the base class takes anything
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Unpack[ChatParams],
    ) -> CompletionResponse:
        """Return the answer to one user message; see `chat`."""
        return self._answer(COMPLETION, _prompt(prompt), kwargs)

    @span
    async def acomplete(  # type: ignore[override] # the base class takes anything
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Unpack[ChatParams],
    ) -> CompletionResponse:
        """See `complete`."""
        return await self._aanswer(COMPLETION, _prompt(prompt), kwargs)

    @span
    def stream_complete(  # type: ignore[override] # the base class takes anything
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Unpack[ChatParams],
    ) -> CompletionResponseGen:
        """Return the answer to one user message piece by piece; see `stream_chat`."""
        return self._stream(COMPLETION, _prompt(prompt), kwargs)

    @span
    async def astream_complete(  # type: ignore[override] # the base class takes anything
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Unpack[ChatParams],
    ) -> CompletionResponseAsyncGen:
        """See `stream_complete`."""
        return await self._astream(COMPLETION, _prompt(prompt), kwargs)

    # Tools. The base class has the four `chat_with_tools`, which call `chat` and its siblings with what this returns.

    @span
    def _prepare_chat_with_tools(  # noqa: PLR0913, PLR0917 - LlamaIndex's own signature
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: str | Mapping[str, Any] | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the arguments of `chat`. A span of its own, as LlamaIndex would make one that shows options.

        `tool_choice` ("auto", "none", "required", a tool's name, or the API's own form) wins over `tool_required`, and
        `strict` over the field. The history isn't changed.
        """
        messages = list(chat_history or ())
        if user_msg is not None:
            messages.append(ChatMessage(user_msg) if isinstance(user_msg, str) else user_msg)
        prepared: dict[str, Any] = {"messages": messages, **kwargs}
        if tools:
            prepared["tools"] = [as_tool(tool, strict=self.strict if strict is None else strict) for tool in tools]
            prepared["tool_choice"] = choice_of(tool_choice or ("required" if tool_required else None))
            prepared["parallel_tool_calls"] = None if allow_parallel_tool_calls else False
        return prepared

    def get_tool_calls_from_response(
        self,
        response: ChatResponse,
        error_on_no_tool_call: bool = True,
        **kwargs: Any,
    ) -> list[ToolSelection]:
        """Return the calls of an answer, or of an item of a stream, whose arguments are those that have come.

        Args:
            response: What one of the `chat` methods returned, or an answer from elsewhere.
            error_on_no_tool_call: Raise if there is none.
            **kwargs: Ignored.

        Raises:
            ValueError: There is no call, or one that can't be carried out: its arguments were cut off or are no object.
        """
        chosen = selections(response)
        if not chosen and error_on_no_tool_call:
            said = response.message.additional_kwargs.get("refusal") or response.message.content or ""
            raise ValueError(f"Expected at least one tool call, but the model made none; it wrote: {said[:300]!r}.")
        return chosen

    # What the methods share. What can't be sent is refused before the events begin: LlamaIndex takes less in its own.

    def _params(self, given: Mapping[str, Any]) -> dict[str, Any]:
        call = with_options(given)
        think_tags = call.pop(THINK_TAGS, None)
        params = for_one_call(params_of(self, call), call, self.additional_kwargs)
        return params if think_tags is None else {**params, THINK_TAGS: think_tags}

    def _answer(self, shape: Shape[Item], asked: str | Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Item:
        sent, params = _sent(shape, asked), self._params(kwargs)
        return Instrumented(shape.events, self, asked, kwargs).run(
            lambda: shape.response(self._sync_client().chat(sent, **params), one_call=_one_call(params))
        )

    async def _aanswer(self, shape: Shape[Item], asked: str | Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Item:
        sent, params = await _asent(shape, asked), self._params(kwargs)

        async def work() -> Item:
            return shape.response(await self._async_client().chat(sent, **params), one_call=_one_call(params))

        return await Instrumented(shape.events, self, asked, kwargs).arun(work)

    def _stream(
        self, shape: Shape[Item], asked: str | Sequence[ChatMessage], kwargs: Mapping[str, Any]
    ) -> Generator[Item, None, None]:
        sent, params = _sent(shape, asked), self._params(kwargs)

        def shown(stream: ChatStream) -> Generator[Item, None, None]:
            so_far = convert.AnswerSoFar(stream.completion, one_call=_one_call(params))
            return items(stream, partial(shape.piece, so_far), partial(shape.last, so_far))

        call = Instrumented(shape.events, self, asked, kwargs)
        return streamed(call, lambda: self._sync_client().stream_chat(sent, **params), shown)

    async def _astream(
        self, shape: Shape[Item], asked: str | Sequence[ChatMessage], kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[Item, None]:
        sent, params = await _asent(shape, asked), self._params(kwargs)

        def shown(stream: AsyncChatStream) -> AsyncGenerator[Item, None]:
            so_far = convert.AnswerSoFar(stream.completion, one_call=_one_call(params))
            return aitems(stream, partial(shape.piece, so_far), partial(shape.last, so_far))

        call = Instrumented(shape.events, self, asked, kwargs)
        return await astreamed(call, lambda: self._async_client().stream_chat(sent, **params), shown)


def _prompt(prompt: object) -> str:
    if not isinstance(prompt, str):
        raise ConfigurationError(f"prompt: expected a text, got {type(prompt).__name__}. For messages call `chat`.")
    return prompt


def _sent(shape: Shape[Item], asked: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a prompt, or whatever was given as messages
    return [user(asked)] if shape is COMPLETION else to_wire(asked)


async def _asent(shape: Shape[Item], asked: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - see `_sent`
    return [user(asked)] if shape is COMPLETION else await ato_wire(asked)


def _one_call(params: Mapping[str, Any]) -> bool:
    """True if no more than one call of a tool is wanted: not every model obeys."""
    return params.get("parallel_tool_calls") is False
