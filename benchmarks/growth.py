"""Growth: the cost per item must not depend on how many there are."""

from __future__ import annotations

from benchmarks.on_langchain import langchain_ours
from benchmarks.on_llama_index import llama_index_from_memory, llama_index_ours
from benchmarks.rows import cpu_per, row


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
