"""What is measured: one row of the table for one subject, in a process of its own.

    python benchmarks/subjects.py ROW SUBJECT URL      prints one number

A row is a task, such as "langchain stream". Its subjects are

- `plain`: the same bytes by plain requests or aiohttp, as a careful user would write it;
- `framework`: the framework alone, over an LLM that answers from memory;
- `ours`: this package;
- `peer`: the integration that people use today.

The floor of a row is plain + framework. CPU figures are this process's own, in microseconds per
call or per token; figures of batches and imports are seconds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from statistics import median, quantiles
from typing import Any

CALLS = 300
AT_ONCE = 64
TOKENS = 4000
STREAMS = 100
BATCH = 1000
PACED = 300

ROWS: dict[tuple[str, str], Callable[[str], float]] = {}


def row(name: str, subject: str) -> Callable[[Callable[[str], float]], Callable[[str], float]]:
    def register(measure: Callable[[str], float]) -> Callable[[str], float]:
        ROWS[name, subject] = measure
        return measure

    return register


# How things are measured


def cpu_per(count: int, work: Callable[[], Any]) -> float:
    """Return the microseconds of CPU per item, after one warm-up."""
    work()
    gc.collect()
    start = time.process_time()
    work()
    return (time.process_time() - start) / count * 1e6


def cpu_per_async(count: int, work: Callable[[], Coroutine[Any, Any, Any]]) -> float:
    async def both() -> float:
        await work()
        gc.collect()
        start = time.process_time()
        await work()
        return (time.process_time() - start) / count * 1e6

    return asyncio.run(both())


def wall(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# Plain requests and aiohttp


def plain_session() -> Any:
    import requests

    return requests.Session()


def plain_body(prompt: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "prompt": prompt, "max_tokens": 256, **more}


def plain_complete(session: Any, url: str, body: dict[str, Any]) -> list[str]:
    reply = session.post(url + "/completions", json=body, headers={"Authorization": "Bearer k"}, timeout=60)
    reply.raise_for_status()
    return [choice["text"] for choice in reply.json()["choices"]]


def plain_stream(session: Any, url: str, tokens: int, model: str = "m") -> Any:
    body = plain_body("x", stream=True, max_tokens=tokens, model=model)
    with session.post(url + "/completions", json=body, stream=True, timeout=60) as reply:
        reply.raise_for_status()
        for line in reply.iter_lines():
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                choices = json.loads(line[6:])["choices"]
                if choices:
                    yield choices[0]["text"]


async def plain_acomplete(session: Any, url: str, body: dict[str, Any]) -> list[str]:
    async with session.post(url + "/completions", json=body, headers={"Authorization": "Bearer k"}) as reply:
        reply.raise_for_status()
        return [choice["text"] for choice in (await reply.json())["choices"]]


async def plain_astream(session: Any, url: str, tokens: int, model: str = "m") -> Any:
    body = plain_body("x", stream=True, max_tokens=tokens, model=model)
    async with session.post(url + "/completions", json=body) as reply:
        reply.raise_for_status()
        buffer = b""
        async for block in reply.content.iter_any():
            lines = (buffer + block).split(b"\n")
            buffer = lines.pop()
            for line in lines:
                if line.startswith(b"data: ") and line != b"data: [DONE]":
                    choices = json.loads(line[6:])["choices"]
                    if choices:
                        yield choices[0]["text"]


def async_plain(count: int, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> float:
    import aiohttp

    async def with_session() -> float:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await work(session)
            gc.collect()
            start = time.process_time()
            await work(session)
            return (time.process_time() - start) / count * 1e6

    return asyncio.run(with_session())


@row("langchain invoke", "plain")
@row("llama_index complete", "plain")
def _(url: str) -> float:
    session = plain_session()
    return cpu_per(CALLS, lambda: [plain_complete(session, url, plain_body("x")) for _ in range(CALLS)])


@row("langchain ainvoke, 64 at once", "plain")
@row("llama_index acomplete, 64 at once", "plain")
def _(url: str) -> float:
    async def work(session: Any) -> None:
        for _ in range(4):
            await asyncio.gather(*(plain_acomplete(session, url, plain_body("x")) for _ in range(AT_ONCE)))

    return async_plain(4 * AT_ONCE, work)


@row("langchain stream", "plain")
@row("llama_index stream_complete", "plain")
def _(url: str) -> float:
    session = plain_session()
    return cpu_per(TOKENS, lambda: sum(1 for _ in plain_stream(session, url, TOKENS)))


@row("langchain astream", "plain")
@row("llama_index astream_complete", "plain")
def _(url: str) -> float:
    async def work(session: Any) -> None:
        async for _ in plain_astream(session, url, TOKENS):
            pass

    return async_plain(TOKENS, work)


@row("langchain 100 astreams at once", "plain")
def _(url: str) -> float:
    async def one(session: Any) -> None:
        async for _ in plain_astream(session, url, 200):
            pass

    async def work(session: Any) -> None:
        await asyncio.gather(*(one(session) for _ in range(STREAMS)))

    return async_plain(200 * STREAMS, work)


def prompts() -> list[str]:
    return [f"prompt {i}" for i in range(BATCH)]


@row("langchain batch of 1000, 50 ms each", "plain")
def _(url: str) -> float:
    from concurrent.futures import ThreadPoolExecutor

    session = plain_session()
    packs = [prompts()[i : i + 20] for i in range(0, BATCH, 20)]

    def work() -> None:
        with ThreadPoolExecutor(8) as pool:
            bodies = [plain_body(pack, model="delay-50") for pack in packs]
            list(pool.map(lambda body: plain_complete(session, url, body), bodies))

    work()
    return wall(work)


@row("langchain abatch of 1000, 50 ms each", "plain")
def _(url: str) -> float:
    import aiohttp

    packs = [prompts()[i : i + 20] for i in range(0, BATCH, 20)]

    async def work() -> float:
        async with aiohttp.ClientSession() as session:
            turn = asyncio.Semaphore(8)

            async def one(pack: list[str]) -> None:
                async with turn:
                    await plain_acomplete(session, url, plain_body(pack, model="delay-50"))

            await asyncio.gather(*map(one, packs))
            start = time.perf_counter()
            await asyncio.gather(*map(one, packs))
            return time.perf_counter() - start

    return asyncio.run(work())


# LangChain


def langchain_from_memory(answers: int = 1) -> Any:
    from langchain_core.language_models.llms import BaseLLM
    from langchain_core.outputs import Generation, GenerationChunk, LLMResult

    class FromMemory(BaseLLM):
        def _generate(self, prompts: list[str], *_: Any, **__: Any) -> LLMResult:
            return LLMResult(generations=[[Generation(text="<x>")] for _ in prompts])

        async def _agenerate(self, prompts: list[str], *_: Any, **__: Any) -> LLMResult:
            return self._generate(prompts)

        def _stream(self, *_: Any, **__: Any) -> Any:
            for _i in range(answers):
                yield GenerationChunk(text=" word")

        async def _astream(self, *_: Any, **__: Any) -> Any:
            for _i in range(answers):
                yield GenerationChunk(text=" word")

        @property
        def _llm_type(self) -> str:
            return "memory"

    return FromMemory()


def langchain_ours(url: str, **more: Any) -> Any:
    from xdm_integrations.langchain import XDMLLM

    return XDMLLM(**{"model": "m", "api_key": "k", "base_url": url, **more})


def langchain_peer(url: str, **more: Any) -> Any:
    from langchain_openai import OpenAI

    return OpenAI(**{"model": "m", "api_key": "k", "base_url": url, **more})


LANGCHAIN = {"framework": lambda url, **_: langchain_from_memory(), "ours": langchain_ours, "peer": langchain_peer}


def _langchain(subject: str) -> None:  # noqa: C901 - one function per row
    make = LANGCHAIN[subject]

    def streaming(url: str, tokens: int) -> Any:
        return langchain_from_memory(tokens) if subject == "framework" else make(url, max_tokens=tokens)

    @row("langchain invoke", subject)
    def _(url: str) -> float:
        llm = make(url)
        return cpu_per(CALLS, lambda: [llm.invoke("x") for _ in range(CALLS)])

    @row("langchain ainvoke, 64 at once", subject)
    def _(url: str) -> float:
        llm = make(url)

        async def work() -> None:
            for _ in range(4):
                await asyncio.gather(*(llm.ainvoke("x") for _ in range(AT_ONCE)))

        return cpu_per_async(4 * AT_ONCE, work)

    @row("langchain stream", subject)
    def _(url: str) -> float:
        llm = streaming(url, TOKENS)
        return cpu_per(TOKENS, lambda: sum(1 for _ in llm.stream("x")))

    @row("langchain astream", subject)
    def _(url: str) -> float:
        llm = streaming(url, TOKENS)

        async def work() -> None:
            async for _ in llm.astream("x"):
                pass

        return cpu_per_async(TOKENS, work)

    @row("langchain 100 astreams at once", subject)
    def _(url: str) -> float:
        llm = streaming(url, 200)

        async def one() -> None:
            async for _ in llm.astream("x"):
                pass

        async def work() -> None:
            await asyncio.gather(*(one() for _ in range(STREAMS)))

        return cpu_per_async(200 * STREAMS, work)

    @row("langchain batch of 1000, 50 ms each", subject)
    def _(url: str) -> float:
        llm = make(url, model="delay-50")
        llm.batch(prompts())
        return wall(lambda: llm.batch(prompts()))

    @row("langchain abatch of 1000, 50 ms each", subject)
    def _(url: str) -> float:
        llm = make(url, model="delay-50")

        async def work() -> float:
            await llm.abatch(prompts())
            start = time.perf_counter()
            await llm.abatch(prompts())
            return time.perf_counter() - start

        return asyncio.run(work())


for _subject in LANGCHAIN:
    _langchain(_subject)


# LlamaIndex


def llama_index_from_memory(answers: int = 1) -> Any:
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
    from llama_index.core.llms.callbacks import llm_completion_callback

    class FromMemory(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata()

        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
            return CompletionResponse(text="<x>")

        @llm_completion_callback()
        async def acomplete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
            return CompletionResponse(text="<x>")

        @llm_completion_callback()
        def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
            def items() -> Any:
                text = ""
                for _i in range(answers):
                    text += " word"
                    yield CompletionResponse(text=text, delta=" word")

            return items()

        @llm_completion_callback()
        async def astream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
            async def items() -> Any:
                text = ""
                for _i in range(answers):
                    text += " word"
                    yield CompletionResponse(text=text, delta=" word")

            return items()

    return FromMemory()


def llama_index_ours(url: str, **more: Any) -> Any:
    from xdm_integrations.llama_index import XDM

    return XDM(**{"model": "m", "api_key": "k", "api_base": url, "context_window": 10**6, **more})


def llama_index_peer(url: str, **more: Any) -> Any:
    from llama_index.llms.openai_like import OpenAILike

    return OpenAILike(**{"model": "m", "api_key": "k", "api_base": url, "is_chat_model": False, **more})


LLAMA_INDEX = {
    "framework": lambda url, **_: llama_index_from_memory(),
    "ours": llama_index_ours,
    "peer": llama_index_peer,
}


def _llama_index(subject: str) -> None:
    make = LLAMA_INDEX[subject]

    def streaming(url: str, tokens: int) -> Any:
        return llama_index_from_memory(tokens) if subject == "framework" else make(url, max_tokens=tokens)

    @row("llama_index complete", subject)
    def _(url: str) -> float:
        llm = make(url)
        return cpu_per(CALLS, lambda: [llm.complete("x") for _ in range(CALLS)])

    @row("llama_index acomplete, 64 at once", subject)
    def _(url: str) -> float:
        llm = make(url)

        async def work() -> None:
            for _ in range(4):
                await asyncio.gather(*(llm.acomplete("x") for _ in range(AT_ONCE)))

        return cpu_per_async(4 * AT_ONCE, work)

    @row("llama_index stream_complete", subject)
    def _(url: str) -> float:
        llm = streaming(url, TOKENS)
        return cpu_per(TOKENS, lambda: sum(1 for _ in llm.stream_complete("x")))

    @row("llama_index astream_complete", subject)
    def _(url: str) -> float:
        llm = streaming(url, TOKENS)

        async def work() -> None:
            async for _ in await llm.astream_complete("x"):
                pass

        return cpu_per_async(TOKENS, work)


for _subject in LLAMA_INDEX:
    _llama_index(_subject)


# Import, first token, latency, memory


def _import(name: str, subject: str, statement: str) -> None:
    """Measure an import at the top of a program, where users have it.

    Python 3.11 and later are up to a fifth slower where a busy frame happens to lie across two blocks of
    the stack; a few frames more or less decide that, so here are none of our own.
    """
    program = f"import time\nstart = time.process_time()\n{statement}\nprint(time.process_time() - start)"

    @row(name, subject)
    def _(url: str) -> float:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603 - a fixed program
        if done.returncode:
            raise RuntimeError(done.stderr)
        return float(done.stdout)


_import("langchain import", "framework", "import langchain_core.language_models.llms")
_import("langchain import", "ours", "import xdm_integrations.langchain")
_import("langchain import", "peer", "import langchain_openai")
_import("llama_index import", "framework", "import llama_index.core.llms")
_import("llama_index import", "ours", "import xdm_integrations.llama_index")
_import("llama_index import", "peer", "import llama_index.llms.openai_like")


def _first_token(stream: Callable[[], Any]) -> float:
    times = []
    for _ in range(60):
        start = time.perf_counter()
        iterator = iter(stream())
        next(iterator)
        times.append(time.perf_counter() - start)
        for _ in iterator:
            pass
    return median(times) * 1e6


@row("time to first token, sync", "plain")
def _(url: str) -> float:
    session = plain_session()
    return _first_token(lambda: plain_stream(session, url, 1))


@row("time to first token, sync", "framework")
def _(url: str) -> float:
    llm = langchain_from_memory()
    return _first_token(lambda: llm.stream("x"))


@row("time to first token, sync", "ours")
def _(url: str) -> float:
    llm = langchain_ours(url, max_tokens=1)
    return _first_token(lambda: llm.stream("x"))


@row("time to first token, sync", "peer")
def _(url: str) -> float:
    llm = langchain_peer(url, max_tokens=1)
    return _first_token(lambda: llm.stream("x"))


async def _async_first_token(at_once: int, stream: Callable[[], Any]) -> float:
    times = []

    async def one() -> None:
        start = time.perf_counter()
        iterator = aiter(stream())
        await anext(iterator)
        times.append(time.perf_counter() - start)
        async for _ in iterator:
            pass

    for number in range(1 + max(10, 60 // at_once)):
        await asyncio.gather(*(one() for _ in range(at_once)))
        if not number:
            times.clear()  # the connections are being opened
    return median(times) * 1e6


def _async_first_token_rows(name: str, at_once: int) -> None:
    @row(name, "plain")
    def _(url: str) -> float:
        import aiohttp

        async def work() -> float:
            async with aiohttp.ClientSession() as session:
                return await _async_first_token(at_once, lambda: plain_astream(session, url, 1))

        return asyncio.run(work())

    @row(name, "framework")
    def _(url: str) -> float:
        llm = langchain_from_memory()
        return asyncio.run(_async_first_token(at_once, lambda: llm.astream("x")))

    @row(name, "ours")
    def _(url: str) -> float:
        llm = langchain_ours(url, max_tokens=1)
        return asyncio.run(_async_first_token(at_once, lambda: llm.astream("x")))

    @row(name, "peer")
    def _(url: str) -> float:
        llm = langchain_peer(url, max_tokens=1)
        return asyncio.run(_async_first_token(at_once, lambda: llm.astream("x")))


_async_first_token_rows("time to first token, async", 1)
_async_first_token_rows("time to first token, 64 at once", AT_ONCE)


def _lags(texts: Any) -> list[float]:
    return [time.monotonic() - float(text) for text in texts if text]


def _lag_rows(quantile: str, choose: Callable[[list[float]], float]) -> None:
    @row(f"token lag, sync, {quantile}", "plain")
    def _(url: str) -> float:
        return choose(_lags(plain_stream(plain_session(), url, PACED, "paced-3"))) * 1e6

    @row(f"token lag, sync, {quantile}", "ours")
    def _(url: str) -> float:
        return choose(_lags(langchain_ours(url, model="paced-3", max_tokens=PACED).stream("x"))) * 1e6

    async def lags(stream: Any) -> list[float]:
        return [time.monotonic() - float(text) async for text in stream if text]

    @row(f"token lag, async, {quantile}", "plain")
    def _(url: str) -> float:
        import aiohttp

        async def work() -> float:
            async with aiohttp.ClientSession() as session:
                return choose(await lags(plain_astream(session, url, PACED, "paced-3")))

        return asyncio.run(work()) * 1e6

    @row(f"token lag, async, {quantile}", "ours")
    def _(url: str) -> float:
        llm = langchain_ours(url, model="paced-3", max_tokens=PACED)
        return choose(asyncio.run(lags(llm.astream("x")))) * 1e6


_lag_rows("median", median)
_lag_rows("p99", lambda lags: quantiles(lags, n=100)[98])


def _memory(subject: str, make: Callable[..., Any]) -> None:
    @row("memory of 1000 streams at once, MB", subject)
    def _(url: str) -> float:
        llm = make(url, model="paced-100", max_tokens=20)

        async def one() -> None:
            async for _ in llm.astream("x"):
                pass

        async def work() -> float:
            await one()
            before = peak_memory()
            await asyncio.gather(*(one() for _ in range(1000)))
            return peak_memory() - before

        return asyncio.run(work())


_memory("ours", langchain_ours)
_memory("peer", langchain_peer)


# Growth: the cost per item must not depend on how many there are


def _growth(count: int) -> None:
    @row(f"growth, tokens, {count}", "langchain")
    def _(url: str) -> float:
        llm = langchain_ours(url, max_tokens=count)
        return cpu_per(count, lambda: sum(1 for _ in llm.stream("x")))

    @row(f"growth, tokens, {count}", "llama_index")
    def _(url: str) -> float:
        llm = llama_index_ours(url, max_tokens=count)
        return cpu_per(count, lambda: sum(1 for _ in llm.stream_complete("x")))

    @row(f"growth, tokens, {count}", "client")
    def _(url: str) -> float:
        from xdm_integrations import Client

        client = Client("k", base_url=url)
        return cpu_per(count, lambda: sum(1 for _ in client.stream("x", max_tokens=count)))

    @row(f"growth, tokens, {count}", "llama_index from memory")
    def _(url: str) -> float:
        llm = llama_index_from_memory(count)
        return cpu_per(count, lambda: sum(1 for _ in llm.stream_complete("x")))

    if count > 10_000:  # the framework's own cost would take minutes
        return

    @row(f"growth, prompts, {count}", "langchain")
    def _(url: str) -> float:
        llm = langchain_ours(url)
        texts = [f"prompt {i}" for i in range(count)]
        return cpu_per(count, lambda: llm.batch(texts))


GROWTH = (100, 1000, 10_000, 100_000)
for _count in GROWTH:
    _growth(_count)


if __name__ == "__main__":
    print(ROWS[sys.argv[1], sys.argv[2]](sys.argv[3]))
