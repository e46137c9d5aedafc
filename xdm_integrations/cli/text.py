"""Text of files and pipes: decoded strictly, alike in every locale, or refused before anything is sent."""

from __future__ import annotations

import codecs

import click

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _known(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    try:
        "".encode(name or "utf-8")
    except LookupError:
        raise click.BadParameter(f"{name} is no encoding of text that is known here.") from None
    return name


encoding_option = click.option(
    "--encoding", metavar="NAME", callback=_known, help="Of the input, such as gb18030 or utf-16. Default: UTF-8."
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


def check_text(text: str, where: str) -> None:
    """Refuse an argument whose bytes weren't text of the terminal's encoding.

    Raises:
        click.UsageError: It holds such bytes, which Python keeps as halves of surrogates.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise click.UsageError(f"{where}: not UTF-8.") from None
