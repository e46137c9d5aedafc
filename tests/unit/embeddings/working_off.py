"""Work a call of embeddings off by hand: packs one after the other, requests answered by a function. No I/O."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any

from tests.unit.flows import setup_of
from tests.vectors import answer, inputs_of
from xdm_integrations.core.embeddings.request import plan_embeddings
from xdm_integrations.core.errors.tree import XDMError
from xdm_integrations.core.protocol.results import total_usage
from xdm_integrations.core.protocol.wire import Compute, Reply, Send

if TYPE_CHECKING:
    from collections.abc import Callable

    from xdm_integrations.core.embeddings.results import Embeddings


def ok(value: Any, **headers: str) -> Reply:
    return Reply(200, headers, value if isinstance(value, bytes) else json.dumps(value).encode())


def error(status: int, message: Any, **more: Any) -> Reply:
    return Reply(
        status, {}, json.dumps({"error": {"message": message, "type": "invalid_request_error", **more}}).encode()
    )


def healthy(body: dict[str, Any]) -> Reply:
    return ok(answer(body))


class Worked:
    """What came of a call.

    Attributes:
        requests: The bodies that were sent, in order.
        answered: The texts of those that were answered with 2xx.
        setup: What the client works with, its memory included.
    """

    def __init__(self, respond: Callable[[dict[str, Any]], Reply], **settings: Any) -> None:
        self.respond = respond
        self.requests: list[dict[str, Any]] = []
        self.answered: list[Any] = []
        self.setup = setup_of(**settings)

    @property
    def sizes(self) -> list[int]:
        return [len(inputs_of(body)) for body in self.requests]

    def embed(self, texts: Any, batch_size: int = 128, *, stop_on_error: bool = True, **params: Any) -> Embeddings:
        plan = self._run(plan_embeddings(self.setup, texts, params, batch_size))
        todo = deque(plan.packs)
        outcomes: dict[int, Any] = {}
        usages = []
        while todo:
            pack = todo.popleft()
            result = self._run(plan.flow(pack))
            todo.extendleft(reversed(result.retry))
            usages.append(result.usage)
            assert len(result.outcomes) <= len(pack.positions)
            for position, outcome in zip(pack.positions, result.outcomes, strict=False):
                assert position not in outcomes, "delivered twice"
                outcomes[position] = outcome
                if stop_on_error and isinstance(outcome, XDMError):
                    raise outcome
        return plan.result([outcomes[i] for i in sorted(outcomes)], total_usage(usages))

    def _run(self, flow: Any) -> Any:
        outcome = None
        while True:
            try:
                command = flow.send(outcome)
            except StopIteration as stop:
                return stop.value
            outcome = None
            if isinstance(command, Send):
                outcome = self._respond(command.request)
            elif isinstance(command, Compute):
                outcome = command.work()

    def _respond(self, request: Any) -> Reply:
        if request.method == "GET":
            return Reply(404, {}, b"")  # the list of models
        body = json.loads(request.body)
        self.requests.append(body)
        reply = self.respond(body)
        if reply.status == 200:
            self.answered += inputs_of(body)
        return reply
