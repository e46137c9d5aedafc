"""Show the model a picture: a file, or bytes as here, since gateways fetch URLs themselves and may fail."""

import struct
import zlib

from served import served

from xdm_integrations import Client
from xdm_integrations.client import attachments


def red_square(side: int) -> bytes:
    """Return a small PNG."""
    rows = zlib.compress((b"\0" + b"\xff\0\0" * side) * side)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    framed = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


picture = attachments.image(red_square(8), detail="low")  # or a path, or a URL
message = {"role": "user", "content": ["What colour is this?", picture]}
ANSWERS = [{"role": "assistant", "content": "Red."}]  # the local models can't see: without a key, a stand-in answers

with served(ANSWERS), Client(model="gpt-4o-mini") as client:
    print(client.chat([message]).text)

# Output:
# Red.
