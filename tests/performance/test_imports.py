"""What an import loads beyond the framework itself: names, which no machine's speed changes."""

from __future__ import annotations

import subprocess
import sys

import pytest

BASES = {
    ("langchain", "XDMLLM"): "langchain_core.language_models.llms",
    ("langchain", "ChatXDM"): "langchain_core.language_models.llms, langchain_core.language_models.chat_models",
    ("langchain", "XDMEmbeddings"): "langchain_core.language_models.llms, langchain_core.embeddings",
    ("llama_index", "XDM"): "llama_index.core.llms",
    ("llama_index", "XDMChat"): "llama_index.core.llms, llama_index.core.llms.function_calling",
    ("llama_index", "XDMEmbedding"): "llama_index.core.llms, llama_index.core.embeddings",
}


@pytest.mark.parametrize(("framework", "name"), BASES)
def test_an_adapter_loads_no_more_of_others_than_its_base_class_does(framework, name):
    program = f"""
import sys
import {BASES[framework, name]}
before = set(sys.modules)
from xdm_integrations.{framework} import {name}
print(*(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    loaded = {name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    # Without requests, aiohttp, agents, tokenizers; these are files of a few lines.
    small = {"langchain_core.rate_limiters", "langchain_core.embeddings", "langchain_core.embeddings.embeddings"}
    others = {name for name in loaded if not name.startswith(("xdm_integrations", "orjson"))}
    assert others <= small
    assert not loaded & {f"xdm_integrations.transports.{name}" for name in ("blocking.transport", "aio.transport")}
