"""Making our classes known to `load_llm` and `load_embed_model`, which load a stored model from its class name.

LlamaIndex's registries import every package of models that is installed, which takes longer than all the rest: they
are left alone until somebody imports them.
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


def register(module: str, table: str, *classes: Any) -> None:
    """Enter classes into a table of a module of LlamaIndex's: now if it is loaded, else as soon as it is."""
    entries = {cls.class_name(): cls for cls in classes}
    loaded = sys.modules.get(module)
    if loaded is not None:
        getattr(loaded, table).update(entries)
    else:
        sys.meta_path.insert(0, _OnLoad(module, table, entries))


class _OnLoad(MetaPathFinder):
    """Finds the module as everybody else does, and enters classes after it has been loaded."""

    def __init__(self, module: str, table: str, entries: dict[str, Any]) -> None:
        self._module, self._table, self._entries = module, table, entries

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the protocol's signature
        target: ModuleType | None = None,  # noqa: ARG002 - the protocol's signature
    ) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        sys.meta_path.remove(self)  # once, and not in the search that follows
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_enter(module: ModuleType) -> None:
                load(module)
                getattr(module, self._table).update(self._entries)

            spec.loader.exec_module = load_and_enter  # type: ignore[method-assign] # of this one loader
        return spec
