"""The sync client: every method plans a call in `core` and drives it over requests."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from xdm_integrations.core.chat.request import stream_chat
from xdm_integrations.core.chat.structured_stream import stream_structured
from xdm_integrations.core.completions.packing import ask_pack, plan_prompts
from xdm_integrations.core.completions.request import ask_completion, stream_completion
from xdm_integrations.core.embeddings.request import plan_embeddings
from xdm_integrations.core.embeddings.results import Embeddings
from xdm_integrations.core.errors.tree import ConfigurationError
from xdm_integrations.core.gateway.models import models_flow
from xdm_integrations.core.protocol.batching import holds_nothing
from xdm_integrations.core.protocol.config import normalize_key
from xdm_integrations.transports.drivers import Transport, drive, outcome_of

from . import chats
from .batches import Batch, run_batch
from .objects import ObjectStream
from .settings import TRANSPORT_LOCK, OnRetry, Settings
from .streams import ChatStream, CompletionStream
from .tools import ToolLoop, ToolRun, carry_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from threading import Thread

    from typing_extensions import Self, Unpack

    from xdm_integrations.core.chat.messages import Messages
    from xdm_integrations.core.chat.parameters import ChatParams, TurnParams
    from xdm_integrations.core.chat.results import ChatCompletion
    from xdm_integrations.core.completions.parameters import CompletionParams, OnePrompt, Prompt
    from xdm_integrations.core.completions.results import Completion
    from xdm_integrations.core.embeddings.parameters import EmbeddingParams
    from xdm_integrations.core.errors.tree import XDMError
    from xdm_integrations.core.gateway.models import Model
    from xdm_integrations.core.gateway.quota import Quota
    from xdm_integrations.core.protocol.batching import PackResult
    from xdm_integrations.core.protocol.checks import Texts
    from xdm_integrations.core.protocol.flow import Flow

    from .objects import Schema

T = TypeVar("T")


class Client(Settings):
    """Chat, embeddings and text completions by blocking calls. Threads may share one client.

    Example:
        >>> from xdm_integrations import Client
        >>> with Client() as client:
        ...     print(client.chat("What is the capital of France?", temperature=0).text)
        The capital of France is Paris.
    """

    def complete(self, prompt: Prompt, *, on_retry: OnRetry = None, **params: Unpack[CompletionParams]) -> Completion:
        """Return the answer to a prompt, or to several.

        Args:
            prompt: A text, a list of texts, token ids, or a list of lists of them.
            on_retry: Called before each retry, instead of the client's hook.
            **params: See `CompletionParams`.

        Returns:
            `len(prompts) * n` choices in order; `Completion.by_prompt` groups them.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
            XDMError: The call failed; see `core.errors`.
        """
        return self._run(ask_completion(self._setup, prompt, params), on_retry)

    def stream(
        self, prompt: Prompt, *, on_retry: OnRetry = None, **params: Unpack[CompletionParams]
    ) -> CompletionStream:
        """Return the answer piece by piece. The first piece has arrived when this returns.

        Args:
            prompt: As for `complete`. The pieces of several prompts come interleaved.
            on_retry: Called before each retry, instead of the client's hook.
            **params: See `CompletionParams`.

        Returns:
            An iterator of `CompletionChunk`, which is a context manager too; leaving, closing or dropping it ends the
            generation.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
            StreamInterruptedError: While iterating: the answer was cut off; see its `.partial`.
            XDMError: The call failed; see `core.errors`.
        """
        return CompletionStream(self._run(stream_completion(self._setup, prompt, params), on_retry))

    def complete_batch(  # noqa: PLR0913 - one argument per setting
        self,
        prompts: Sequence[OnePrompt],
        *,
        batch_size: int = 20,
        max_concurrency: int = 8,
        stop_on_error: bool = False,
        on_result: Callable[[int, Completion | XDMError], None] | None = None,
        on_retry: OnRetry = None,
        **params: Unpack[CompletionParams],
    ) -> Batch[Completion]:
        """Answer many prompts, several per request and several requests at once.

        A prompt that fails doesn't fail the others: a request that the server refuses because of its content is split,
        and asked prompt by prompt. Once ten requests in a row were refused for the key, its budget or the model, no
        more are sent, and that error is the outcome of the rest, without a call of `on_result`.

        Args:
            prompts: Texts, or lists of token ids.
            batch_size: Prompts per request, at most.
            max_concurrency: Requests in flight, at most.
            stop_on_error: Send nothing more once a prompt has failed; what wasn't asked gets that error as its outcome,
                without a call of `on_result`.
            on_result: Called with its number and its outcome, as each arrives; from several threads, one at a time, so
                that a slow one holds the others up.
            on_retry: Called before each retry, instead of the client's hook.
            **params: See `CompletionParams`. A total timeout holds for each request.

        Returns:
            One outcome per prompt, in order: a `Completion` or the `XDMError` it failed with.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
        """
        if holds_nothing(prompts):
            return Batch()
        plan = self._run(plan_prompts(self._setup, prompts, params, batch_size), on_retry)
        return run_batch(
            plan.packs,
            lambda pack: self._run(plan.flow(pack), on_retry),
            max_concurrency=max_concurrency,
            on_result=on_result,
            stop_on_error=stop_on_error,
            abort=self.abort,
        )

    def complete_pack(
        self,
        prompts: Sequence[OnePrompt],
        *,
        previous_error: XDMError | None = None,
        **params: Unpack[CompletionParams],
    ) -> PackResult:
        """Answer prompts that share a request, as a part of a batch that the caller runs with `run_batch`.

        Args:
            prompts: Texts, or lists of token ids.
            previous_error: See `Pack`.
            **params: See `CompletionParams`.

        Returns:
            An outcome per prompt, or what to ask instead; the positions are those in `prompts`.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
        """
        return self._run(ask_pack(self._setup, prompts, params, previous_error), None)

    def chat(self, messages: Messages, *, on_retry: OnRetry = None, **params: Unpack[ChatParams]) -> ChatCompletion:
        """Return the answer to a conversation.

        Args:
            messages: A string (one user message), or messages in the API's form: mappings with `role` and `content`.
            on_retry: Called before each retry, instead of the client's hook.
            **params: See `ChatParams`. Where `response_format` is a schema or a class, it is asked for as
                `chat_structured` does, and is the answer's `parsed`.

        Raises:
            ConfigurationError: Something can't be sent; no byte was. The message names the place.
            ContentFilterError: The answer was filtered away.
            XDMError: The call failed; see `core.errors`.
        """
        return self._run(chats.chat(self._setup, messages, params), on_retry)

    def stream_chat(self, messages: Messages, *, on_retry: OnRetry = None, **params: Unpack[ChatParams]) -> ChatStream:
        """Return the answer to a conversation piece by piece. The first piece has arrived when this returns.

        Args:
            messages: As for `chat`.
            on_retry: Called before each retry, instead of the client's hook.
            **params: See `ChatParams`.

        Returns:
            An iterator of `ChatChunk`, which is a context manager too; leaving, closing or dropping it ends the
            generation.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
            StreamInterruptedError: While iterating: the answer was cut off; see its `.partial`.
            XDMError: The call failed; see `core.errors`.
        """
        streaming = self._run(stream_chat(self._setup, messages, params), on_retry)
        return ChatStream(streaming, partial(chats.note_choices, facts=self._setup.facts))

    def chat_structured(
        self,
        messages: Messages,
        schema: Schema,
        *,
        method: str | None = "auto",
        strict: bool | None = None,
        on_retry: OnRetry = None,
        **params: Unpack[ChatParams],
    ) -> ChatCompletion:
        """Return an answer whose `parsed` is an object of a schema.

        Args:
            messages: As for `chat`.
            schema: A Pydantic class, a dataclass or a TypedDict, and `parsed` is an instance; or a JSON schema, or a
                function's dictionary, and `parsed` is a dictionary.
            method: "auto", the best that the model takes (what it refuses or ignores is remembered), or one of
                `core.chat.structured.METHODS`, which is used as it is.
            strict: Whether the provider is to enforce the schema; by default where that changes nothing of its meaning.
            on_retry: Called before each retry, instead of the client's hook.
            **params: See `ChatParams`.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
            ContentFilterError: The model refuses.
            APIResponseError: The answer holds no such object, or was cut by its limit: half an object is none.
            XDMError: The call failed; see `core.errors`.
        """
        return self._run(chats.structured(self._setup, messages, params, schema, method, strict), on_retry)

    def stream_structured(
        self,
        messages: Messages,
        schema: Mapping[str, Any],
        *,
        method: str | None = "auto",
        strict: bool | None = None,
        on_retry: OnRetry = None,
        **params: Unpack[ChatParams],
    ) -> ObjectStream:
        """Return the answer of `chat_structured` piece by piece: `stream.asked.read(stream.completion)` is its object.

        The schema is a JSON schema here, and the object a dictionary. A model that ignores the method is known by that
        at the end only; the next call asks in another way.
        """
        flow = stream_structured(self._setup, messages, params, schema, method=method, strict=strict)
        return ObjectStream(*self._run(flow, on_retry))

    def chat_batch(
        self,
        conversations: Sequence[Messages],
        *,
        max_concurrency: int = 8,
        stop_on_error: bool = False,
        on_result: Callable[[int, ChatCompletion | XDMError], None] | None = None,
        on_retry: OnRetry = None,
        **params: Unpack[ChatParams],
    ) -> Batch[ChatCompletion]:
        """Answer many conversations, each by a request of its own, several at once.

        A conversation that fails doesn't fail the others; ten in a row that are refused for the key, its budget or the
        model are the last, as in `complete_batch`.

        Args:
            conversations: Each as for `chat`.
            max_concurrency: Requests in flight, at most.
            stop_on_error: Send nothing more once one has failed; what wasn't asked gets that error as its outcome,
                without a call of `on_result`.
            on_result: Called with its number and its outcome, as each arrives; from several threads, one at a time, so
                that a slow one holds the others up.
            on_retry: Called before each retry, instead of the client's hook.
            **params: As for `chat`; the same for all. A total timeout holds for each conversation.

        Returns:
            One outcome per conversation, in order: a `ChatCompletion` or the `XDMError` it failed with.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
        """
        if holds_nothing(conversations):
            return Batch()
        plan = chats.chats(self._setup, conversations, params)
        return run_batch(
            plan.packs,
            lambda pack: self._run(plan.flow(pack), on_retry),
            max_concurrency=max_concurrency,
            on_result=on_result,
            stop_on_error=stop_on_error,
            abort=self.abort,
        )

    def run_tools(
        self,
        messages: Messages,
        tools: Sequence[Callable[..., Any]],
        *,
        max_turns: int = 10,
        on_retry: OnRetry = None,
        **params: Unpack[TurnParams],
    ) -> ToolRun:
        """Answer a conversation with Python functions that the model may call, until it calls none any more.

        The model is told of each function by its name, its docstring and its annotations. Calls of one answer run at
        once, in threads. What a function raises is told to the model, and so is a call that can't be carried out:
        one that was cut, or whose arguments don't fit.

        Args:
            messages: As for `chat`.
            tools: Functions. Strings go to the model as they are, all else that they return as JSON.
            max_turns: Requests, at most.
            on_retry: Called before each retry, instead of the client's hook.
            **params: See `TurnParams`. A `tool_choice` that forces a call holds for the first request.

        Returns:
            The final answer, with all messages and the token counts of all requests.

        Raises:
            ConfigurationError: Something can't be sent, or a function can't be a tool; no byte was.
            TooManyTurnsError: The model still calls functions after `max_turns` requests.
            XDMError: A request failed; see `core.errors`.
        """
        loop = ToolLoop(messages, tools, max_turns, params, awaits=False)
        while True:
            completion = self._run(loop.ask(self._setup), on_retry)
            tasks = loop.take(completion)
            if not tasks:
                return loop.result(completion)
            loop.add(tasks, carry_out(tasks))

    def embed(  # noqa: PLR0913 - one argument per setting
        self,
        texts: Texts,
        *,
        batch_size: int = 128,
        max_concurrency: int = 8,
        stop_on_error: bool = True,
        on_result: Callable[[int, list[float] | XDMError], None] | None = None,
        on_retry: OnRetry = None,
        **params: Unpack[EmbeddingParams],
    ) -> Embeddings:
        """Return the vectors of texts, one for each, in their order; several texts per request, several at once.

        A request that the server refuses because of its size is split, and what goes through is remembered for the
        model. Every text is answered once.

        Args:
            texts: A text, a list of texts, token ids, or a list of lists of them.
            batch_size: Texts per request, at most. Requests are bounded by the length of the texts too.
            max_concurrency: Requests in flight, at most.
            stop_on_error: Send nothing more once a text has failed. With False all others are asked for, and handed
                to `on_result`, before the error is raised; but see `complete_batch` for a key that is refused.
            on_result: Called with its number and its vector or error, as each arrives; from several threads, one at a
                time, so that a slow one holds the others up.
            on_retry: Called before each retry, instead of the client's hook.
            **params: See `EmbeddingParams`.

        Raises:
            ConfigurationError: Something can't be sent; no byte was.
            XDMError: A text has no vector. `.position` is its number, where the server refused just this one;
                `.usage` has the token counts of the requests that were answered.
        """
        if holds_nothing(texts):
            return Embeddings()
        plan = self._run(plan_embeddings(self._setup, texts, params, batch_size), on_retry)
        batch = run_batch(
            plan.packs,
            lambda pack: self._run(plan.flow(pack), on_retry),
            max_concurrency=max_concurrency,
            on_result=plan.on_result(on_result),
            stop_on_error=stop_on_error,
            abort=self.abort,
        )
        return plan.result(batch.outcomes, batch.usage)

    def models(self) -> list[Model]:
        """Return the models that the gateway offers to the key (`GET /v1/models`).

        Raises:
            XDMError: The call failed; see `core.errors`.
        """
        return self._run(models_flow(self._setup), None)

    def quota(self) -> Quota:
        """Return what is left of the key's budget, in whatever unit the gateway counts.

        Best effort: read `Quota` before you show the numbers to anybody as money.

        Raises:
            NotFoundError: The server doesn't tell.
            XDMError: The call failed; see `core.errors`.
        """
        from xdm_integrations.core.gateway.quota import quota_flow  # noqa: PLC0415 - few programs ask

        return self._run(quota_flow(self._setup), None)

    def abort(self, threads: Iterable[Thread]) -> None:
        """End the requests that these threads wait for, by closing their connections; they can send nothing more.

        What a batch does with the rest of its requests once one has failed for good. A streamed answer that is being
        read is ended by closing the stream.
        """
        if self._transport is not None:
            self._transport.abort(threads)

    def close(self) -> None:
        """Close every connection. The client may be used again."""
        if self._transport is not None:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _key(self) -> str | None:
        if self._key_source is None:
            return self._setup.config.api_key
        key = outcome_of(self._key_source)
        if inspect.iscoroutine(key):
            key.close()  # nobody will await it
            raise ConfigurationError("api_key: a blocking client needs a function that returns a string.")
        return normalize_key(key)

    def _run(self, flow: Flow[T], on_retry: OnRetry) -> T:
        transport: Transport | None = self._transport
        if transport is None:
            from xdm_integrations.transports.blocking.transport import RequestsTransport  # noqa: PLC0415 - loads requests on first use

            with TRANSPORT_LOCK.held:
                transport = self._transport = self._transport or RequestsTransport(self.config.limits)
        return drive(
            flow, transport, self._hooks if on_retry is None else self._hooks._replace(on_retry=on_retry), self._key
        )
