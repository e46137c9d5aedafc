"""Caching: the same question is asked once, and parameters given per call are part of the question."""

from langchain_core.caches import InMemoryCache
from served import served

from xdm_integrations.langchain import XDMLLM, ChatXDM

with served():
    chat = ChatXDM(temperature=0, cache=InMemoryCache())
    for max_tokens in (20, 20, 3):
        print(repr(chat.invoke("Count to ten", max_tokens=max_tokens).text))
    # The third is no replay of the first: most integrations leave parameters of a call out of the cache's key.

    llm = XDMLLM(temperature=0, cache=InMemoryCache())
    for max_tokens in (20, 20, 3):
        print(repr(llm.invoke("Count to ten:", max_tokens=max_tokens)))

# Output:
# '1, 2, 3, 4, 5, 6, 7, 8, 9, 10'
# '1, 2, 3, 4, 5, 6, 7, 8, 9, 10'
# '1, 2'
# ' 1, 2, 3, 4, 5, 6, 7, 8, 9, 10'
# ' 1, 2, 3, 4, 5, 6, 7, 8, 9, 10'
# ' 1, 2'
