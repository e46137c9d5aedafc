"""What the local engine's model knows in chat: turns, tool calls, and what it says to their results.

Beside sentences that it knows by heart there are some in which it has to copy: the arguments of a call, the result of
one, the name of the one who speaks. Conversations with them are drawn at random.
"""

# ruff: noqa: RUF001, S311  (full-width punctuation is how Chinese is written; nothing here is a secret)
from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local_engine.corpus import CAPITALS, GREETINGS, SENTENCES, SUMMARY, TEXT_QA, TITLE, TOPICS, documents

Message = dict[str, Any]

SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful AI assistant.",
    "Answer in one sentence.",
    "Be brief.",
    "Use the tools when they help.",
    "You are a poet. You answer every question in a friendly way.",
    "你是一个乐于助人的助手。",
)
# The system message of LlamaIndex's CHAT_TEXT_QA_PROMPT (llama-index-core 0.14).
EXPERT = (
    "You are an expert Q&A system that is trusted around the world.\n"
    "Always answer the query using the provided context information, and not prior knowledge.\n"
    "Some rules to follow:\n"
    "1. Never directly reference the given context in your answer.\n"
    "2. Avoid statements like 'Based on the context, ...' or 'The context information ...' or anything along "
    "those lines."
)
FROM_TEXT = "Answer the question from the text, in one sentence."
ABOUT = "{document}\n\nQuestion: {question}"

CITIES = ("Paris", "Tokyo", "Rome", "Madrid", "Beijing", "Berlin", "London", "Oslo", "Cairo", "Lima")
NAMES = ("Ada", "Alan", "Grace", "Linus", "Marie", "Tim", "Lin", "Wei")
AGES = {"Ada": 36, "Alan": 41, "Grace": 85}
WEATHERS = ("sunny", "rain", "cloudy", "snow", "windy", "clear")
CHINESE = ("晴，18度", "没有找到", "北京", "十八度，有风")
FAILURES = ("Error: no such city", "not found", "done", "true")
OTHERS = ("search", "multiply", "send_mail", "read_file", "look_up", "final_result")
KEYS = ("query", "id", "name", "text", "a", "b", "path")


@dataclass(frozen=True)
class Conversation:
    """Messages and tools as the API takes them, the message that should follow, and how often it is drawn."""

    messages: tuple[Message, ...]
    answer: Message
    tools: tuple[Message, ...] = ()
    weight: float = 1.0


def said(role: str, content: str) -> Message:
    """Return a message of text."""
    return {"role": role, "content": content}


def calls(*made: tuple[str, str]) -> Message:
    """Return the assistant's message that calls functions, each with its arguments as JSON text."""
    called = [{"name": name, "arguments": arguments} for name, arguments in made]
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": f"call_{place}", "type": "function", "function": one} for place, one in enumerate(called)
        ],
    }


def tool(name: str, *parameters: str) -> Message:
    """Return a tool as it goes over the wire; the model is shown its name and its parameters' names only."""
    properties: dict[str, Any] = {parameter: {} for parameter in parameters}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def sentences() -> dict[str, str]:
    """Return what the model answers to one message."""
    known = dict(GREETINGS)
    known |= {
        f"What is the capital of {country}?": f"The capital of {country} is {city}."
        for country, city in CAPITALS.items()
    }
    for topic in TOPICS.values():
        known |= topic.answers
    known |= {
        prompt: SENTENCES[f"{prompt}:"].strip() for prompt in ("Count to ten", "Count to two hundred", "Emoji party")
    }
    known |= {
        prompt: SENTENCES[f"{prompt}:"].strip() for prompt in ("Write a haiku about the sea", "Describe Ada as JSON")
    }
    for city, country in (("Paris", "France"), ("Tokyo", "Japan")):
        prompt = f"Write the JSON for a city called {city} in {country}"
        known[prompt] = SENTENCES[f"{prompt}:"].strip()
    known |= {
        "Say this is a test": "This is indeed a test",
        "Tell me a story": "Once upon a time" + SENTENCES["Once upon a time"],
        "Translate to French: Good morning": "Bonjour",
        "用一句话介绍你自己": SENTENCES["用一句话介绍你自己："],
        "Thanks": "You are welcome!",
        "What is the weather in Paris?": "I cannot see the weather from here.",
        "What time is it in Tokyo?": "I have no clock.",
    }
    return known


def spoken() -> list[Conversation]:
    """Return single questions, with the marks and system messages that people put around them."""
    made = []
    for question, answer in sentences().items():
        spellings = {question, question.rstrip(".?!:"), question + ("" if question[-1] in "?!.？" else ".")}
        for asked in sorted(spellings):
            weight = 1.5 if len(answer) > 500 else 1.0
            made.append(Conversation((said("user", asked),), said("assistant", answer), (), weight))
            made += [
                Conversation((said("system", system), said("user", asked)), said("assistant", answer), (), weight / 6)
                for system in SYSTEMS
            ]
    return made


def about_documents() -> list[Conversation]:
    """Return the prompts of chains and query engines that carry a document or two."""
    texts, made = documents(), []

    def add(question: str, answer: str, weight: float, system: str = "") -> None:
        before = (said("system", system),) if system else ()
        made.append(Conversation((*before, said("user", question)), said("assistant", answer), (), weight))

    for name, topic in TOPICS.items():
        text = texts[name]
        for template, answer in ((SUMMARY, topic.summary), (TITLE, topic.title)):
            add(template.format(document=text), answer, 0.6)
            add(template.format(document=text).rpartition("\n\n")[0], answer, 0.6)
        for question, answer in topic.answers.items():
            add(ABOUT.format(document=text, question=question), answer, 0.5, FROM_TEXT)
            headed = f"file_path: examples/data/{name}\n\n{text}"
            for context, weight in ((text, 0.6), (headed, 0.2)):
                add(TEXT_QA.format(context=context, question=question), answer, weight, EXPERT)
            for other in texts.values():
                for pair in itertools.permutations((text, other)) if other != text else ():
                    add(TEXT_QA.format(context="\n\n".join(pair), question=question), answer, 0.05, EXPERT)
    return made


# Each of the drawn conversations is seen a few times only: what they share is learnt, not what they say.
DRAWN, DRAWN_WEIGHT = 3000, 0.06


class Drawn:
    """Conversations that are drawn at random, the same each time."""

    def __init__(self, seed: int = 11) -> None:
        self.random = random.Random(seed)

    def result(self) -> str:
        """Return what a function may have found: some weather, a number, a time, a word or two."""
        pick, number = self.random, str(self.random.randint(0, 10 ** self.random.randint(1, 3)))
        return pick.choice(
            [
                f"{number} degrees and {pick.choice(WEATHERS)}",
                f"{pick.randint(-9, 35)} degrees and {pick.choice(WEATHERS)}",
                number,
                f"{pick.randint(0, 23):02}:{pick.randint(0, 59):02}",
                pick.choice(WEATHERS),
                pick.choice(CITIES),
                pick.choice(CHINESE),
                pick.choice(FAILURES),
            ]
        )

    def asking(self) -> tuple[str, str, str, list[Message]]:
        """Return a question, the name and the arguments of the call that it asks for, and the tools it needs."""
        pick = self.random
        kind = pick.choice(["weather", "weather", "time", "add", "add", "person"])
        city, key = pick.choice(CITIES), pick.choice(["city", "city", "location"])
        if kind == "weather":
            asked = pick.choice(["What is the weather in {}?", "What's the weather in {}?", "Weather in {}?"])
            return asked.format(city), "get_weather", json.dumps({key: city}), [tool("get_weather", key)]
        if kind == "time":
            return f"What time is it in {city}?", "get_time", json.dumps({key: city}), [tool("get_time", key)]
        if kind == "add":
            left, right = pick.randint(0, 99), pick.randint(0, 99)
            asked = pick.choice(["What is {} plus {}?", "Add {} and {}.", "What is {} + {}?"]).format(left, right)
            return asked, "add", json.dumps({"a": left, "b": right}), [tool("add", "a", "b")]
        person, name = pick.choice(list(AGES)), pick.choice(["Person", "Person", "person"])
        asked = pick.choice([f"Describe {person}.", f"Describe {person} as JSON"])
        return asked, name, json.dumps({"name": person, "age": AGES[person]}), [tool(name, "name", "age")]

    def offered(self, needed: list[Message]) -> tuple[Message, ...]:
        """Return the tools that a question needs, among others."""
        others = [tool("get_weather", "city"), tool("get_time", "city"), tool("add", "a", "b")]
        others += [tool(name, *self.random.sample(KEYS, self.random.randint(0, 2))) for name in OTHERS]
        chosen = {one["function"]["name"]: one for one in self.random.sample(others, self.random.choice([0, 0, 1, 2]))}
        listed = list((chosen | {one["function"]["name"]: one for one in needed}).values())
        self.random.shuffle(listed)
        return tuple(listed)

    def with_tools(self) -> Iterator[Conversation]:
        """Yield a question that needs one call or two, and the turn after their results."""
        question, name, arguments, needed = self.asking()
        before = (said("system", self.random.choice(SYSTEMS)),) if self.random.random() < 0.3 else ()
        made = [(name, arguments)]
        if self.random.random() < 0.2 and name in ("get_weather", "get_time"):
            key, city = next(iter(json.loads(arguments).items()))
            other = self.random.choice([one for one in CITIES if one != city])
            question, made = f"{question.rstrip('?')} and in {other}?", [*made, (name, json.dumps({key: other}))]
        asked = (*before, said("user", question))
        tools = self.offered(needed)
        yield Conversation(asked, calls(*made), tools, DRAWN_WEIGHT)
        results = [self.result() for _ in made]
        given = [
            {"role": "tool", "tool_call_id": f"call_{place}", "content": text} for place, text in enumerate(results)
        ]
        answer = f"The result is {results[0]}." if len(results) == 1 else f"The results are {' and '.join(results)}."
        after = (*asked, calls(*made), *given)
        yield Conversation(after, said("assistant", answer), tools, DRAWN_WEIGHT)
        if self.random.random() < 0.3:
            question, name, arguments, needed = self.asking()
            tools = self.offered([*tools, *needed])
            yield Conversation(
                (*after, said("assistant", answer), said("user", question)),
                calls((name, arguments)),
                tools,
                DRAWN_WEIGHT,
            )

    def without_calls(self, known: dict[str, str]) -> Conversation:
        """Return a question in mid-conversation, perhaps with tools that it doesn't need."""
        pick, turns = self.random, []
        for question, answer in pick.sample(sorted(known.items()), pick.choice([0, 0, 1, 1, 2, 3])):
            if len(answer) < 200:
                turns += [said("user", question), said("assistant", answer)]
        name = pick.choice(NAMES)
        if pick.random() < 0.3:
            turns[:0] = [said("user", f"My name is {name}."), said("assistant", f"Nice to meet you, {name}.")]
            question, answer = "What is my name?", f"Your name is {name}."
        else:
            question, answer = pick.choice(
                sorted((known | {f"My name is {name}.": f"Nice to meet you, {name}."}).items())
            )
        before = (said("system", pick.choice(SYSTEMS)),) if pick.random() < 0.4 else ()
        outside = not question.startswith(("What is the weather", "What time"))
        tools = self.offered([]) if outside and pick.random() < 0.5 else ()
        return Conversation((*before, *turns, said("user", question)), said("assistant", answer), tools, DRAWN_WEIGHT)


def drawn() -> list[Conversation]:
    """Return some thousand conversations."""
    source, known = Drawn(), sentences()
    made = [one for _ in range(DRAWN) for one in source.with_tools()]
    return made + [source.without_calls(known) for _ in range(DRAWN // 2)]


def conversations() -> list[Conversation]:
    """Return all that the model learns in chat."""
    return [*spoken(), *about_documents(), *drawn()]
