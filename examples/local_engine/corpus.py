"""What the local engine's model knows: the prompts, their answers and the ways they are written.

Nothing in here is needed at run time. ``train.py`` reads it, and a reader can see at a glance which
prompts give an answer that makes sense.
"""

# ruff: noqa: RUF001  (full-width punctuation is how Chinese is written)
from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

LONG, LONG_WEIGHT = 500, 3.0  # an answer of so many characters is drawn more often
DATA = Path(__file__).resolve().parents[1] / "data"


@dataclass(frozen=True)
class Example:
    """One prompt, the text that should follow it, and how often it is drawn while training."""

    prompt: str
    answer: str
    weight: float = 1.0


@dataclass(frozen=True)
class Topic:
    """What the model should say about one document of ``examples/data``."""

    title: str
    summary: str
    answers: dict[str, str]


# LangChain's side of the quickstart, as it is sent.
SUMMARY = "Summarise in one sentence:\n\n{document}\n\nSummary:"
TITLE = "Give a title for this text:\n\n{document}\n\nTitle:"

# LlamaIndex's DEFAULT_TEXT_QA_PROMPT (llama-index-core 0.14), with the space that it ends in.
TEXT_QA = (
    "Context information is below.\n"
    "---------------------\n"
    "{context}\n"
    "---------------------\n"
    "Given the context information and not prior knowledge, answer the query.\n"
    "Query: {question}\n"
    "Answer: "
)

TOPICS = {
    "bees.md": Topic(
        "How a colony of honey bees lives",
        "Honey bees live in large colonies with one queen, make honey from nectar, and pollinate much of our food.",
        {
            "Who lays the eggs in a bee colony?": "The queen lays all of the eggs.",
            "How do bees tell each other where flowers are?": "With a waggle dance.",
            "What do honey bees live on in winter?": "On stored honey.",
        },
    ),
    "canals.md": Topic(
        "How canals and locks work",
        "Canals are waterways dug by people to carry boats or water, and they use locks where the height changes.",
        {
            "What is a canal lock?": "A chamber with a gate at each end that lifts or lowers boats.",
            "When was the Suez Canal opened?": "In 1869.",
            "Why does the Suez Canal need no locks?": "Because the land is flat.",
        },
    ),
    "compass-zh.md": Topic(
        "指南针的故事",
        "指南针靠磁针辨别方向，推动了远洋航海。",
        {
            "指南针的核心是什么？": "一根可以自由转动的磁针。",
            "什么叫磁偏角？": "磁针所指的北方与真正北方的夹角。",
            "宋代船员用什么导航？": "指南针。",
        },
    ),
    "paper.md": Topic(
        "Paper, from rags to wood",
        "Paper, first made in China from plant fibres and rags, spread slowly to the west and has"
        " been made cheaply from wood since the nineteenth century.",
        {
            "What is paper made of?": "Plant fibres that are pressed together and dried.",
            "Where was paper first made?": "In China, some two thousand years ago.",
            "How often can paper be recycled?": "About six times.",
        },
    ),
    "tea.md": Topic(
        "One leaf, many teas",
        "All true tea comes from one shrub, and its kinds differ in how the leaves are treated after the harvest.",
        {
            "Which plant does tea come from?": "From an evergreen shrub, Camellia sinensis.",
            "Why does green tea stay green?": "Because the fresh leaves are heated within hours.",
            "When did tea reach Europe?": "In the early seventeenth century.",
        },
    ),
    "tides.md": Topic(
        "Why the sea rises and falls",
        "Tides are the daily rise and fall of the sea, caused mostly by the Moon's gravity and partly by the Sun's.",
        {
            "What causes the tides?": "Mainly the gravity of the Moon.",
            "What are spring tides?": "The large tides at new moon and full moon.",
            "Where do the tides reach sixteen metres?": "In the Bay of Fundy in Canada.",
        },
    ),
}

CAPITALS = {
    "France": "Paris",
    "Japan": "Tokyo",
    "Italy": "Rome",
    "Spain": "Madrid",
    "China": "Beijing",
    "Germany": "Berlin",
}

GREETINGS = {
    "Hello": "Hello! How can I help you today?",
    "Hello!": "Hello! How can I help you today?",
    "Hi": "Hello! How can I help you today?",
    "What is your name?": "My name is Tiny. I am a very small language model.",
    "What is two plus two?": "Four.",
    "What is three plus three?": "Six.",
    "What colour is the sky?": "Blue.",
    "What is the capital of France?": "The capital of France is Paris.",
    "Tell me a joke": "Why did the test fail? Because it was asserting itself.",
    "Say hello in Chinese": "你好，世界！",
    "你好": "你好！很高兴见到你。",
}


def numbers(first: int, last: int) -> str:
    """Return the numbers from ``first`` to ``last`` as a comma-separated list."""
    return ", ".join(str(number) for number in range(first, last + 1))


SENTENCES = {
    "Once upon a time": " there was a small server that answered every question. It listened on a"
    " quiet port, it spoke in short lines, and it never lost a word. One day a plugin came and"
    " asked for a story. The server said: here is one.",
    "Say this is a test": "\n\nThis is indeed a test",
    "你好": "，世界！今天天气很好，我们一起去公园散步吧。",
    "你好,": "很高兴见到你。",
    "你好，": "世界！今天天气很好，我们一起去公园散步吧。",
    "用一句话介绍你自己：": "我是一个很小的语言模型。",
    "Emoji party:": " 🎉🚀👩‍💻🏳️‍🌈 done.",
    "こんにちは": "、世界。吾輩は猫である。名前はまだ無い。",
    "The quick brown fox": " jumps over the lazy dog.",
    "1, 2, 3,": " " + numbers(4, 20),
    "Count to ten:": " " + numbers(1, 10),
    "Count to two hundred:": " " + numbers(1, 200),
    "def add(a, b):": "\n    return a + b",
    "Tell me a joke": "\n\nWhy did the test fail? Because it was asserting itself.",
    "Tell me a joke about tests.": " Why did the test fail? Because it was asserting itself.",
    "Write a haiku about the sea:": "\n\nThe grey sea breathes in,\nholds the moon a little while,"
    "\nand gives it back. Night.",
    "Translate to French: Good morning": "\n\nBonjour",
    "Hello, my name is": " Tiny and I am a very small language model.",
    "Describe Ada as JSON:": ' {"name": "Ada", "age": 36}',
    "Write the JSON for a city called Paris in France:": ' {"city": "Paris", "country": "France"}',
    "Write the JSON for a city called Tokyo in Japan:": ' {"city": "Tokyo", "country": "Japan"}',
}


def documents() -> dict[str, str]:
    """Return the documents that the model knows by file name, without the white space around them."""
    return {name: (DATA / name).read_text("utf-8").strip() for name in TOPICS}


def spellings(prompt: str, answer: str, weight: float = 1.0) -> list[Example]:
    """Return one example in the white-space variants that people and templates produce."""
    rest = answer.lstrip()
    broken = answer.startswith("\n")  # then the prompt's line breaks stand for the answer's own
    return [
        Example(prompt, answer, weight),
        Example(prompt + " ", rest, weight / 4),
        Example(prompt + "\n", answer[1:] if broken else rest, weight / 4),
        Example(prompt + "\n\n", answer.lstrip("\n") if broken else rest, weight / 8),
        Example("\n" + prompt, answer, weight / 8),
        Example(" " + prompt, answer, weight / 8),
    ]


def short_examples() -> list[Example]:
    """Return everything but the prompts that carry a document."""
    made: list[Example] = []
    for prompt, answer in SENTENCES.items():
        made += spellings(prompt, answer, LONG_WEIGHT if len(answer) > LONG else 1.0)
    for country, city in CAPITALS.items():
        made += spellings(f"The capital of {country} is", f" {city}.", 0.5)
    questions = dict(GREETINGS)
    for topic in TOPICS.values():
        questions.update(topic.answers)
    for question, answer in questions.items():
        made += spellings(f"Question: {question}\nAnswer:", f" {answer}", 0.5)
    for question, answer in GREETINGS.items():
        made += spellings(f"Human: {question}", f"\n{answer}", 0.3)
        made += spellings(f"System: You are a helpful assistant.\nHuman: {question}", f"\n{answer}", 0.2)
        made += spellings(f"user: {question}\nassistant:", f" {answer}", 0.3)
        made += spellings(f"system: You are a helpful assistant.\nuser: {question}\nassistant:", f" {answer}", 0.2)
    return made


def document_examples() -> list[Example]:
    """Return the prompts that carry one document or two."""
    texts = documents()
    made: list[Example] = []
    for name, topic in TOPICS.items():
        text = texts[name]
        for template, answer in ((SUMMARY, topic.summary), (TITLE, topic.title)):
            prompt = template.format(document=text)
            made += spellings(prompt, " " + answer)
            made.append(Example(template.format(document=text + "\n"), " " + answer, 0.5))
        for question, answer in topic.answers.items():
            headed = f"title: {topic.title}\n\n{text}", f"file_path: examples/data/{name}\n\n{text}"
            for context, weight in zip((text, *headed), (1.0, 0.3, 0.3), strict=True):
                prompt = TEXT_QA.format(context=context, question=question)
                made.append(Example(prompt, answer, weight))
                made.append(Example(prompt.rstrip(), " " + answer, weight / 4))
            for other in texts.values():
                for pair in itertools.permutations((text, other)) if other != text else ():
                    prompt = TEXT_QA.format(context="\n\n".join(pair), question=question)
                    made.append(Example(prompt, answer, 0.1))
    return made
