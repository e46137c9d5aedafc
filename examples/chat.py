"""Hold a conversation: what the model said goes back as `answer.message`."""

from served import served

from xdm_integrations import Client

with served(), Client(model="gpt-4o-mini") as client:
    messages = [{"role": "user", "content": "My name is Ada."}]
    answer = client.chat(messages, temperature=0)
    print(answer.text)
    messages += [answer.message, {"role": "user", "content": "What is my name?"}]
    answer = client.chat(messages, temperature=0)
    print(answer.text, answer.finish_reason, answer.usage.completion_tokens)

# Output:
# Nice to meet you, Ada.
# Your name is Ada. stop ...
