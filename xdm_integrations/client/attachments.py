"""Local files as parts of a chat message: read and encoded when you ask, and bounded.

>>> from xdm_integrations.client import attachments
>>> part = attachments.image("cat.png")                                        # doctest: +SKIP
>>> client.chat([{"role": "user", "content": ["What is this?", part]}])        # doctest: +SKIP
"""

from __future__ import annotations

from contextlib import contextmanager
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xdm_integrations.core.chat.parts import MAX_BYTES, audio_part, file_part, image_part
from xdm_integrations.core.errors.tree import ConfigurationError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["audio", "file", "image"]


def image(
    source: str | bytes | os.PathLike[str], *, detail: str | None = None, max_bytes: int = MAX_BYTES
) -> dict[str, Any]:
    """Return an image as a part of a message.

    Args:
        source: A path, an http(s) or data URL, or the image's bytes.
        detail: "low", "high" or "auto", for models that know it.
        max_bytes: How large it may be; 20 MB by default.

    Raises:
        ConfigurationError: There is no such file, it is too large, or no image.
    """
    if isinstance(source, bytes) or (isinstance(source, str) and source.startswith(("data:", "https://", "http://"))):
        return image_part(source, detail=detail, max_bytes=max_bytes)
    with _bytes_of(source, "image", max_bytes) as data:
        return image_part(data, detail=detail, max_bytes=max_bytes)


def audio(
    source: str | bytes | os.PathLike[str], *, form: str | None = None, max_bytes: int = MAX_BYTES
) -> dict[str, Any]:
    """Return a recording as a part of a message.

    Args:
        source: A path, or the recording's bytes.
        form: Its format ("wav", "mp3", ...); by default found from the bytes.
        max_bytes: How large it may be; 20 MB by default.

    Raises:
        ConfigurationError: There is no such file, it is too large, or of an unknown format.
    """
    if isinstance(source, bytes):
        return audio_part(source, form=form, max_bytes=max_bytes)
    with _bytes_of(source, "audio", max_bytes) as data:
        return audio_part(data, form=form, max_bytes=max_bytes)


def file(path: str | os.PathLike[str], *, name: str | None = None, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Return a file (a PDF, mostly) as a part of a message.

    Args:
        path: Where it is.
        name: The name that the model sees; by default the file's own.
        max_bytes: How large it may be; 20 MB by default.

    Raises:
        ConfigurationError: There is no such file, or it is too large.
    """
    with _bytes_of(path, "file", max_bytes) as data:
        media_type = guess_type(Path(path).name)[0] or "application/octet-stream"
        return file_part(data, name or Path(path).name, media_type=media_type, max_bytes=max_bytes)


@contextmanager
def _bytes_of(path: str | os.PathLike[str], what: str, max_bytes: int) -> Iterator[bytes]:
    """Read a file, no more than one byte too many of it; an error within says of which file it is."""
    shown = repr(str(path)[:200])
    try:
        with Path(path).open("rb") as opened:
            data = opened.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigurationError(f"{what}: {shown} can't be read ({reason}).") from None
    if len(data) > max_bytes:
        raise ConfigurationError(f"{what}: {shown} has more than {max_bytes:,} bytes (see `max_bytes`).")
    try:
        yield data
    except ConfigurationError as error:
        raise ConfigurationError(f"{shown}: {error.message}") from None
