"""When one model fails, the next one answers: only for what can't heal, since the rest was retried already."""

from served import served

from xdm_integrations import InsufficientQuotaError, ModelUnavailableError, RateLimitError, ServerError
from xdm_integrations.langchain import ChatXDM

with served():
    # "claude" stands for a model whose provider is out of reach.
    unreachable = ChatXDM(model="claude", base_url="http://127.0.0.1:9/v1", api_key="none", max_retries=0)
    second = ChatXDM(model="gpt-4o-mini", temperature=0)
    handled = (ModelUnavailableError, InsufficientQuotaError, RateLimitError, ServerError, ConnectionError)
    llm = unreachable.with_fallbacks([second], exceptions_to_handle=handled)
    print(llm.invoke("What is the capital of Japan?").text)
    print("".join(chunk.text for chunk in llm.stream("What is the capital of Italy?")))

# Output:
# The capital of Japan is Tokyo.
# The capital of Italy is Rome.
