"""A graph of LangGraph's with a memory: the second question knows the first one's answer."""

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from served import served

from xdm_integrations.langchain import ChatXDM

with served():
    llm = ChatXDM(temperature=0)
    graph = StateGraph(MessagesState)
    graph.add_node("answer", lambda state: {"messages": [llm.invoke(state["messages"])]})
    graph.add_edge(START, "answer")
    chat = graph.compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    for question in ("My name is Ada.", "What is my name?"):
        print(chat.invoke({"messages": [("user", question)]}, config)["messages"][-1].text)

# Output:
# Nice to meet you, Ada.
# Your name is Ada.
