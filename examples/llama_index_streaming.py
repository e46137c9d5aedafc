"""Stream from LlamaIndex: text as it comes, and the token counts on the last piece."""

import asyncio

from served import served

from xdm_integrations.llama_index import XDM


async def main(llm: XDM) -> None:
    """Two streams at once in one event loop: the async methods are async all the way down."""

    async def count(prompt: str) -> int:
        return len([piece async for piece in await llm.astream_complete(prompt)])

    print("pieces:", await asyncio.gather(count("Count to ten:"), count("Count to ten:")))


with served():
    llm = XDM(temperature=0)
    for piece in llm.stream_complete("Once upon a time", max_tokens=15):
        print(piece.delta, end="|")
    print()
    print(piece.raw["usage"]["total_tokens"], "tokens")
    asyncio.run(main(llm))

# Output:
#  the|re| was| a| small| server| that| a|nsw|er|ed| e|very| q|uestion||
# 24 tokens
# pieces: [21, 21]
