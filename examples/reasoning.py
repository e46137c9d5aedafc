"""Read a reasoning model's thoughts apart from its answer, and send them back where the provider demands it."""

from served import served

from xdm_integrations import Client

# The local models don't reason: without a key, a stand-in answers as DeepSeek does.
CALL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
ANSWERS = [
    {"role": "assistant", "content": "", "reasoning_content": "I need a clock.", "tool_calls": [CALL]},
    {"role": "assistant", "content": "It is noon.", "reasoning_content": "12:00 is noon."},
]


def now() -> str:
    """Return the time."""
    return "12:00"


with served(ANSWERS), Client(model="deepseek-reasoner") as client:
    run = client.run_tools("What time is it?", [now])
    print("thought:", run.completion.reasoning)
    print("answer:", run.text)
    print("sent back:", run.messages[1]["reasoning_content"])  # beside the call, under the name it came in

# Output:
# thought: 12:00 is noon.
# answer: It is noon.
# sent back: I need a clock.
