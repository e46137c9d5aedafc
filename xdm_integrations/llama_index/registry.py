"""Making our classes known to `load_llm`, by which LlamaIndex loads a stored model from its class name.

`llama_index.core.llms.loading` imports every LLM package that is installed, among them OpenAI's, which takes longer
than all the rest. So it is left alone until somebody imports it.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

REGISTRY = "llama_index.core.llms.loading"


def register(*classes: Any) -> None:  # noqa: ANN401 - LLM classes
    """Enter classes into LlamaIndex's registry: now if it is loaded, else as soon as it is."""
    entries = {cls.class_name(): cls for cls in classes}
    loaded = sys.modules.get(REGISTRY)
    if loaded is not None:
        loaded.RECOGNIZED_LLMS.update(entries)
    else:
        sys.meta_path.insert(0, _OnLoad(entries))


class _OnLoad(MetaPathFinder):
    """Finds the registry as everybody else does, and enters classes after it has been loaded."""

    def __init__(self, entries: dict[str, Any]) -> None:
        self._entries = entries

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the protocol's signature
        target: ModuleType | None = None,  # noqa: ARG002 - the protocol's signature
    ) -> ModuleSpec | None:
        if fullname != REGISTRY:
            return None
        sys.meta_path.remove(self)  # once, and not in the search that follows
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_enter(module: ModuleType) -> None:
                load(module)
                module.RECOGNIZED_LLMS.update(self._entries)

            spec.loader.exec_module = load_and_enter  # type: ignore[method-assign] # of this one loader
        return spec
