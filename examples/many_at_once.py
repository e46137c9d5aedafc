"""Ask many prompts concurrently: packed into few requests, each with its own outcome, in order."""

import asyncio

from served import served

from xdm_integrations import AsyncClient, Completion

COUNTRIES = ["France", "Japan", "Italy", "Spain", "China", "Germany"] * 20


async def main() -> None:
    """Ask 120 prompts in requests of 20, of which 4 are in flight."""
    prompts = [f"The capital of {country} is" for country in COUNTRIES]
    async with AsyncClient() as client:
        batch = await client.complete_batch(prompts, batch_size=20, max_concurrency=4, temperature=0)
        print(len(batch.outcomes), "outcomes,", len(batch.errors), "errors")
        for country, outcome in list(zip(COUNTRIES, batch.outcomes, strict=True))[:3]:
            print(country, outcome.text if isinstance(outcome, Completion) else f"failed: {outcome}")

        answers = await asyncio.gather(*(client.complete(prompt, temperature=0) for prompt in prompts[:50]))
        print(len(answers), "answers, the last of them", answers[-1].text)


with served():
    asyncio.run(main())

# Output:
# 120 outcomes, 0 errors
# France  Paris.
# Japan  Tokyo.
# Italy  Rome.
# 50 answers, the last of them  Tokyo.
