"""Text of files and pipes: decoded strictly, alike in every locale, or refused before anything is sent."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from typing import BinaryIO

AUTO = "auto"
"""The encoding that stands for "find it out"."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLOCK = 1 << 20


def _known(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    try:
        "".encode("utf-8" if name in (None, AUTO) else name)
    except LookupError:
        raise click.BadParameter(f"{name} is no encoding of text that is known here.") from None
    return name


encoding_option = click.option(
    "--encoding",
    metavar="NAME",
    callback=_known,
    help="Of the input, such as gb18030 or utf-16; auto finds it out, as for CSV and TSV. Default: UTF-8.",
)


def decode(data: bytes, encoding: str | None, where: str) -> str:
    """Decode the input, without a byte order mark.

    The locale is not asked: in the locales of containers (C, POSIX) Python lets any byte through.

    Args:
        data: All bytes of the input.
        encoding: What `--encoding` says; None is UTF-8.
        where: What the error calls the input.

    Raises:
        click.UsageError: The bytes aren't text of the encoding.
    """
    if encoding == AUTO:
        encoding = found_encoding(io.BytesIO(data))
    try:
        return data.decode(encoding or "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        if encoding is not None:
            raise click.UsageError(f"{where}, line {line}: not {encoding}.") from None
    told = "utf-16" if data.startswith(_UTF16) else "gb18030"
    raise click.UsageError(
        f"{where}, line {line}: not UTF-8; save it with this encoding, or name its own, such as --encoding {told}."
    )


def found_encoding(file: BinaryIO) -> str | None:
    """Return the encoding that all bytes of a file are text of: UTF-16 with its mark, UTF-8 or GB18030.

    None if they are text of none of them. GB18030 is what Excel writes in China, and holds GBK and GB2312.
    """
    file.seek(0)
    names = ["utf-16"] if file.read(2) in _UTF16 else ["utf-8", "gb18030"]
    return next((name for name in names if fits(file, name)), None)


def fits(file: BinaryIO, encoding: str) -> bool:
    """Whether all bytes of a file are text of an encoding; it is read in blocks."""
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    try:
        while block := file.read(_BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def check_text(text: str, where: str) -> None:
    """Refuse an argument whose bytes weren't text of the terminal's encoding.

    Raises:
        click.UsageError: It holds such bytes, which Python keeps as halves of surrogates.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise click.UsageError(f"{where}: not UTF-8.") from None
