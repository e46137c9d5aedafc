"""The first call loads aiohttp. The loop goes on meanwhile."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio, sys
from xdm_integrations import APIConnectionError, AsyncClient

async def main():
    assert "aiohttp" not in sys.modules
    beats = 0

    async def beat():
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            module = sys.modules.get("xdm_integrations.transports.aio.transport")
            beats += module is not None and not hasattr(module, "AiohttpTransport")  # being loaded

    heart = asyncio.create_task(beat())
    async with AsyncClient(base_url="http://127.0.0.1:9/v1", max_retries=0) as client:
        try:
            await client.complete("x")
        except APIConnectionError:
            pass
    heart.cancel()
    assert "aiohttp" in sys.modules
    print(beats)

asyncio.run(main())
"""


def test_loading_aiohttp_does_not_stop_the_loop():
    ran = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 0
