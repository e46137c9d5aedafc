"""Images of an answer of `xdm chat`: files in the working folder."""

from __future__ import annotations

from itertools import count
from mimetypes import guess_extension
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xdm_integrations import ConfigurationError
from xdm_integrations.core.chat.parts import image_in, image_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME = "xdm-chat"


def saved(images: Iterable[Any]) -> Iterator[str]:
    """Save each image as `xdm-chat-1.png`, or with the next number that is free, and yield what to tell of it.

    One that the server has kept for itself is named by its address; nothing is fetched.
    """
    for image in images:
        found = image_in(image)
        if isinstance(found, str):
            yield f"The answer has an image: {found}"
        elif found is None:
            yield "The answer has an image that can't be read; --once with --json writes it as it came."
        else:
            try:
                yield f"Image saved: {_save(*found)}"
            except OSError as error:
                yield f"The image of the answer can't be saved: {error}"


def _save(data: bytes, kind: str) -> Path:
    """Write a file that isn't there yet, named for what its bytes are rather than for what the server says."""
    try:
        ending = "." + image_type(data).rpartition("/")[2]
    except ConfigurationError:
        ending = guess_extension(kind, strict=False) or ".bin"
    for number in count(1):
        path = Path(f"{NAME}-{number}{ending}")
        try:
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            continue
        break
    return path
