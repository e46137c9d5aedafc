"""Ask for an object: in the best way that the model takes, and checked before it is handed over."""

from dataclasses import dataclass

from served import served

from xdm_integrations import Client


@dataclass
class Person:
    """What is asked for; Pydantic classes, TypedDicts and JSON schemas do too."""

    name: str
    age: int


with served(), Client() as client:
    answer = client.chat_structured("Describe Ada as JSON", Person, temperature=0)
    print(answer.parsed)
    for method in ("json_schema", "named_tool"):  # used as they are
        print(method, client.chat_structured("Describe Ada as JSON", Person, method=method, temperature=0).parsed.age)

# Output:
# Person(name='Ada', age=36)
# json_schema 36
# named_tool 36
