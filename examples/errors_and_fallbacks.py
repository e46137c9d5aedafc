"""Errors say what to do and carry what you need to decide; LangChain's fallbacks take over when one place fails."""

from served import served

from xdm_integrations import APIConnectionError, Client, ConfigurationError, ContextLengthExceededError
from xdm_integrations.langchain import ChatXDM

with served(), Client() as client:
    try:
        client.chat("Hello", temperatur=0.5)
    except ConfigurationError as error:  # found before any byte was sent
        print(error)

    try:
        client.chat("far too long " * 5000)
    except ContextLengthExceededError as error:
        print(error.status_code, "retry?", error.retryable)
        print(error.message.partition(" The gateway said")[0])

    try:
        Client(base_url="http://127.0.0.1:9", max_retries=0).chat("Hello")
    except APIConnectionError as error:
        print(type(error).__name__, "is also a ConnectionError:", isinstance(error, ConnectionError))

    nowhere = ChatXDM(base_url="http://127.0.0.1:9", max_retries=0)
    print(nowhere.with_fallbacks([ChatXDM(temperature=0)]).invoke("What is the capital of Japan?").text)

# Output:
# temperatur: unknown parameter. Did you mean 'temperature'? ...
# 400 retry? False
# Shorten the messages or allow a shorter answer: together they must fit into the model's context.
# APIConnectionError is also a ConnectionError: True
# The capital of Japan is Tokyo.
