"""Ask for a completion, for several prompts in one request, and read what comes with the answer."""

from served import served

from xdm_integrations import Client

with served(), Client() as client:
    answer = client.complete("Say this is a test", temperature=0, max_tokens=20)
    print(answer.text.strip())
    print("finish reason:", answer.finish_reason)
    print("tokens:", answer.usage.prompt_tokens, "+", answer.usage.completion_tokens)

    capitals = client.complete(["The capital of France is", "The capital of Japan is"], temperature=0, n=2)
    for choices in capitals.by_prompt():
        print([choice.text for choice in choices])

# Output:
# This is indeed a test
# finish reason: stop
# tokens: 7 + 12
# [' Paris.', ' Paris.']
# [' Tokyo.', ' Tokyo.']
