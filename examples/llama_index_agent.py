"""An agent in LlamaIndex: `ReActAgent` needs nothing but text completions."""

import asyncio

from llama_index.core.agent.workflow import ReActAgent
from served import served

from xdm_integrations.llama_index import XDM

# The small local model can't reason, so without a key a stand-in plays its part:
ANSWERS = (
    'Thought: I need a tool.\nAction: add\nAction Input: {"a": 2, "b": 3}',
    "Thought: I can answer without using any more tools.\nAnswer: The sum is 5",
)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    print(f"add({a}, {b})")
    return a + b


async def main() -> None:
    """Run the agent; `stop` keeps the model from inventing the tool's result."""
    agent = ReActAgent(tools=[add], llm=XDM(temperature=0, context_window=16_000, stop=["\nObservation:"]))
    print(await agent.run("What is two plus three?"))


with served(ANSWERS):
    asyncio.run(main())

# Output:
# add(2, 3)
# The sum is 5
