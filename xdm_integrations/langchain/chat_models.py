"""`ChatXDM`: the gateway's chat as a LangChain chat model.

LangChain's base class does the work around a call (callbacks, caches, batches, events). What is overridden here is
how a conversation is asked, and what it says about itself.
"""

# ruff: noqa: ANN401 - LangChain's own signatures take `**kwargs: Any`

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager, AbstractContextManager, aclosing, nullcontext
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr

from xdm_integrations.core.chat.limit_name import LIMIT_NAMES, one_limit
from xdm_integrations.core.chat.parameters import check_parameters
from xdm_integrations.core.chat.results import ChatCompletion
from xdm_integrations.core.chat.structured import NotTheSchemaError
from xdm_integrations.core.chat.windows import UNKNOWN, context_window
from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.checks import OPTIONS

from .convert import PROVIDER, answers
from .convert.messages import tool_choice_of, wire_messages, wire_tool
from .fields import CHAT, ChatSettings, StreamSettings
from .retries import retries_to
from .settings import STRUCTURED, GatewaySettings, hashed
from .tokens import count_messages, count_text, token_ids
from .turns import LaterTurns, UnderWay, first_turn_taken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models import ModelProfile
    from langchain_core.language_models.base import LangSmithParams, LanguageModelInput
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult
    from langchain_core.tools import BaseTool

    from xdm_integrations.client.streams import AsyncChatStream, ChatStream

    from .settings import Params


class ChatXDM(ChatSettings, StreamSettings, GatewaySettings, BaseChatModel):
    """Chat with the models of the XDM gateway, or of any server with the API of OpenAI's chat completions.

    Setup:
        `pip install "xdm-integrations[langchain]"`, and set the environment variable `XDM_API_KEY`.

    Example:
        >>> from xdm_integrations.langchain import ChatXDM
        >>> chat = ChatXDM(model="gpt-4o-mini", temperature=0)
        >>> answer = chat.invoke([("system", "Answer in one word."), ("human", "What is the capital of France?")])
        >>> answer.response_metadata["finish_reason"]
        'stop'
        >>> "".join(chunk.text for chunk in chat.stream("Say hello")) != ""
        True
        >>> chat.close()

    Fields are documented in `ChatSettings`, `StreamSettings` and `GatewaySettings`. Every parameter of the
    endpoint can be given per call too, and so can `extra_body`, `extra_headers` and `timeout`. Precedence: the call,
    `bind`, `model_kwargs`, the field. One instance serves any number of threads and event loops.

    An answer's reasoning stands in `additional_kwargs["reasoning_content"]` and, as a block, in `content_blocks`; it
    goes back with the calls of tools beside it. A call that was cut off or isn't JSON is in `invalid_tool_calls`.
    """

    PARAMETERS = CHAT
    CHECK_PARAMETERS = check_parameters
    DECIDED = ("messages", "stream")
    NONE_IS_A_VALUE = frozenset({"streaming"})

    _under_way: UnderWay = PrivateAttr(default_factory=UnderWay)

    # Answers

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        method, asked, params = self._call(messages, stop, kwargs, run_manager, "chat")
        with self._thread_turn(), self._first_turn():
            try:
                completion = getattr(self._sync_client(), method)(*asked, **params)
            except XDMError as error:
                completion = _answered_all_the_same(error, method)
        return answers.result(_with_model(completion, params))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        method, asked, params = self._call(messages, stop, kwargs, run_manager, "chat")
        async with self._task_turn():
            with self._first_turn():
                try:
                    completion = await getattr(self._async_client(), method)(*asked, **params)
                except XDMError as error:
                    completion = _answered_all_the_same(error, method)
        return answers.result(_with_model(completion, params))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        method, asked, params = self._call(messages, stop, kwargs, run_manager, "stream")
        report = run_manager.on_llm_new_token if run_manager is not None and run_manager.handlers else None
        pieces = answers.Pieces(blocks=self.output_version == "v1")
        with self._thread_turn():
            with self._first_turn():
                stream = getattr(self._sync_client(), method)(*asked, **params)
            with stream:
                while arrived := stream.next_chunks():
                    for chunk in pieces.chunks(arrived):
                        if report is not None:
                            report(chunk.text, chunk=chunk)
                        yield chunk
        for chunk in pieces.end(_complete(stream, params)):
            if report is not None:
                report(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        method, asked, params = self._call(messages, stop, kwargs, run_manager, "stream")
        report = run_manager.on_llm_new_token if run_manager is not None and run_manager.handlers else None
        pieces = answers.Pieces(blocks=self.output_version == "v1")
        async with self._task_turn():
            with self._first_turn():
                stream = await getattr(self._async_client(), method)(*asked, **params)
            async with aclosing(stream):
                while arrived := await stream.next_chunks():
                    for chunk in pieces.chunks(arrived):
                        if report is not None:
                            await report(chunk.text, chunk=chunk)
                        yield chunk
        for chunk in pieces.end(_complete(stream, params)):
            if report is not None:
                await report(chunk.text, chunk=chunk)
            yield chunk

    # Tools and objects

    def bind_tools(
        self,
        tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: Mapping[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model with tools.

        Args:
            tools: LangChain's tools, functions, classes, or dictionaries in the form of OpenAI or Anthropic. A
                provider's own kind of tool (`{"type": "web_search"}`) is passed on as it is.
            tool_choice: "auto", "none", "any" (also "required" or True: one of them must be called), a tool's name, or
                the API's dictionary. None and False leave it to the model.
            strict: Whether the provider is to hold arguments to their schemas.
            **kwargs: Parameters of the calls, as for `bind` (`parallel_tool_calls`, `response_format`, ...).

        Raises:
            ConfigurationError: `tool_choice` names none of the tools.
        """
        made = [wire_tool(tool, strict=strict) for tool in tools]
        choice = tool_choice_of(tool_choice, made)
        if choice is not None:
            kwargs["tool_choice"] = choice
        return self.bind(tools=made, **kwargs)

    def with_structured_output(
        self,
        schema: Mapping[str, Any] | type,
        *,
        method: str = "auto",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a chain that answers with an object of `schema`.

        Args:
            schema: A pydantic class (version 2 or 1) or a dataclass: the chain returns instances. A TypedDict, a JSON
                schema or a function's dictionary: it returns dictionaries, which grow while they stream.
            method: "auto" asks in the best way that the model takes, and in the next one where the server refuses
                that or ignores it; what was learnt holds for later calls. "json_schema", "function_calling" and
                "json_mode" are used as they are.
            include_raw: Return `{"raw": message, "parsed": object or None, "parsing_error": error or None}` instead
                of raising.
            strict: Whether the provider is to enforce the schema; by default where that changes nothing of its meaning.
            **kwargs: Parameters of the calls, as for `bind`.

        Raises:
            ConfigurationError: `schema` or `method` can't be used.
            OutputParserException: On use: the answer isn't such an object, or was cut off.
            ModelRefusalError: On use: the model refuses (langchain-core before 1.7.5: `OutputParserException`).
        """
        from .structured import structured_chat  # noqa: PLC0415 - slow to import, and rarely needed

        return structured_chat(self, schema, method=method, include_raw=include_raw, strict=strict, **kwargs)

    # Tokens

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of a text, without ever using the network; see `tokens.token_ids`."""
        return self.custom_get_token_ids(text) if self.custom_get_token_ids else token_ids(text, self.model)

    def get_num_tokens(self, text: str) -> int:
        """Return how many tokens a text has: counted where a tokenizer is at hand, else estimated, rather too many."""
        return count_text(text, self.model, self.custom_get_token_ids)

    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
    ) -> int:
        """Return how many tokens messages have, tools included; see `get_num_tokens`. An image counts as 1,000."""
        described = [wire_tool(tool) for tool in tools or ()]
        return count_messages(wire_messages(messages), described, self.get_num_tokens)

    # What it says about itself

    @property
    def _llm_type(self) -> str:
        return "xdm-chat"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return self._identity()

    def _combine_llm_outputs(self, _llm_outputs: list[dict[str, Any] | None], /) -> dict[str, Any]:
        """Return what the `llm_output` of `generate` holds, for which the base class has nothing."""
        return dict(_llm_outputs[0] or {}) if len(_llm_outputs) == 1 else answers.combined(_llm_outputs)

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Return what of the settings and of a call changes its answer: the key of caches. Nothing secret."""
        asked = kwargs.pop(STRUCTURED, None)
        params = self._params(_of_the_endpoint(kwargs, stop))
        effective = {name: value for name, value in params.items() if name in self.PARAMETERS}
        form = {name: getattr(self, name) for name in ("base_url", "output_version", "think_tags", "_llm_type")}
        key = {**effective, **hashed(params.get("extra_body")), **form, STRUCTURED: asked}
        return json.dumps(key, sort_keys=True, default=repr)

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> Params:
        """Return what tracers are shown of a call: nothing secret, as `extra_headers` and `extra_body` may be."""
        shown = {name: value for name, value in kwargs.items() if name not in OPTIONS}
        return super()._get_invocation_params(stop=stop, **shown, **hashed(kwargs.get("extra_body")))

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        effective = self._layered({**kwargs, "stop": kwargs.get("stop") if stop is None else stop})
        effective["max_tokens"] = effective.get("max_completion_tokens", effective.get("max_tokens"))
        stops = effective.pop("stop", None)
        params = super()._get_ls_params(stop=[stops] if isinstance(stops, str) else stops, **effective)
        params["ls_provider"] = PROVIDER
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        """Return what is known of the model; a profile given to the constructor comes first."""
        window = context_window(self.model)
        return None if window == UNKNOWN else {"max_input_tokens": window}

    # Ours

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "profile":  # LangChain sets it while it validates, and to validate that would never end
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def _call(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any], run: Any, verb: str
    ) -> tuple[str, tuple[Any, ...], Params]:
        """Return the client's method for a call, and its arguments."""
        given = dict(kwargs)
        asked = given.pop(STRUCTURED, None)
        params = self._params(_of_the_endpoint(given, stop))
        params["on_retry"] = retries_to(run) if run is not None and run.handlers else None
        conversation = wire_messages(messages)
        if asked is None:
            return ("chat" if verb == "chat" else "stream_chat"), (conversation,), params
        params.update(method=asked["method"], strict=asked["strict"])
        return f"{verb}_structured", (conversation, asked["schema"]), params

    def _layered(self, kwargs: Mapping[str, Any]) -> Params:
        """See the base class; the limit of tokens has two names."""
        given = super()._layered(kwargs)
        return one_limit(given, kwargs, self.model_kwargs) if given.keys() >= LIMIT_NAMES.keys() else given

    def _client_settings(self) -> dict[str, Any]:
        settings = super()._client_settings()
        if self.rate_limiter is not None:
            settings["rate_limiter"] = LaterTurns(self.rate_limiter)
        return settings

    def _first_turn(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.rate_limiter is None else first_turn_taken()

    def _thread_turn(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.max_concurrency is None else self._under_way.of_threads(self.max_concurrency)

    def _task_turn(self) -> AbstractAsyncContextManager[Any]:
        return nullcontext() if self.max_concurrency is None else self._under_way.of_loop(self.max_concurrency)


for _method in (ChatXDM._generate, ChatXDM._agenerate):  # noqa: SLF001 - of this module
    _method.__signature__ = signature(_method)  # type: ignore[union-attr] # LangChain asks in each call, and it is slow

# LangChain's fallbacks ask what these return, and resolve all annotations that they find.
ChatXDM.bind_tools.__annotations__ = {"return": Runnable}
ChatXDM.with_structured_output.__annotations__ = {"return": Runnable}


def _of_the_endpoint(kwargs: Mapping[str, Any], stop: list[str] | None) -> Params:
    """Return a call's parameters; `stream` is LangChain's, and has done its work by now."""
    given = {name: value for name, value in kwargs.items() if name not in ("stream", STRUCTURED)}
    return given if stop is None else {**given, "stop": stop}


def _with_model(completion: ChatCompletion, params: Params) -> ChatCompletion:
    """Name the model that was asked for, where the server doesn't say which one served."""
    return completion if completion.model else replace(completion, model=params["model"])


def _complete(stream: ChatStream | AsyncChatStream, params: Params) -> ChatCompletion:
    """Return what a stream was, and learn from one that isn't the object that was asked for."""
    asked = getattr(stream, "asked", None)
    if asked is not None:
        try:
            asked.read(stream.completion)
        except XDMError as error:
            asked.learn(error)  # the parser judges the answer
    return _with_model(stream.completion, params)


def _answered_all_the_same(error: XDMError, method: str) -> ChatCompletion:
    """Return the complete answer that isn't the object that was asked for: the parser judges it; else raise.

    An answer of which one choice of several broke off isn't complete, although the first one may be.
    """
    answer = error.partial
    if (
        method == "chat_structured"
        and isinstance(answer, ChatCompletion)
        and (
            isinstance(error, NotTheSchemaError)
            or answer.refusal
            or all(choice.finish_reason for choice in answer.choices)
        )
    ):
        return answer
    raise error
