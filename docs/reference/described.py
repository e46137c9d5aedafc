"""For the pages: describe the parameters of chat where their types stand, from the table that checks them."""

# ruff: noqa: INP001 - a file for mkdocs, not a package

from __future__ import annotations

from griffe import Class, Docstring, Extension

from xdm_integrations.core.chat.parameters import PARAMETERS


class Described(Extension):
    """Gives each field of these classes, where it has none of its own, what an error or a framework shows of it."""

    def on_class_members(self, *, cls: Class, **_: object) -> None:
        """Describe the fields of one class."""
        if cls.name in {"TurnParams", "ChatParams", "ChatSettings", "ChatFields"}:
            for name, field in cls.members.items():
                if field.docstring is None and name in PARAMETERS:
                    field.docstring = Docstring(PARAMETERS[name].doc, parent=field)
