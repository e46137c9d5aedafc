"""An agent that thinks, uses a tool and answers: ReAct needs nothing but text completions."""

from langchain_classic.agents import AgentExecutor, create_react_agent
from langchain_core.prompts import PromptTemplate
from langchain_core.tools import tool
from served import served

from xdm_integrations.langchain import XDMLLM

PROMPT = PromptTemplate.from_template(
    "Answer the question. You have these tools:\n{tools}\n\nUse this format:\nQuestion: the question\n"
    "Thought: what to do\nAction: one of [{tool_names}]\nAction Input: its input\nObservation: its result\n"
    "Thought: I know the answer\nFinal Answer: the answer\n\nQuestion: {input}\nThought:{agent_scratchpad}"
)
# The small local model can't reason, so without a key a stand-in plays its part:
ANSWERS = (" I must count.\nAction: count\nAction Input: strawberry, r", " I know.\nFinal Answer: three")


@tool
def count(text: str) -> str:
    """Count a letter in a word. The input is `word, letter`."""
    word, letter = text.split(", ")
    print(f"count({word!r}, {letter!r})")
    return str(word.count(letter.strip()))


with served(ANSWERS):
    agent = create_react_agent(XDMLLM(temperature=0, stop=["\nObservation"]), [count], PROMPT)
    print(AgentExecutor(agent=agent, tools=[count]).invoke({"input": "How many r are in strawberry?"})["output"])

# Output:
# count('strawberry', 'r')
# three
