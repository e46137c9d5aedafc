"""Send token ids instead of text, and score texts by their log probabilities."""

import math

from served import served

from xdm_integrations import Client

TOKEN_IDS = [442, 484, 414, 515, 364]  # "The capital of France is" to the local model; other models have other ids

with served(), Client() as client:
    print(client.complete(TOKEN_IDS, temperature=0).text)
    both = client.complete([TOKEN_IDS, TOKEN_IDS], temperature=0)
    print([choice.text for choice in both.choices])

    # How sure is the model? Gateways that can't take `logprobs` say so by an UnsupportedParameterError.
    for prompt in ("The capital of France is", "The moon is made of"):
        logprobs = client.complete(prompt, temperature=0, max_tokens=4, logprobs=2).logprobs
        mean = sum(logprobs.token_logprobs) / len(logprobs.tokens)
        print(f"{prompt!r}: {'sure' if math.exp(mean) > 0.8 else 'guessing'}")

    # A server that supports `echo` (vLLM, davinci-002) scores the prompt itself:
    # client.complete(text, echo=True, max_tokens=0, logprobs=0).logprobs.token_logprobs

# Output:
#  Paris.
# [' Paris.', ' Paris.']
# 'The capital of France is': sure
# 'The moon is made of': guessing
