"""A chat engine over a completions model: LlamaIndex writes the turns into one prompt."""

from llama_index.core.chat_engine import SimpleChatEngine
from served import served

from xdm_integrations.llama_index import XDM

with served():
    chat = SimpleChatEngine.from_defaults(llm=XDM(temperature=0, stop=["\nuser:"]))
    print(chat.chat("What is two plus two?"))
    chat.reset()
    for delta in chat.stream_chat("你好").response_gen:
        print(delta, end="")
    print()
    print([message.role.value for message in chat.chat_history])

# Output:
#  Four.
#  你好！很高兴见到你。
# ['user', 'assistant']
