"""Parts of a message's content: text, images, audio, files.

Bytes travel as data URLs, the form that every channel takes: relays fetch other URLs themselves, and
some drop in silence what they can't fetch. Reading a local file is the client's (`client.attachments`).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from xdm_integrations.core.errors.tree import ConfigurationError

MAX_BYTES = 20_000_000
"""What an image, a recording or a file may have by default: 20 MB, the least of what providers take inline."""
_IMAGES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"BM": "image/bmp",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}
_SOUNDS = {b"ID3": "mp3", b"\xff\xfb": "mp3", b"\xff\xf3": "mp3", b"\xff\xf2": "mp3", b"fLaC": "flac", b"OggS": "ogg"}
_BRANDS = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"avif": "image/avif"}


def text_part(text: str) -> dict[str, Any]:
    """Return a part that is text."""
    return {"type": "text", "text": text}


def image_part(source: str | bytes, *, detail: str | None = None, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Return a part that is an image of at most `max_bytes`.

    `source` is its bytes, a data URL, or an http(s) URL (which the gateway or the provider fetches); `detail` is "low",
    "high" or "auto", for models that know it.

    Raises:
        ConfigurationError: It is too large, or no image.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = _bounded(bytes(source), "image", max_bytes)
        url = f"data:{image_type(data)};base64,{b64encode(data).decode('ascii')}"
    elif isinstance(source, str) and source.startswith("data:"):
        if not source.startswith("data:image/") or "," not in source:
            raise ConfigurationError("image: this data URL holds no image; it must begin with 'data:image/'.")
        if len(source) * 3 // 4 > max_bytes + 100:  # base64, and a little for the head
            raise _too_large("image", len(source) * 3 // 4, max_bytes)
        url = source
    elif isinstance(source, str) and source.startswith(("https://", "http://")):
        url = source
    else:
        raise ConfigurationError(
            f"image: expected bytes, a data URL or an http(s) URL, got {_shown(source)}. For a local file use "
            f"`xdm_integrations.client.attachments.image(path)`."
        )
    return {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}}


def audio_part(data: bytes, *, form: str | None = None, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Return a part that is a recording, in a format ("wav", "mp3", ...) that is found from its bytes by default.

    Raises:
        ConfigurationError: It is too large, or its format isn't known.
    """
    data = _bounded(data, "audio", max_bytes)
    known = "wav" if data[:4] == b"RIFF" and data[8:12] == b"WAVE" else "m4a" if data[4:8] == b"ftyp" else None
    form = form or known or next((name for start, name in _SOUNDS.items() if data.startswith(start)), None)
    if form is None:
        raise ConfigurationError("audio: its format can't be told from the bytes; pass form='wav', 'mp3', ...")
    return {"type": "input_audio", "input_audio": {"data": b64encode(data).decode("ascii"), "format": form}}


def file_part(
    data: bytes, name: str, *, media_type: str = "application/pdf", max_bytes: int = MAX_BYTES
) -> dict[str, Any]:
    """Return a part that is a file, with the name that the API demands; a `ConfigurationError` if it is too large."""
    data = _bounded(data, "file", max_bytes)
    url = f"data:{media_type};base64,{b64encode(data).decode('ascii')}"
    return {"type": "file", "file": {"filename": name, "file_data": url}}


def image_type(data: bytes) -> str:
    """Return the media type of an image; a `ConfigurationError` for other bytes."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp" and data[8:12] in _BRANDS:
        return _BRANDS[data[8:12]]
    for start, kind in _IMAGES.items():
        if data.startswith(start):
            return kind
    raise ConfigurationError("image: these bytes are no image (PNG, JPEG, GIF, WEBP, BMP, TIFF, HEIC, AVIF).")


def image_in(part: object) -> tuple[bytes, str] | str | None:
    """Return the image in a part of an answer: bytes and media type ("" for none), or a URL; None if unreadable."""
    inner = part.get("image_url") if isinstance(part, dict) else part
    url = inner.get("url") if isinstance(inner, dict) else inner
    if not isinstance(url, str) or not url:
        return None
    head, _, data = url.partition(",")
    if not head.startswith("data:"):
        return url
    if not head.endswith(";base64"):
        return None
    try:
        image = b64decode(data)  # which skips what is no base64, and may leave nothing
    except ValueError:
        return None
    return (image, head.removeprefix("data:").partition(";")[0]) if image else None


def _bounded(data: object, what: str, max_bytes: int) -> bytes:
    if not isinstance(data, bytes):
        raise ConfigurationError(f"{what}: expected bytes, got {_shown(data)}.")
    if not data:
        raise ConfigurationError(f"{what}: it is empty.")
    if len(data) > max_bytes:
        raise _too_large(what, len(data), max_bytes)
    return data


def _too_large(what: str, size: int, max_bytes: int) -> ConfigurationError:
    return ConfigurationError(
        f"{what}: {size:,} bytes; at most {max_bytes:,} (raise `max_bytes` if the model takes more)."
    )


def _shown(value: object) -> str:
    return repr(value[:60]) if isinstance(value, str) else type(value).__name__
