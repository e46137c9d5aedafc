"""An agent of LangChain that calls tools, streamed step by step."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from served import served

from xdm_integrations.langchain import ChatXDM


@tool
def get_weather(city: str) -> str:  # noqa: ARG001 - the answer is made up
    """The weather in a city."""
    return "18 degrees and sunny"


with served():
    agent = create_agent(ChatXDM(temperature=0), [get_weather])
    question = {"messages": [("user", "What is the weather in Paris?")]}
    for step in agent.stream(question, stream_mode="updates"):
        for node, state in step.items():
            message = state["messages"][-1]
            print(node, [(call["name"], call["args"]) for call in getattr(message, "tool_calls", [])], message.text)

# Output:
# model [('get_weather', {'city': 'Paris'})]
# tools [] 18 degrees and sunny
# model [] The result is 18 degrees and sunny.
