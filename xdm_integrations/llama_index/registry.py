"""Making `XDM` known to LlamaIndex's `load_llm`, without loading what that loads.

`llama_index.core.llms.loading` imports every LLM package that is installed, among them OpenAI's,
which takes longer than all the rest. So it is left alone until somebody imports it.
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


def register(cls: Any) -> None:  # noqa: ANN401 - an LLM class
    """Enter `cls` into LlamaIndex's registry: now if it is loaded, else as soon as it is."""
    loaded = sys.modules.get(REGISTRY)
    if loaded is not None:
        loaded.RECOGNIZED_LLMS[cls.class_name()] = cls
    else:
        sys.meta_path.insert(0, _OnLoad(cls))


class _OnLoad(MetaPathFinder):
    """Finds the registry as everybody else does, and enters a class after it has been loaded."""

    def __init__(self, cls: Any) -> None:  # noqa: ANN401 - an LLM class
        self._cls = cls

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
                module.RECOGNIZED_LLMS[self._cls.class_name()] = self._cls

            spec.loader.exec_module = load_and_enter  # type: ignore[method-assign] # of this one loader
        return spec
