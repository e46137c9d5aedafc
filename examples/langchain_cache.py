"""Caching: the same question is asked once, and parameters given per call are part of the question."""

from langchain_core.caches import InMemoryCache
from served import served

from xdm_integrations.langchain import XDMLLM

with served():
    llm = XDMLLM(temperature=0, cache=InMemoryCache())
    for max_tokens in (20, 20, 3):
        print(repr(llm.invoke("Count to ten:", max_tokens=max_tokens)))
    # The third is no replay of the first: most integrations leave `max_tokens` out of the cache's key.

# Output:
# ' 1, 2, 3, 4, 5, 6, 7, 8, 9, 10'
# ' 1, 2, 3, 4, 5, 6, 7, 8, 9, 10'
# ' 1, 2'
