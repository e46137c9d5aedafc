"""Fill in the middle: what belongs between a beginning and an end, for models that can (`suffix`)."""

from served import served

from xdm_integrations.llama_index import XDM

with served():
    llm = XDM(temperature=0, max_tokens=40)
    beginning, end = "def add(a, b):", "\n\nprint(add(1, 2))"
    middle = llm.fill_in_middle(beginning, end)
    print(beginning + middle.text + end)

# Output:
# def add(a, b):
#     return a + b
#
# print(add(1, 2))
