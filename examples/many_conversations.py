"""Ask many conversations at once: each has its own outcome, in order."""

import asyncio

from served import served

from xdm_integrations import AsyncClient, XDMError

COUNTRIES = ["France", "Japan", "Italy", "Spain", "China", "Germany"] * 5


async def main() -> None:
    """Ask 30 conversations, 4 at a time."""
    questions = [f"What is the capital of {country}?" for country in COUNTRIES]
    async with AsyncClient() as client:
        batch = await client.chat_batch(questions, max_concurrency=4, temperature=0)
    print(len(batch.outcomes), "outcomes,", len(batch.errors), "errors")
    for outcome in batch.outcomes[:3]:
        print("failed:" if isinstance(outcome, XDMError) else outcome.text)


with served():
    asyncio.run(main())

# Output:
# 30 outcomes, 0 errors
# The capital of France is Paris.
# The capital of Japan is Tokyo.
# The capital of Italy is Rome.
