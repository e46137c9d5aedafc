"""LlamaIndex's blocks as the parts of a content that the API takes. The blocks are left alone."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)

from xdm_integrations.core.chat.parts import audio_part, file_part, image_part, image_type, text_part
from xdm_integrations.core.errors.tree import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_TITLE = "input_document"
"""What LlamaIndex calls a document that has no title."""


def content_of(blocks: Sequence[Any]) -> str | list[dict[str, Any]]:
    """Return the content of a message; the client makes one string of parts that are nothing but text."""
    if len(blocks) == 1 and isinstance(blocks[0], TextBlock):
        return blocks[0].text
    return [part for block in blocks for part in _parts(block)]


def _parts(block: Any) -> list[dict[str, Any]]:  # noqa: ANN401, PLR0911 - one of LlamaIndex's ten blocks
    if isinstance(block, TextBlock):
        return [text_part(block.text)]
    if isinstance(block, ImageBlock):
        return [_image(block)]
    if isinstance(block, AudioBlock):
        _refuse_url(block, "audio")
        return [audio_part(_bytes(block.resolve_audio()), form=block.format)]
    if isinstance(block, DocumentBlock):
        return [_document(block)]
    if isinstance(block, VideoBlock):
        return [_video(block)]
    if isinstance(block, CitableBlock):
        return [part for inner in block.content for part in _parts(inner)]
    if isinstance(block, CitationBlock):
        return _parts(block.cited_content)
    if isinstance(block, (CachePoint, ThinkingBlock, ToolCallBlock)):
        return []  # the last two have places of their own
    raise ConfigurationError(f"blocks: {type(block).__name__} can't be sent.")


def _image(block: ImageBlock) -> dict[str, Any]:
    if block.url and not block.image:
        return image_part(_address(block, "image"), detail=block.detail)
    data, kind = _bytes(block.resolve_image()), block.image_mimetype
    if block.path and not block.image and kind == ImageBlock(url=f"file:///a{block.path.suffix}").image_mimetype:
        with suppress(ConfigurationError):  # LlamaIndex guesses by the suffix, which may lie; Claude refuses those
            kind = image_type(data)
    return image_part(_data_url(data, kind) if kind else data, detail=block.detail)


def _document(block: DocumentBlock) -> dict[str, Any]:
    if not block.data:
        _refuse_url(block, "document")
    path = str(block.path or "")
    title = block.title or _NO_TITLE
    name = Path(path).name if path and title == _NO_TITLE else title
    data = _bytes(block.resolve_document())
    kind = block.document_mimetype or guess_type(path or title)[0] or _type_in(block.url or "") or _text_or_pdf(data)
    return file_part(data, name, media_type=kind)


def _type_in(url: str) -> str:
    return url.partition(",")[0].partition(";")[0].removeprefix("data:") if url.startswith("data:") else ""


def _text_or_pdf(data: bytes) -> str:
    with suppress(UnicodeDecodeError):
        if not data.startswith(b"%PDF") and "\0" not in data.decode():
            return "text/plain"
    return "application/pdf"


def _video(block: VideoBlock) -> dict[str, Any]:
    """Return a part as Qwen, GLM and Kimi take it; OpenAI has none."""
    if block.url and not block.video:
        url = _address(block, "video")
    else:
        url = _data_url(_bytes(block.resolve_video()), block.video_mimetype or "video/mp4")
    return {"type": "video_url", "video_url": {"url": url}}


def _address(block: ImageBlock | VideoBlock, what: str) -> str:
    url = str(block.url)
    if url.startswith("file:"):
        raise ConfigurationError(f"{what}: the API can't read {url!r}; pass the block a path, which is read here.")
    return url


def _refuse_url(block: AudioBlock | DocumentBlock, what: str) -> None:
    if block.url and not str(block.url).startswith("data:"):
        raise ConfigurationError(f"{what}: the API takes no address of one; load it, and pass its bytes or its path.")


def _data_url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"


def _bytes(buffer: Any) -> bytes:  # noqa: ANN401 - any open file
    data: bytes = buffer.read()
    return data
