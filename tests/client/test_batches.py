"""Batches: order, concurrency, what a failure means for its neighbours, and who is told."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest

from tests.gauge import Gauge
from tests.scripted import HANG, Held, completion, echoing, http
from xdm_integrations import (
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    Batch,
    Client,
    Completion,
    ConfigurationError,
    Embeddings,
    InsufficientQuotaError,
    ModelUnavailableError,
    ServerError,
    Usage,
    XDMError,
)
from xdm_integrations.client import batches
from xdm_integrations.client.batches import run_batch
from xdm_integrations.core.protocol.batching import MOST_REFUSALS, PackResult, packs_of

BAD = http({"error": {"message": "not this one", "type": "invalid_request_error"}}, 400)
NO_LISTS = http({"detail": "prompt must be a string."}, 400)


def prompts_of(server):
    return [seen.json["prompt"] for seen in server.requests]


def refusing(*words):
    """Refuse every request that holds one of these prompts."""

    def script(seen):
        prompt = seen.json["prompt"]
        asked = prompt if isinstance(prompt, list) else [prompt]
        return BAD if set(words) & set(asked) else echoing(seen)

    return script


def texts(batch):
    return [o.text if isinstance(o, Completion) else type(o).__name__ for o in batch.outcomes]


def test_outcomes_are_in_the_order_of_the_prompts(surface, server):
    prompts = [f"p{i}" for i in range(23)]
    batch = surface.batch(surface.client(base_url=server.url), prompts, batch_size=5, max_concurrency=3)
    assert texts(batch) == [f"<{p}>" for p in prompts]
    assert sorted(map(len, prompts_of(server))) == [3, 5, 5, 5, 5]
    assert batch.errors == []
    assert [c.text for c in batch.completions] == texts(batch)
    assert batch.usage == Usage(23, 23, 46)
    assert [o.choices[0].index for o in batch.outcomes] == [0] * 23


def test_defaults_are_twenty_prompts_to_a_request(surface, server):
    surface.batch(surface.client(base_url=server.url), ["x"] * 41)
    assert sorted(len(p) if isinstance(p, list) else 1 for p in prompts_of(server)) == [1, 20, 20]


def test_choices_of_each(surface, server):
    batch = surface.batch(surface.client(base_url=server.url), ["a", "b"], n=2)
    assert [[(c.text, c.index) for c in o.choices] for o in batch.outcomes] == [
        [("<a#0>", 0), ("<a#1>", 1)],
        [("<b#0>", 0), ("<b#1>", 1)],
    ]
    assert [o.usage for o in batch.outcomes] == [None, None]
    assert batch.usage.completion_tokens == 4


def test_token_ids(surface, server):
    batch = surface.batch(surface.client(base_url=server.url), [[1, 2], [3]])
    assert texts(batch) == ["<[1, 2]>", "<[3]>"]


@pytest.mark.parametrize(
    ("method", "empty"), [("complete_batch", Batch()), ("chat_batch", Batch()), ("embed", Embeddings())]
)
def test_an_empty_list_needs_no_request_and_no_key(surface, method, empty):
    client = surface.client(base_url="https://example.com")
    assert [surface.call(client, method, nothing) for nothing in ([], ())] == [empty, empty]
    assert (Batch().usage, Batch().completions) == (None, [])


@pytest.mark.parametrize("method", ["complete_batch", "chat_batch", "embed"])
@pytest.mark.parametrize("given", [None, 0, False, {}, b"", iter(())], ids=lambda given: type(given).__name__)
def test_what_is_no_list_is_refused_and_not_taken_for_an_empty_one(surface, server, method, given):
    with pytest.raises(ConfigurationError, match="expected"):
        surface.call(surface.client(base_url=server.url), method, given)
    assert server.requests == []


@pytest.mark.parametrize("most", [1, 2, 5])
def test_never_more_at_once_than_allowed_and_as_many_as_that(surface, server, most):
    server.script = gauge = Gauge(echoing, most)
    batch = surface.batch(surface.client(base_url=server.url), ["x"] * 12, batch_size=1, max_concurrency=most)
    assert texts(batch) == ["<x>"] * 12
    assert gauge.peak == most


def test_what_a_thread_brings_after_the_end_is_dropped():
    """Its work can't be ended; the batch doesn't wait for it."""
    begun, hold, delivered = threading.Event(), threading.Event(), []

    def work(pack):
        if pack.positions[0] == 0:
            begun.wait(60)
            return PackResult([ServerError("no", status_code=500)])
        begun.set()
        hold.wait(60)
        return PackResult(["late"])

    batch = run_batch(
        packs_of(2, 1), work, max_concurrency=2, on_result=lambda *what: delivered.append(what), stop_on_error=True
    )
    hold.set()
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("xdm-batch")]:
        thread.join(60)
    assert len(batch.errors) == 2
    assert [position for position, _ in delivered] == [0]


def test_a_split_pack_is_asked_at_once_too(surface, server):
    """One pack of many prompts is refused; the single ones must not wait for each other."""
    singles = threading.Barrier(4)

    def script(seen):
        if isinstance(seen.json["prompt"], list):
            return NO_LISTS
        singles.wait(60)
        return echoing(seen)

    server.script = script
    batch = surface.batch(surface.client(base_url=server.url), list("abcd"), max_concurrency=4)
    assert texts(batch) == ["<a>", "<b>", "<c>", "<d>"]
    assert batch.usage == Usage(4, 4, 8)


def test_one_bad_prompt_does_not_fail_its_neighbours(surface, server):
    server.script = refusing("b")
    batch = surface.batch(surface.client(base_url=server.url), list("abcd"), batch_size=3, max_concurrency=1)
    assert texts(batch) == ["<a>", "BadRequestError", "<c>", "<d>"]
    assert prompts_of(server) == [["a", "b", "c"], "a", "b", "c", "d"]
    assert [type(e) for e in batch.errors] == [BadRequestError]
    with pytest.raises(BadRequestError, match="not this one"):
        _ = batch.completions
    assert batch.usage == Usage(3, 3, 6)


@pytest.mark.parametrize(
    "reply",
    [NO_LISTS, http(completion("only one")), http({"error": {"message": ""}}, 500)],
)
def test_a_server_without_lists_is_learnt(surface, server, reply):
    server.script = lambda seen: reply if isinstance(seen.json["prompt"], list) else echoing(seen)
    client = surface.client(base_url=server.url)
    assert texts(surface.batch(client, ["a", "b"], max_concurrency=1)) == ["<a>", "<b>"]
    server.requests.clear()
    assert texts(surface.batch(client, ["c", "d"], max_concurrency=1)) == ["<c>", "<d>"]
    assert prompts_of(server) == ["c", "d"]


def test_a_bad_prompt_teaches_nothing(surface, server):
    server.script = refusing("b")
    client = surface.client(base_url=server.url)
    surface.batch(client, ["a", "b"])
    server.requests.clear()
    surface.batch(client, ["c", "d"])
    assert prompts_of(server) == [["c", "d"]]


def test_what_is_nobodys_fault_is_not_asked_alone(surface, server, waits):
    server.script = [http({"error": {"message": "无效的令牌", "type": "new_api_error"}}, 401)]
    batch = surface.batch(surface.client(base_url=server.url), ["a", "b"])
    assert texts(batch) == ["AuthenticationError"] * 2
    assert len(server.requests) == 1
    server.requests.clear()
    server.script = [http("<html><title>502 Bad Gateway</title></html>", 502)]
    batch = surface.batch(surface.client(base_url=server.url), ["a", "b"])
    assert [type(e) for e in batch.errors] == [ServerError] * 2
    assert len(server.requests) == 3
    assert batch.usage is None


def test_stop_on_error_sends_nothing_more(surface, server):
    server.script = refusing("b")
    batch = surface.batch(
        surface.client(base_url=server.url), list("abcd"), batch_size=1, max_concurrency=1, stop_on_error=True
    )
    assert texts(batch) == ["<a>", "BadRequestError", "BadRequestError", "BadRequestError"]
    assert batch.outcomes[2] is batch.outcomes[1]
    assert prompts_of(server) == ["a", "b"]


def test_stop_on_error_asks_nobody_alone_any_more(surface, server):
    """A pack that is split after another one has failed isn't asked prompt by prompt."""
    known = threading.Event()

    def script(seen):
        if seen.json["prompt"] == ["a", "b"]:
            return http({"error": {"message": "Invalid token", "type": "new_api_error"}}, 401)
        return [known, *http({"error": {"message": "no", "type": "invalid_request_error"}}, 400)]

    server.script = script
    batch = surface.batch(
        surface.client(base_url=server.url),
        list("abcd"),
        batch_size=2,
        max_concurrency=2,
        stop_on_error=True,
        on_result=lambda position, outcome: known.set(),
    )
    assert {type(outcome).__name__ for outcome in batch.outcomes} == {"AuthenticationError"}
    assert all(isinstance(prompt, list) for prompt in prompts_of(server))


WRONG_KEY = http({"error": {"message": "Invalid token", "type": "new_api_error"}}, 401)


MANY = [f"p{i}" for i in range(40)]
SAME_FOR_ALL = [
    (WRONG_KEY, AuthenticationError),
    (http({"error": {"message": "user quota is not enough", "type": "new_api_error"}}, 403), InsufficientQuotaError),
    (http({"error": {"message": "无可用渠道", "type": "new_api_error"}}, 503), ModelUnavailableError),
]


def all_of(surface, client, method, most, on_result=None):
    """Ask for many items one by one, and return the outcomes; of vectors, the error that is raised."""
    if method != "embed":
        alone = {"batch_size": 1} if method == "complete_batch" else {}
        batch = surface.call(client, method, MANY, max_concurrency=most, on_result=on_result, **alone)
        return batch.outcomes
    settings = {"batch_size": 1, "max_concurrency": most, "stop_on_error": False, "on_result": on_result}
    with pytest.raises(XDMError) as caught:
        surface.call(client, method, MANY, **settings)
    return [caught.value]


@pytest.mark.parametrize("most", [1, 4])
@pytest.mark.parametrize(("refusal", "kind"), SAME_FOR_ALL, ids=lambda one: getattr(one, "__name__", ""))
@pytest.mark.parametrize("method", ["complete_batch", "chat_batch", "embed"])
def test_a_batch_ends_where_request_after_request_is_refused_for_what_all_have_in_common(  # noqa: PLR0913, PLR0917 - a table
    surface, server, method, refusal, kind, most
):
    told = []
    server.script = lambda seen: refusal if seen.method == "POST" else http({"data": []})
    client = surface.client(base_url=server.url, model="m", max_retries=0)
    outcomes = all_of(surface, client, method, most, lambda position, outcome: told.append(type(outcome)))
    assert {type(outcome) for outcome in outcomes} == {kind}
    assert len(outcomes) in {1, len(MANY)}
    asked = [seen for seen in server.requests if seen.method == "POST"]
    assert MOST_REFUSALS <= len(asked) < MOST_REFUSALS + most
    assert told == [kind] * len(asked)


@pytest.mark.parametrize("method", ["complete_batch", "chat_batch"])
def test_refusals_that_are_not_in_a_row_end_no_batch(surface, server, method):
    good = {"message": {"content": "x"}, "text": "x", "finish_reason": "stop"}
    replies = [*[WRONG_KEY] * (MOST_REFUSALS - 1), http({"choices": [good]})] * 4
    server.script = lambda seen: replies[len(server.requests) - 1]
    outcomes = all_of(surface, surface.client(base_url=server.url), method, 1)
    assert [isinstance(outcome, AuthenticationError) for outcome in outcomes] == [i % 10 != 9 for i in range(40)]
    assert len(server.requests) == 40


def test_what_may_be_one_items_own_fault_ends_no_batch(surface, server):
    server.script = [BAD]
    outcomes = all_of(surface, surface.client(base_url=server.url), "chat_batch", 1)
    assert {type(outcome) for outcome in outcomes} == {BadRequestError}
    assert len(server.requests) == 40


def test_the_packs_of_an_iterator_are_all_worked_off():
    """No outcome is kept for them: whoever counts on one for each ends the batch himself."""
    error = AuthenticationError("no", status_code=401)
    told = []
    run_batch(
        iter(packs_of(40, 1)),
        lambda pack: PackResult([error]),
        max_concurrency=1,
        on_result=lambda position, outcome: told.append(position),
    )
    assert told == list(range(40))


@pytest.mark.parametrize("beginning", [[], http(completion("x"), headers={"Content-Length": "1000"})])
@pytest.mark.parametrize(
    ("method", "items", "params"),
    [
        ("complete_batch", ["hangs", "bad"], {"batch_size": 1, "stop_on_error": True}),
        ("chat_batch", ["hangs", "bad"], {"stop_on_error": True}),
        ("embed", ["hangs", "bad"], {"batch_size": 1}),
    ],
)
def test_a_batch_that_has_failed_waits_for_no_answer_that_nobody_wants(  # noqa: PLR0913, PLR0917 - a table
    surface, server, method, items, params, beginning
):
    held = Held()
    server.script = lambda seen: [held.begun, *WRONG_KEY] if b"bad" in seen.body else [*beginning, held]
    client = surface.client(base_url=server.url, model="m")
    if method == "embed":
        with pytest.raises(AuthenticationError):
            surface.call(client, method, items, **params)
    else:
        batch = surface.call(client, method, items, **params)
        assert [type(outcome) for outcome in batch.outcomes] == [AuthenticationError] * 2
    assert held.nobody_waited()


@pytest.mark.parametrize("sister", ["waits for headers", "waits for the rest of its body", "waits for a retry"])
def test_stop_on_error_waits_for_no_request_in_flight_and_ends_it(surface, server, sister):
    """What nobody wants any more is billed no further: its connection is closed, and nothing is sent again."""
    begun = threading.Event()
    busy = http({"error": {"message": "slow down"}}, 429, {"Retry-After": "20"})
    long = http(completion("x"), headers={"Content-Length": "1000"})
    answer = {"waits for headers": [HANG], "waits for the rest of its body": [*long, HANG], "waits for a retry": busy}

    def script(seen):
        if seen.json["prompt"] == "a":
            return [begun, *WRONG_KEY]
        return [begun.set, *answer[sister]]

    server.script = script
    start = time.monotonic()
    batch = surface.batch(
        surface.client(base_url=server.url), ["a", "b"], batch_size=1, max_concurrency=2, stop_on_error=True
    )
    assert [type(one) for one in batch.outcomes] == [AuthenticationError] * 2
    assert time.monotonic() - start < 5  # the server is silent for ten seconds
    if sister != "waits for a retry":
        assert server.wait_until(lambda: server.disconnects)
    assert len(server.requests) == 2


def test_whoever_waited_for_a_retry_when_the_batch_ended_begins_nothing_more(server):
    """Its hook isn't called in a batch that is over, and no turn is taken from those who still work."""
    begun = threading.Event()
    busy = http({"error": {"message": "slow down"}}, 429, {"Retry-After": "2"})
    server.script = lambda seen: [begun, *WRONG_KEY] if seen.json["prompt"] == "a" else busy
    askers = []
    with Client(
        base_url=server.url,
        on_request=lambda _: askers.append(threading.current_thread()),
        on_retry=lambda _: begun.set(),
    ) as client:
        client.complete_batch(["a", "b"], batch_size=1, max_concurrency=2, stop_on_error=True)
        for thread in [*askers]:
            thread.join(10)
            assert not thread.is_alive()
    assert len(askers) == 2


def test_results_are_told_as_they_arrive_one_at_a_time(surface, server):
    told, inside = [], threading.Lock()

    def on_result(position, outcome):
        assert inside.acquire(blocking=False)
        told.append((position, outcome))
        inside.release()

    server.script = refusing("p3")
    batch = surface.batch(
        surface.client(base_url=server.url), [f"p{i}" for i in range(9)], batch_size=2, on_result=on_result
    )
    assert sorted(position for position, _ in told) == list(range(9))
    assert all(batch.outcomes[position] is outcome for position, outcome in told)


def test_the_first_result_is_told_before_the_last_is_there(surface, server):
    first = threading.Event()

    def script(seen):
        if seen.json["prompt"] == "late":
            assert first.wait(60)
        return echoing(seen)

    server.script = script
    surface.batch(
        surface.client(base_url=server.url), ["early", "late"], batch_size=1, on_result=lambda i, outcome: first.set()
    )
    assert first.is_set()


@pytest.mark.parametrize("most", [1, 4])
def test_a_crash_in_the_hook_is_the_callers_own(surface, server, most):
    told = []

    def crash(position, outcome):
        told.append(position)
        raise LookupError("mine")

    client = surface.client(base_url=server.url)
    with pytest.raises(LookupError, match="mine"):
        surface.batch(client, ["x"] * 12, batch_size=1, max_concurrency=most, on_result=crash)
    assert len(told) == 1
    assert len(server.requests) <= 1 + 2 * most
    assert surface.complete(client, "y").text == "<y>"


@pytest.mark.parametrize(
    ("name", "value"), [("batch_size", 0), ("batch_size", 1.5), ("max_concurrency", 0), ("max_concurrency", True)]
)
def test_counts_that_are_none(surface, server, name, value):
    with pytest.raises(ConfigurationError, match=rf"^{name}: "):
        surface.batch(surface.client(base_url=server.url), ["a"], **{name: value})
    assert server.requests == []


def test_the_callers_mistake_is_raised_and_not_an_outcome(surface, server):
    with pytest.raises(ConfigurationError, match="extra_body"):
        surface.batch(surface.client(base_url=server.url), ["a", "b"], extra_body={"x": object()})
    assert server.requests == []


def test_a_cancelled_batch_leaves_no_request_behind(server):
    arrived, hold = threading.Event(), threading.Event()

    def script(seen):
        arrived.set()
        hold.wait(10)
        return echoing(seen)

    server.script = script

    async def main():
        async with AsyncClient(base_url=server.url) as client:
            task = asyncio.ensure_future(client.complete_batch(["x"] * 8, batch_size=1, max_concurrency=4))
            await asyncio.to_thread(arrived.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []

    asyncio.run(main())
    hold.set()
    assert len(server.requests) <= 4


def test_a_request_that_is_cancelled_from_within_ends_the_batch(server):
    """A hook may await what somebody has cancelled: to asyncio that is no exception of the task."""
    held = threading.Event()

    def script(seen):
        held.wait(10)
        return echoing(seen)

    def on_request(request):
        if b'"cancelled"' in request.body:
            raise asyncio.CancelledError

    async def main():
        async with AsyncClient(base_url=server.url, on_request=on_request) as client:
            prompts = ["a", "b", "cancelled"]
            batch = asyncio.ensure_future(client.complete_batch(prompts, batch_size=1, max_concurrency=3))
            await asyncio.wait([batch], timeout=10)
            assert batch.cancelled()

    server.script = script
    asyncio.run(main())
    held.set()


def test_ctrl_c_waits_for_no_request_and_sends_nothing_more(server):
    both, hold = threading.Barrier(2), threading.Event()
    caller = threading.get_ident()

    def script(seen):
        if both.wait(60) == 0:  # each thread has its request in flight
            signal.pthread_kill(caller, signal.SIGINT)
        hold.wait(10)
        return echoing(seen)

    results = []
    server.script = script
    client = Client(base_url=server.url)
    with pytest.raises(KeyboardInterrupt):
        client.complete_batch(
            ["a", "b", "c"], batch_size=1, max_concurrency=2, on_result=lambda *result: results.append(result)
        )
    assert not hold.is_set()
    hold.set()
    assert sorted(prompts_of(server)) == ["a", "b"]
    assert results == []
    client.close()


def test_an_authentication_error_of_one_is_that_of_all(surface, server):
    server.script = [http({"error": {"message": "Invalid token", "type": "new_api_error"}}, 401)]
    batch = surface.batch(surface.client(base_url=server.url), ["a"] * 3, batch_size=1)
    assert {type(e) for e in batch.errors} == {AuthenticationError}


class Saver:
    async def __call__(self, number, outcome):
        raise AssertionError


@pytest.mark.parametrize("callback", [Saver(), Saver().__call__, partial(Saver().__call__), [], "print"])
@pytest.mark.parametrize("method", ["complete_batch", "chat_batch", "embed"])
def test_a_callback_that_cannot_be_called_or_must_be_awaited_is_refused_before_a_byte_is_sent(
    surface, server, method, callback
):
    with pytest.raises(ConfigurationError, match="on_result"):
        surface.call(surface.client(base_url=server.url), method, ["a", "b"], on_result=callback)
    assert not server.requests


def test_what_a_callback_crashes_with_is_raised_although_the_last_request_ends_meanwhile(server, monkeypatch):
    """The crash is known before another thread can say that all is done."""
    both, over = threading.Barrier(2), threading.Event()

    class SlowToLeave(threading.Condition):
        """Lets every other thread go first where a crash leaves the lock."""

        def __exit__(self, kind, *rest):
            super().__exit__(kind, *rest)
            if kind is ZeroDivisionError:
                over.wait(10)

    def script(seen):
        both.wait(10)
        return echoing(seen)

    def on_result(position, outcome):
        raise ZeroDivisionError

    server.script = script
    monkeypatch.setattr("xdm_integrations.client.batches.threading.Condition", SlowToLeave)
    with contextlib.ExitStack() as ending, Client(base_url=server.url) as client:
        ending.callback(over.set)
        with pytest.raises(ZeroDivisionError):
            client.complete_batch(["a", "b"], batch_size=1, max_concurrency=2, on_result=on_result)


def test_whoever_waits_for_a_batch_is_woken_when_it_is_over_and_not_by_every_outcome(monkeypatch):
    waits = []
    waiting = threading.Event()

    class Counted(threading.Condition):
        def wait(self, timeout=None):
            waits.append(threading.current_thread())
            waiting.set()
            return super().wait(timeout)

    monkeypatch.setattr(batches, "threading", SimpleNamespace(Condition=Counted, Thread=threading.Thread))

    def work(pack):
        assert waiting.wait(5)
        return PackResult([pack.positions[0]])

    batch = run_batch(packs_of(300, 1), work, max_concurrency=4)
    assert batch.outcomes == list(range(300))
    assert waits.count(threading.current_thread()) == 1


def test_a_client_that_has_sent_nothing_has_nothing_to_abort(server):
    with Client(base_url=server.url) as client:
        client.abort([threading.current_thread()])
        assert client.complete("a").text == "<a>"
