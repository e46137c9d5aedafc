"""From LangChain's content blocks, of whatever version or provider, to the API's parts. Pure."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any

from xdm_integrations.core.chat.parts import text_part
from xdm_integrations.core.errors.tree import ConfigurationError

_NOT_CONTENT = {
    "tool_use",
    "tool_call",
    "tool_call_chunk",
    "invalid_tool_call",
    "function_call",
    "input_json_delta",
    "server_tool_call",
    "server_tool_call_chunk",
    "server_tool_result",
    "thinking",
    "redacted_thinking",
    "reasoning",
    "reasoning_content",
    "compaction",
}
"""Types of blocks that providers put into answers beside the text. Calls and reasoning have places of their own."""
_SOUNDS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-m4a": "m4a", "mp4": "m4a"}
_OF_TEXT = ("text", "cache_control")


def text_of(block: Any) -> str:  # noqa: ANN401 - a block of any kind
    """Return the text of a block; "" if it is none."""
    if isinstance(block, str):
        return block
    if isinstance(block, Mapping) and block.get("type") in ("text", "output_text", "text-plain"):
        text = block.get("text")
        return text if isinstance(text, str) else ""
    return ""


def part_of(block: Any, where: str) -> dict[str, Any] | None:  # noqa: ANN401 - a block of any kind
    """Return a block as a part of a message's content; None for one that isn't content.

    Raises:
        ConfigurationError: Chat has no form for it; the error begins with `where`.
    """
    if isinstance(block, str):
        block = text_part(block)
    if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
        raise ConfigurationError(f"{where}: expected a text or a block with a type, got {type(block).__name__}.")
    kind = block["type"]
    if kind == "non_standard" and isinstance(block.get("value"), Mapping):
        return part_of(block["value"], where)
    if kind in _NOT_CONTENT:
        return None
    if kind == "text":
        return {"type": "text", **{name: block[name] for name in _OF_TEXT if block.get(name) is not None}}
    if kind == "text-plain" or block.get("source_type") == "text":
        return text_part(block["text"]) if isinstance(block.get("text"), str) else _file(block, where)
    make = _MAKERS.get(kind)
    if make is None:
        return {name: value for name, value in block.items() if name not in ("id", "index")}  # a provider's own kind
    return make(block, where)


def _image(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    if block["type"] == "image_url":
        image = block.get("image_url")
        image = {"url": image} if isinstance(image, str) else dict(image) if isinstance(image, Mapping) else {}
        if not isinstance(image.get("url"), str):
            raise ConfigurationError(f"{where}: this image has no URL.")
    else:
        image = {"url": _url(block, where, "image/png")}
    image["detail"] = image.get("detail") or _more(block, "detail")
    return {"type": "image_url", "image_url": {name: value for name, value in image.items() if value is not None}}


def _video(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": _url(block, where, "video/mp4")}}


def _audio(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    if isinstance(block.get("input_audio"), Mapping):
        return {"type": "input_audio", "input_audio": dict(block["input_audio"])}
    data, media_type = _bytes(block)
    if data is None:
        raise ConfigurationError(f"{where}: audio goes as base64; there is no form for a URL or a file's id.")
    form = (media_type or "audio/wav").rpartition("/")[2]
    return {"type": "input_audio", "input_audio": {"data": data, "format": _SOUNDS.get(form, form)}}


def _file(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    if isinstance(block.get("file"), Mapping):
        file = dict(block["file"])
        if "file_data" in file and not file.get("filename"):
            file["filename"] = _file_name(str(file["file_data"]).partition(";")[0].removeprefix("data:"))
        return {"type": "file", "file": file}
    source = block.get("source")
    source = source if isinstance(source, Mapping) else {}
    if source.get("type") == "text":  # Anthropic's
        return text_part(str(source.get("data") or ""))
    file_id = block.get("file_id") or source.get("file_id")
    if block.get("source_type") == "id":
        file_id = block.get("id")
    if file_id:
        return {"type": "file", "file": {"file_id": file_id}}
    data, media_type = _bytes(block)
    if data is None:
        kind = block["type"]
        raise ConfigurationError(
            f"{where}: this {kind} has neither base64 nor a file's id; chat has no form for a URL."
        )
    media_type = media_type or "application/pdf"
    name = block.get("filename") or _more(block, "filename") or _more(block, "name") or block.get("title")
    file = {"filename": name or _file_name(media_type), "file_data": f"data:{media_type};base64,{data}"}
    return {"type": "file", "file": file}


def _url(block: Mapping[str, Any], where: str, media_type: str) -> str:
    data, given = _bytes(block)
    if data is not None:
        return f"data:{given or media_type};base64,{data}"
    source = block.get("source")
    url = block.get("url") or (source.get("url") if isinstance(source, Mapping) else None)
    if not isinstance(url, str):
        raise ConfigurationError(f"{where}: this {block['type']} has neither base64 nor a URL; chat has no other form.")
    return url


def _bytes(block: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return base64 and media type, of LangChain's blocks (both versions) or Anthropic's."""
    source = block.get("source")
    if isinstance(source, Mapping):
        data, media_type = source.get("data") if source.get("type") == "base64" else None, source.get("media_type")
    else:
        data = block.get("base64") or (block.get("data") if block.get("source_type") == "base64" else None)
        media_type = block.get("mime_type")
    return data.decode("ascii", "replace") if isinstance(data, bytes) else data, media_type


def _more(block: Any, name: str) -> Any:  # noqa: ANN401 - of any type
    """Return what a block holds under `name`, in itself, in its extras or its metadata, or in the metadata of those."""
    if not isinstance(block, Mapping):
        return None
    return block.get(name) or _more(block.get("extras"), name) or _more(block.get("metadata"), name)


def _file_name(media_type: str) -> str:
    """Return a name for a file that has none: the API demands one."""
    return "document" + (mimetypes.guess_extension(media_type) or ".pdf")


_MAKERS = {
    "image_url": _image,
    "image": _image,
    "video": _video,
    "input_audio": _audio,
    "audio": _audio,
    "file": _file,
    "document": _file,
}
