"""The table of figures in both READMEs, from `results.json`: `python -m benchmarks.readme` writes it again."""

# ruff: noqa: RUF001 # the commas of Chinese

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MARK = "<!-- performance -->"
HEADS = {
    "README.md": ("cost / floor", "peer / ours"),
    "README.zh-CN.md": ("开销 / 下限", "同类 / 本包"),
}
LABELS = {
    "langchain chat: invoke": ("`ChatXDM.invoke`", "`ChatXDM.invoke`"),
    "langchain chat: ainvoke, 64 at once": ("`ChatXDM.ainvoke`, 64 at once", "`ChatXDM.ainvoke`，64 个并发"),
    "langchain chat: stream": ("`ChatXDM.stream`, per token", "`ChatXDM.stream`，每个 token"),
    "langchain chat: astream": ("`ChatXDM.astream`, per token", "`ChatXDM.astream`，每个 token"),
    "langchain chat: batch of 1000, 50 ms each": (
        "`ChatXDM.batch` of 1000, 50 at once",
        "`ChatXDM.batch` 1000 个，50 个并发",
    ),
    "llama_index chat: chat": ("`XDMChat.chat`", "`XDMChat.chat`"),
    "llama_index chat: achat, 64 at once": ("`XDMChat.achat`, 64 at once", "`XDMChat.achat`，64 个并发"),
    "llama_index chat: stream_chat": ("`XDMChat.stream_chat`, per token", "`XDMChat.stream_chat`，每个 token"),
    "llama_index chat: astream_chat": ("`XDMChat.astream_chat`, per token", "`XDMChat.astream_chat`，每个 token"),
    "langchain embeddings: 1,000 vectors": ("`XDMEmbeddings`, CPU per vector", "`XDMEmbeddings`，每个向量的 CPU"),
    "langchain embeddings: 10,000 texts, 50 ms a request": (
        "`XDMEmbeddings`, 10,000 texts at 50 ms a request",
        "`XDMEmbeddings`，10,000 个文本，每个请求 50 ms",
    ),
    "llama_index embeddings: 1,000 vectors": ("`XDMEmbedding`, CPU per vector", "`XDMEmbedding`，每个向量的 CPU"),
    "llama_index embeddings: 10,000 texts, 50 ms a request": (
        "`XDMEmbedding`, 10,000 texts at 50 ms a request",
        "`XDMEmbedding`，10,000 个文本，每个请求 50 ms",
    ),
    "langchain invoke": ("LangChain `invoke`", "LangChain `invoke`"),
    "langchain ainvoke, 64 at once": ("LangChain `ainvoke`, 64 at once", "LangChain `ainvoke`，64 个并发"),
    "langchain stream": ("LangChain `stream`, per token", "LangChain `stream`，每个 token"),
    "langchain astream": ("LangChain `astream`, per token", "LangChain `astream`，每个 token"),
    "langchain batch of 1000, 50 ms each": ("LangChain `batch` of 1000 prompts", "LangChain `batch` 1000 个提示"),
    "langchain abatch of 1000, 50 ms each": ("LangChain `abatch` of 1000 prompts", "LangChain `abatch` 1000 个提示"),
    "langchain import": ("LangChain, import", "LangChain，import"),
    "llama_index complete": ("LlamaIndex `complete`", "LlamaIndex `complete`"),
    "llama_index acomplete, 64 at once": ("LlamaIndex `acomplete`, 64 at once", "LlamaIndex `acomplete`，64 个并发"),
    "llama_index stream_complete": (
        "LlamaIndex `stream_complete`, per token",
        "LlamaIndex `stream_complete`，每个 token",
    ),
    "llama_index astream_complete": (
        "LlamaIndex `astream_complete`, per token",
        "LlamaIndex `astream_complete`，每个 token",
    ),
    "llama_index import": ("LlamaIndex, import", "LlamaIndex，import"),
    "time to first token, sync": ("LangChain `stream`, time to first token", "LangChain `stream`，首个 token 的时间"),
    "time to first token, async": (
        "LangChain `astream`, time to first token",
        "LangChain `astream`，首个 token 的时间",
    ),
    "langchain memory of 1000 streams at once": (
        "LangChain, memory of 1000 `astream`s at once",
        "LangChain，1000 个并发 `astream` 的内存",
    ),
    "llama_index memory of 1000 streams at once": (
        "LlamaIndex, memory of 1000 `astream_complete`s at once",
        "LlamaIndex，1000 个并发 `astream_complete` 的内存",
    ),
}


def table(page: str) -> str:
    """Return the table of one README."""
    results: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results.json").read_text("utf-8"))
    lines = {line["row"]: line for line in results["table"]}
    language = list(HEADS).index(page)
    shown = [f"| | {' | '.join(HEADS[page])} |", "|---|---|---|"]
    for name, labels in LABELS.items():
        line = lines.get(name)
        if line is None:  # the figures are older than the row
            continue
        cost = "-" if line["ours / floor"] is None else f"{line['ours / floor']:.2f}"
        if line["unit"] == "MB":
            cost = f"{line['ours']:.0f} MB"
        shown.append(f"| {labels[language]} | {cost} | {line['peer / ours']:.1f} |")
    return "\n".join(shown) + "\n"


def write() -> None:
    """Put the figures of `results.json` into both READMEs."""
    for page in HEADS:
        path = ROOT / page
        before, mark, after = path.read_text("utf-8").partition(MARK)
        after = re.sub(r"^\| \|.*?\n(?=\n)", lambda _: table(page), after, count=1, flags=re.MULTILINE | re.DOTALL)  # noqa: B023 - called at once
        path.write_text(before + mark + after, "utf-8")


if __name__ == "__main__":
    write()
