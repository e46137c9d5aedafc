"""Let the model call Python functions, without a framework."""

from served import served

from xdm_integrations import Client


def get_weather(city: str) -> str:
    """The weather in a city."""
    print(f"get_weather({city!r})")
    return "18 degrees and sunny"


with served(), Client() as client:
    run = client.run_tools("What is the weather in Paris?", [get_weather], temperature=0)
    print(run.text)
    print([message["role"] for message in run.messages])

# Output:
# get_weather('Paris')
# The result is 18 degrees and sunny.
# ['user', 'assistant', 'tool', 'assistant']
