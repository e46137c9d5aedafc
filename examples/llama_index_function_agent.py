"""Two agents of LlamaIndex over one chat model: `FunctionAgent`, and a workflow with a stream of events."""

import asyncio

from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, FunctionAgent
from served import served

from xdm_integrations.llama_index import XDMChat


def get_weather(city: str) -> str:
    """The weather in a city."""
    print(f"get_weather({city!r})")
    return "18 degrees and sunny"


async def main() -> None:
    """Ask both."""
    llm = XDMChat(temperature=0)
    print(await FunctionAgent(tools=[get_weather], llm=llm).run("What is the weather in Paris?"))

    handler = AgentWorkflow.from_tools_or_functions([get_weather], llm=llm).run("What is the weather in Oslo?")
    async for event in handler.stream_events():
        if isinstance(event, AgentStream):
            print(event.delta, end="")
    print()
    await handler


with served():
    asyncio.run(main())

# Output:
# get_weather('Paris')
# The result is 18 degrees and sunny.
# get_weather('Oslo')
# The result is 18 degrees and sunny.
