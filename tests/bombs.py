"""Bodies that are small on the wire and large once they are unpacked."""

from __future__ import annotations

import struct
import zlib


def bomb(block: bytes, count: int) -> bytes:
    """Return `count` times `block` as gzip, which is packed once: after a full flush nothing refers to what was before.

    Packing the same megabyte a hundred times would take longer than most tests.
    """
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(count):
        check = zlib.crc32(block, check)
    head = b"\x1f\x8b\x08" + bytes(7)  # gzip (RFC 1952), deflate, no name and no time
    return head + packed * count + packer.flush() + struct.pack("<II", check, len(block) * count % 2**32)
