"""Objects out of texts: the JSON schema of a Pydantic class below the prompt, and its instance out of the answer."""

from __future__ import annotations

import copy
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Generic

from llama_index.core.bridge.pydantic import ValidationError
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.prompts import SelectorPromptTemplate
from llama_index.core.types import Model

from xdm_integrations.core import jsontext
from xdm_integrations.core.protocol.json_answers import objects_for

from .predictions import ObjectSoFar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping

    from llama_index.core.prompts import BasePromptTemplate


class _SchemaWriter(PydanticOutputParser[Any]):
    """Writes the schema below a prompt, with single braces."""

    def format(self, query: str) -> str:
        return f"{query}\n\n{self.get_format_string(escape_json=False)}"


class TextObjectCall(Generic[Model]):
    """One call for an object.

    Its prompt has what `llm.predict` gives it too: `completion_to_prompt` or `messages_to_prompt`, and the system
    prompt.
    """

    def __init__(
        self,
        llm: Any,  # noqa: ANN401 - `XDM`, of a layer above
        output_cls: type[Model],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None,
        prompt_args: Mapping[str, Any],
    ) -> None:
        while isinstance(prompt, SelectorPromptTemplate):
            prompt = prompt.select(llm)
        template = copy.copy(prompt)
        template.output_parser = _SchemaWriter(output_cls)
        templates = {name: getattr(llm, name) for name in ("messages_to_prompt", "completion_to_prompt")}
        text = template.format(llm=llm, **templates, **prompt_args)
        self._llm = llm
        self._output_cls = output_cls
        self._asked = {**(llm_kwargs or {}), "prompt": llm._extend_prompt(text), "formatted": True}  # noqa: SLF001 - the base class's way to add the system prompt

    def run(self) -> Model:
        """Return the object."""
        return self._read(self._llm.complete(**self._asked).text)

    async def arun(self) -> Model:
        """See `run`."""
        return self._read((await self._llm.acomplete(**self._asked)).text)

    def stream(self) -> Generator[Any, None, None]:
        """Yield the object as it grows, and at last the valid one."""
        so_far, text = ObjectSoFar(self._output_cls), ""
        with closing(self._llm.stream_complete(**self._asked)) as responses:
            for response in responses:
                text = response.text
                yield from so_far.feed(text)
        yield self._read(text)

    async def astream(self) -> AsyncGenerator[Any, None]:
        """See `stream`."""
        so_far, text = ObjectSoFar(self._output_cls), ""
        async with aclosing(await self._llm.astream_complete(**self._asked)) as responses:
            async for response in responses:
                text = response.text
                for grown in so_far.feed(text):
                    yield grown
        yield self._read(text)

    def _read(self, text: str) -> Model:
        """Return the last complete object of the text that the class takes: models write drafts and prose around it."""
        error = ValueError(f"The answer holds no JSON object that fits {self._output_cls.__name__}: {text[:200]!r}")
        for value in objects_for(text, self._output_cls.model_json_schema()):
            try:
                return self._output_cls.model_validate_json(jsontext.dumps(value))
            except ValidationError as refused:
                error = refused
        raise error
