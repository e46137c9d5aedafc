"""Count tokens in LlamaIndex: the server's own numbers, in streams too."""

from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from served import served

from xdm_integrations.llama_index import XDM, XDMChat

with served():
    counter = TokenCountingHandler()
    # An LLM that is used through a query engine takes the handlers of `Settings.callback_manager` instead.
    handlers = CallbackManager([counter])
    chat = XDMChat(temperature=0, callback_manager=handlers)
    chat.complete("What is the capital of France?")
    print(counter.prompt_llm_token_count, "+", counter.completion_llm_token_count)
    for _ in chat.stream_complete("Count to ten"):
        pass
    print(counter.prompt_llm_token_count, "+", counter.completion_llm_token_count)
    XDM(temperature=0, callback_manager=handlers).complete("Say this is a test")
    print(counter.prompt_llm_token_count, "+", counter.completion_llm_token_count)

# Output:
# 18 + 7
# 33 + 28
# 40 + 40
