"""The endpoint `POST /v1/embeddings`: texts shared out into requests, and what a refusal means for them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from xdm_integrations.core.errors.tree import APIResponseError, ConfigurationError, ModelUnavailableError, XDMError
from xdm_integrations.core.gateway.models import suggest_models
from xdm_integrations.core.protocol.batching import Pack, PackResult, check_at_least_one, check_callback
from xdm_integrations.core.protocol.call import prepare
from xdm_integrations.core.protocol.checks import split_texts
from xdm_integrations.core.protocol.config import DEFAULT_MODEL as COMPLETIONS_MODEL
from xdm_integrations.core.protocol.flow import deadline_of, send_flow
from xdm_integrations.core.protocol.results import total_usage
from xdm_integrations.core.protocol.wire import Compute, Key, secret_of

from .parameters import DEFAULT_MODEL, ENCODINGS, OTHER_NUMBERS, check_parameters
from .parse import Vectors, parse_vectors
from .refusals import count_limit, is_about_size, is_about_texts, name_input, refuses_encoding
from .results import Embeddings

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from xdm_integrations.core.protocol.call import Call, Setup
    from xdm_integrations.core.protocol.checks import OneText
    from xdm_integrations.core.protocol.flow import Flow
    from xdm_integrations.core.protocol.results import Usage
    from xdm_integrations.core.protocol.wire import Reply

    Positions: TypeAlias = range | list[int]

PATH = "/embeddings"
_ENCODING = "encoding_format"
MOST_CHARACTERS = 300_000
"""Per request: OpenAI takes as many tokens, and hardly a character is more than one."""

LARGE = 2**17
"""Bytes of a reply that take longer to decode than to hand over to a thread: about a millisecond."""


def plan_embeddings(setup: Setup, texts: object, params: Mapping[str, Any], batch_size: int) -> Flow[EmbeddingPlan]:
    """Check a call, and share its texts out into requests of at most `batch_size`.

    Raises:
        ConfigurationError: Something can't be sent; no byte was.
    """
    check_at_least_one("batch_size", batch_size)
    inputs = split_texts("input", texts)
    headers = setup.headers((yield Key()))
    given = {name: value for name, value in params.items() if value is not None}
    if setup.config.model == COMPLETIONS_MODEL:  # the client's own default isn't one for vectors
        given.setdefault("model", DEFAULT_MODEL)
    call = prepare(setup.config, headers, PATH, given, check_parameters, decided=("input",))
    if OTHER_NUMBERS.isdisjoint(call.body):
        call.body.setdefault(_ENCODING, ENCODINGS[0])
    return EmbeddingPlan(call, inputs, setup, batch_size)


class EmbeddingPlan:
    """A call that is worked off: its packs, and what its answers have in common.

    Nothing is paired by chance, and nothing is asked twice that was answered: where a server refuses several texts at
    once, fewer are sent together, until all have gone through or one is refused alone. How many went through is
    remembered for the model.

    Attributes:
        packs: The texts that share a request.
    """

    def __init__(self, call: Call, texts: list[OneText], setup: Setup, batch_size: int) -> None:
        self._call = call
        self._texts = texts
        self._setup = setup
        self._batch_size = batch_size
        self._deadline = deadline_of(call.timeout, setup.runtime)
        self._common: dict[str, Any] = {}
        """Of all answers: the length of their vectors and the model, as the first one has them."""
        self._request_ids: list[str] = []
        self.packs = self._share_out(range(len(texts)))

    def flow(self, pack: Pack) -> Flow[PackResult]:
        """Ask for the vectors of a pack. Raises no `XDMError` but the caller's own mistake: outcomes hold them.

        If the server refuses several texts without saying why, the first half of them is asked for, then half of
        what is left of the refused ones, and so on: they all go through, so that it was a limit, or one is refused
        alone, after `2 + 2 * log2(n)` requests at most.
        """
        outcomes: list[array[float] | XDMError] = []
        usages: list[Usage | None] = []
        refusal: XDMError | None = None
        refused = size = len(pack.positions)  # so many of the next texts were refused together; so many are asked for
        passed: list[Positions] = []
        while refused:
            part = pack.positions[len(outcomes) : len(outcomes) + size]
            if len(self._share_out(part)) > 1:
                break  # a limit was learnt
            try:
                vectors = yield from self._ask(part)
            except ConfigurationError:
                raise  # the caller's mistake, the same for every text
            except XDMError as error:
                usages.append(error.usage)
                if self._learn_count(error, size):
                    break
                if not is_about_texts(error):
                    outcomes += [error] * (len(pack.positions) - len(outcomes))
                    break
                if size == 1:
                    outcomes.append(self._named(error, part[0]))
                    break
                refusal, refused, size, passed = error, size, size // 2, []
                continue
            outcomes += [
                self._named(row, position) if isinstance(row, XDMError) else row
                for row, position in zip(vectors.rows, part, strict=True)
            ]
            usages.append(vectors.usage)
            passed.append(part)
            refused -= size
            size = min(size, refused) if refusal and is_about_size(refusal) else max(1, refused // 2)
        else:
            if refusal is not None:
                self._learn(refusal, passed)
        rest = self._share_out(pack.positions[len(outcomes) :])
        return PackResult(outcomes, total_usage(usages), tuple(rest))

    def on_result(
        self, callback: Callable[[int, list[float] | XDMError], None] | None
    ) -> Callable[[int, array[float] | XDMError], None] | None:
        """Return the callback for outcomes as they are kept here, None if there is none.

        Raises:
            ConfigurationError: It is a coroutine function.
        """
        check_callback(callback)
        if callback is None:
            return None
        return lambda position, outcome: callback(
            position, outcome if isinstance(outcome, XDMError) else outcome.tolist()
        )

    def result(self, outcomes: Sequence[array[float] | XDMError], usage: Usage | None) -> Embeddings:
        """Return the vectors of all texts.

        Raises:
            XDMError: A text has none: the first one's error, with the `usage` of the others.
        """
        rows = []
        for outcome in outcomes:
            if isinstance(outcome, XDMError):
                outcome.usage = usage
                raise outcome
            rows.append(outcome)
        return Embeddings(tuple(rows), usage, self._common.get("model", ""), tuple(self._request_ids))

    def _share_out(self, positions: Positions) -> list[Pack]:
        """Return the texts at these positions in packs that are as large as is known to go through."""
        facts, model = self._setup.facts, self._call.model
        most = min(self._batch_size, facts.texts_per_request.get(model, self._batch_size))
        most_characters = facts.characters_per_request.get(model, MOST_CHARACTERS)
        packs: list[Pack] = []
        start = characters = 0
        for i, position in enumerate(positions):
            length = len(self._texts[position])
            if i > start and (i - start >= most or characters + length > most_characters):
                packs.append(Pack(positions[start:i]))
                start, characters = i, 0
            characters += length
        if start < len(positions):
            packs.append(Pack(positions[start:]))
        return packs

    def _ask(self, positions: Positions) -> Flow[Vectors]:
        """Ask for the vectors of these texts in one request; in a second one if base64 was refused."""
        call, setup = self._call, self._setup
        texts = [self._texts[i] for i in positions]
        plain = setup.facts.refuses_encoding_format
        body = {name: value for name, value in call.body.items() if name != _ENCODING or call.model not in plain}
        body["input"] = texts[0] if len(texts) == 1 else texts

        def receive(reply: Reply) -> Flow[Vectors]:
            parse = partial(parse_vectors, reply, len(texts), body.get("dimensions"))
            if len(reply.body) < LARGE:
                return parse()
            return (yield Compute(parse))  # type: ignore[no-any-return] # what `parse` returns

        def handled(error: XDMError) -> bool:
            return (_ENCODING in body and refuses_encoding(error)) or (
                len(texts) > 1 and (is_about_texts(error) or count_limit(error, len(texts)) is not None)
            )

        while True:
            request = call.request(body, self._deadline)
            try:
                vectors = yield from send_flow(request, receive, call.policy, setup.runtime, handled)
            except ModelUnavailableError as error:
                yield from suggest_models(error, call, setup, self._deadline)
                raise
            except XDMError as error:
                if _ENCODING not in body or not refuses_encoding(error):
                    raise
                del body[_ENCODING]
            else:
                if _ENCODING in call.body.keys() - body.keys():
                    plain.add(call.model)  # only now: what is refused may be a text that speaks of base64
                return self._checked(vectors)

    def _checked(self, vectors: Vectors) -> Vectors:
        """Refuse vectors of another length than those of other requests: channels may serve different models."""
        length = next((len(row) for row in vectors.rows if not isinstance(row, XDMError)), None)
        if length is not None and length != (known := self._common.setdefault("length", length)):
            message = (
                f"The server returned vectors of {known} numbers in one answer and of {length} in another: it serves "
                f"different models as {self._call.model!r}."
            )
            error = APIResponseError(message, request_id=vectors.request_id)
            error.usage = vectors.usage
            raise error
        self._common.setdefault("model", vectors.model)
        if vectors.request_id is not None:
            self._request_ids.append(vectors.request_id)
        return vectors

    def _learn_count(self, error: XDMError, count: int) -> bool:
        """Remember how many texts a request may hold, if the refusal of `count` of them says it."""
        limit = count_limit(error, count) if count > 1 else None
        if limit is not None:
            self._setup.facts.texts_per_request[self._call.model] = limit
        return limit is not None

    def _learn(self, refusal: XDMError, passed: list[Positions]) -> None:
        """Remember how much went through at once, where all did that had been refused together."""
        facts, model = self._setup.facts, self._call.model
        if is_about_size(refusal):
            characters = max(sum(len(self._texts[i]) for i in part) for part in passed)
            facts.characters_per_request[model] = characters
        else:
            facts.texts_per_request[model] = max(map(len, passed))

    def _named(self, error: XDMError, position: int) -> XDMError:
        error.hide(secret_of(self._call.headers))  # one that is in the place of a vector was never raised
        if len(self._texts) > 1:
            return name_input(error, position)
        error.position = position  # that the only text is meant is plain
        return error
