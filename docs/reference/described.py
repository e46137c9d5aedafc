"""For the pages: describe parameters where their types and fields stand, from the tables that check them."""

# ruff: noqa: INP001 - a file for mkdocs, not a package

from __future__ import annotations

from griffe import Class, Docstring, Extension

from xdm_integrations.core.chat.parameters import PARAMETERS as CHAT
from xdm_integrations.core.completions.parameters import PARAMETERS as COMPLETIONS
from xdm_integrations.core.embeddings.parameters import PARAMETERS as EMBEDDINGS

TABLES = {
    **dict.fromkeys(("SamplingParams", "TurnParams", "ChatParams", "ChatSettings", "ChatFields"), CHAT),
    **dict.fromkeys(("SharedParams", "ParamsBesideStop", "ParamsBesideSuffix", "CompletionParams"), COMPLETIONS),
    **dict.fromkeys(("CompletionSettings", "CompletionFields"), COMPLETIONS),
    **dict.fromkeys(("EmbeddingParams", "XDMEmbeddings", "XDMEmbedding"), EMBEDDINGS),
}


class Described(Extension):
    """Gives each field of these classes, where it has none of its own, what an error or a framework shows of it."""

    def on_class_members(self, *, cls: Class, **_: object) -> None:
        """Describe the fields of one class."""
        table = TABLES.get(cls.name, {})
        for name, field in cls.members.items():
            if field.docstring is None and name in table:
                field.docstring = Docstring(table[name].doc, parent=field)
