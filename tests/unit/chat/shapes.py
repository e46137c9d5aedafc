"""Answers as relays and engines really send them (invented values), and how each is to be read.

In brackets: who sends it (O One API, N New API, H one-hub, or a provider or engine).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

DONE = "[DONE]"


class Event(dict[str, Any]):
    """A body, or the data of one event, as it is."""


class Raw(str):
    """An event as it is on the wire."""

    __slots__ = ()


class Row(NamedTuple):
    """A shape, and what it means."""

    name: str
    events: list[Any]
    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012 - a NamedTuple's default, never changed
    invalid: list[tuple[str, str]] = []  # noqa: RUF012 - a NamedTuple's default, never changed
    ids: list[str] | None = None
    finish: str = ""
    usage: tuple[int, int, int] | None = None
    refusal: str = ""
    error: bool = False


class Delta(NamedTuple):
    """One choice of one event."""

    inner: dict[str, Any]
    choice: dict[str, Any]
    top: dict[str, Any]


def delta(inner: dict[str, Any], **more: Any) -> Delta:
    """Return a delta (or a message); `fin` is its finish reason, `index` and `error` stand in its choice."""
    choice = {name: more.pop(name) for name in ("index", "error") if name in more}
    return Delta(inner, {"index": 0, "finish_reason": more.pop("fin", None), **choice}, more)


def tools(index: Any, call_id: Any = "", name: Any = "", args: Any = "") -> Delta:
    """Return a delta with one piece of a tool call, without what is ""."""
    function = {key: value for key, value in (("name", name), ("arguments", args)) if value != "" or key == "arguments"}
    entry = {"index": index, "id": call_id, "function": function}
    return delta({"tool_calls": [{key: value for key, value in entry.items() if value != ""}]})


def event(item: Any, inner: str = "delta") -> dict[str, Any]:
    """Return the JSON of one event or body."""
    if isinstance(item, Event):
        return item
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}
    return {**head, "choices": [{**item.choice, inner: item.inner}], **item.top}


def body(row: Row) -> bytes:
    """Return a complete answer as a body."""
    (item,) = row.events
    if (
        isinstance(item, Delta)
        and "fin" not in item.choice
        and item.choice["finish_reason"] is None
        and row.finish == "stop"
    ):
        item = item._replace(choice={**item.choice, "finish_reason": "stop"})
    return json.dumps(event(item, "message")).encode()


def stream(row: Row, end: str = "\n") -> bytes:
    """Return a stream as a body."""
    blocks = []
    for item in row.events:
        if isinstance(item, Raw):
            blocks.append(str(item))
        elif item == DONE:
            blocks.append("data: [DONE]")
        elif isinstance(item, Event) and "error" in item and "choices" not in item:
            blocks.append(json.dumps(item))  # a bare line
        else:
            blocks.append("data: " + json.dumps(event(item)))
    return "".join(block.replace("\n", end) + end * 2 for block in blocks).encode()


COMPLETE = [
    Row("content of one part in no list", [delta({"content": {"type": "text", "text": "alpha"}})], text="alpha"),
    Row(
        "content-parts-thinking (P mistral)",
        [
            delta(
                {
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                        {"type": "text", "text": "alpha beta"},
                    ]
                }
            )
        ],
        text="alpha beta",
        reasoning="hm",
        finish="stop",
    ),
    Row(
        "reasoning-both (P)",
        [delta({"content": "alpha beta", "reasoning": "hm", "reasoning_content": "hm"})],
        text="alpha beta",
        reasoning="hm",
        finish="stop",
    ),
    Row(
        "reasoning-details (P openrouter)",
        [
            delta(
                {
                    "content": "alpha beta",
                    "reasoning": None,
                    "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "c2ln", "index": 0}],
                }
            )
        ],
        text="alpha beta",
        reasoning="hm",
        finish="stop",
    ),
    Row(
        "audio (E)",
        [
            delta(
                {
                    "content": None,
                    "audio": {
                        "id": "audio_1",
                        "data": "UklGRg==",
                        "expires_at": 1700003600,
                        "transcript": "alpha beta",
                    },
                }
            )
        ],
        finish="stop",
    ),
    Row(
        "images-list (P openrouter, H)",
        [
            delta(
                {
                    "content": "alpha beta",
                    "images": [
                        {
                            "type": "image_url",
                            "index": 0,
                            "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="},
                        }
                    ],
                }
            )
        ],
        text="alpha beta",
        finish="stop",
    ),
    Row(
        "tools-finish-stop (O xunfei, P)",
        [
            delta(
                {
                    "content": None,
                    "tool_calls": [
                        {"id": "call_1", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
                    ],
                }
            )
        ],
        calls=[("get_weather", {"city": "Paris"})],
        finish="stop",
    ),
    Row(
        "tools-args-object (P llama.cpp, TGI)",
        [
            delta(
                {
                    "content": None,
                    "tool_calls": [
                        {"id": "call_1", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
                    ],
                },
                fin="tool_calls",
            )
        ],
        calls=[("get_weather", {"city": "Paris"})],
        finish="tool_calls",
    ),
    Row(
        "tools-args-empty (P)",
        [
            delta(
                {"content": None, "tool_calls": [{"id": "call_1", "function": {"name": "now", "arguments": ""}}]},
                fin="tool_calls",
            )
        ],
        calls=[("now", {})],
        finish="tool_calls",
    ),
    Row(
        "tools-args-string-null (P)",
        [
            delta(
                {"content": None, "tool_calls": [{"id": "call_1", "function": {"name": "now", "arguments": "null"}}]},
                fin="tool_calls",
            )
        ],
        calls=[("now", {})],
        finish="tool_calls",
    ),
    Row(
        "tools-args-broken (E)",
        [
            delta(
                {
                    "content": None,
                    "tool_calls": [{"id": "call_1", "function": {"name": "get_weather", "arguments": '{"city": "Par'}}],
                },
                fin="length",
            )
        ],
        invalid=[("get_weather", '{"city": "Par')],
        finish="length",
    ),
    Row(
        "tools-args-list (P langchain#35990)",
        [
            delta(
                {
                    "content": None,
                    "tool_calls": [{"id": "call_1", "function": {"name": "get_weather", "arguments": '["Paris"]'}}],
                },
                fin="tool_calls",
            )
        ],
        invalid=[("get_weather", '["Paris"]')],
        finish="tool_calls",
    ),
    Row(
        "tools-id-missing (P)",
        [
            delta(
                {
                    "content": None,
                    "tool_calls": [{"function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}],
                },
                fin="tool_calls",
            )
        ],
        calls=[("get_weather", {"city": "Paris"})],
        finish="tool_calls",
    ),
    Row(
        "tools-type-null (N gemini)",
        [
            delta(
                {
                    "content": None,
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "call_1",
                            "type": None,
                            "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                        }
                    ],
                },
                fin="tool_calls",
            )
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["call_1"],
        finish="tool_calls",
    ),
    Row(
        "tools-extra-content (P gemini)",
        [
            delta(
                {
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                            "extra_content": {"google": {"thought_signature": "c2lnbmF0dXJl"}},
                        }
                    ],
                },
                fin="tool_calls",
            )
        ],
        calls=[("get_weather", {"city": "Paris"})],
        finish="tool_calls",
    ),
    Row(
        "function_call (legacy)",
        [
            delta(
                {"content": None, "function_call": {"name": "get_weather", "arguments": '{"city": "Paris"}'}},
                fin="function_call",
            )
        ],
        calls=[("get_weather", {"city": "Paris"})],
        finish="function_call",
    ),
    Row(
        "the same call in both forms",
        [
            delta(
                {
                    "content": None,
                    "tool_calls": [{"id": "c1", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}],
                    "function_call": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                },
                fin="tool_calls",
            )
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["c1"],
        finish="tool_calls",
    ),
    Row("finish-null (E)", [delta({"content": "alpha beta"}, fin=None)], text="alpha beta", finish=""),
    Row("finish-empty (O zhipu)", [delta({"content": "alpha beta"}, fin="")], text="alpha beta", finish=""),
    Row("finish-content_filter (N gemini, azure)", [delta({"content": None}, fin="content_filter")], error=True),
    Row("usage-list (P)", [delta({"content": "alpha beta"}, usage=[])], text="alpha beta", finish="stop"),
    Row(
        "usage-input-output (P anthropic)",
        [delta({"content": "alpha beta"}, usage={"input_tokens": 5, "output_tokens": 7})],
        text="alpha beta",
        finish="stop",
        usage=(5, 7, 12),
    ),
    Row(
        "usage-deepseek (P deepseek)",
        [
            delta(
                {"content": "alpha beta"},
                usage={
                    "prompt_tokens": 5,
                    "completion_tokens": 7,
                    "total_tokens": 12,
                    "prompt_cache_hit_tokens": 3,
                    "prompt_cache_miss_tokens": 2,
                },
            )
        ],
        text="alpha beta",
        finish="stop",
        usage=(5, 7, 12),
    ),
    Row(
        "choices-same-index (H claude)",
        [
            Event(
                {
                    "choices": [
                        {"index": 0, "message": {"role": "assistant", "content": "alpha"}, "finish_reason": "stop"},
                        {
                            "index": 0,
                            "message": {
                                "role": "assistant",
                                "content": " beta",
                                "tool_calls": [
                                    {
                                        "id": "call_1",
                                        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                                    }
                                ],
                            },
                            "finish_reason": "tool_calls",
                        },
                    ]
                }
            )
        ],
        text="alpha beta",
        calls=[("get_weather", {"city": "Paris"})],
        finish="tool_calls",
    ),
    Row(
        "delta-instead (P)",
        [
            Event(
                {
                    "choices": [
                        {"index": 0, "delta": {"role": "assistant", "content": "alpha beta"}, "finish_reason": "stop"}
                    ]
                }
            )
        ],
        text="alpha beta",
        finish="stop",
    ),
    Row("message-null (P)", [Event({"choices": [{"index": 0, "message": None, "finish_reason": "stop"}]})], error=True),
    Row("choices-null (P)", [Event({"choices": None})], error=True),
    Row(
        "anthropic-native (P)",
        [
            Event(
                {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "text", "text": "alpha beta"}],
                    "stop_reason": "end_turn",
                    "usage": {"input_tokens": 5, "output_tokens": 7},
                }
            )
        ],
        error=True,
    ),
    Row(
        "error-in-200 (P openrouter)",
        [Event({"error": {"message": "Provider returned error", "code": 502, "metadata": {"raw": "upstream"}}})],
        error=True,
    ),
    Row(
        "error-in-choice (P openrouter)",
        [delta({"content": ""}, fin="error", error={"code": 502, "message": "Provider disconnected"})],
        error=True,
    ),
]

STREAMS = [
    Row(
        "plain (E)",
        [
            delta({"content": ""}),
            delta({"content": "alpha"}),
            delta({"content": " beta"}),
            delta({}, fin="stop"),
            Event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}),
            DONE,
        ],
        text="alpha beta",
        finish="stop",
        usage=(5, 7, 12),
    ),
    Row(
        "delta-missing-at-end (E LiteLLM)",
        [
            delta({"content": ""}),
            delta({"content": "alpha"}),
            delta({"content": " beta"}),
            Event({"choices": [{"index": 0, "finish_reason": "stop"}]}),
            DONE,
        ],
        text="alpha beta",
        finish="stop",
    ),
    Row(
        "azure-first-chunk (azure)",
        [
            Event({"choices": [], "id": "", "created": 0, "model": "", "prompt_filter_results": [{"prompt_index": 0}]}),
            delta({"content": ""}),
            delta({"content": "alpha"}),
            delta({"content": " beta"}),
            delta({}, fin="stop"),
            Event({"choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {}}]}),
            DONE,
        ],
        text="alpha beta",
        finish="stop",
    ),
    Row(
        "message-only (P)",
        [
            Event({"choices": [{"index": 0, "message": {"content": "alpha"}, "finish_reason": None}]}),
            Event({"choices": [{"index": 0, "message": {"content": " beta"}, "finish_reason": "stop"}]}),
            DONE,
        ],
        text="alpha beta",
        finish="stop",
    ),
    Row(
        "ids-change (O gemini, H)",
        [
            delta({"content": "alpha"}, id="chatcmpl-1", created=1700000000123),
            delta({"content": " beta"}, id="chatcmpl-2", model=None),
            delta({}, fin="stop", id=None, created="x"),
            DONE,
        ],
        text="alpha beta",
        finish="stop",
    ),
    Row(
        "finish-twice (P openrouter)",
        [
            delta({"content": ""}),
            delta({"content": "alpha"}),
            delta({"content": " beta"}, fin="stop"),
            delta({}, fin="stop"),
            DONE,
        ],
        text="alpha beta",
        finish="stop",
    ),
    Row(
        "finish-then-text (P)",
        [
            delta({"content": ""}),
            delta({"content": "alpha"}),
            delta({}, fin="stop"),
            delta({"content": " beta"}),
            delta({}, fin="stop"),
            DONE,
        ],
        text="alpha beta",
        finish="stop",
    ),
    Row(
        "finish-empty-on-every (O claude)",
        [
            delta({"content": "alpha"}, fin=""),
            delta({"content": " beta"}, fin=""),
            delta({"content": ""}, fin="stop"),
            DONE,
        ],
        text="alpha beta",
        finish="stop",
    ),
    Row(
        "finish-string-null (P dashscope)",
        [delta({"content": "alpha"}, fin="null"), delta({"content": " beta"}, fin="null"), delta({}, fin="stop"), DONE],
        text="alpha beta",
        finish="stop",
    ),
    Row(
        "onehub-claude-indexes (H claude)",
        [
            delta({"role": "assistant"}),
            delta({"reasoning_content": "hm"}),
            delta({"reasoning_content": "\n"}),
            delta({"content": "alpha"}, index=1),
            delta({"content": " beta"}, index=1),
            delta({}, fin="stop"),
            DONE,
        ],
        text="alpha beta",
        reasoning="hm\n",
        finish="stop",
    ),
    Row(
        "onehub-claude-tools (H claude)",
        [
            delta({"role": "assistant"}),
            delta({"content": "alpha"}),
            delta(
                {"tool_calls": [{"index": 0, "id": "toolu_1", "function": {"name": "get_weather", "arguments": ""}}]},
                index=1,
            ),
            delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Paris"}'}}]}, index=1),
            delta(
                {"tool_calls": [{"index": 0, "id": "toolu_2", "function": {"name": "now", "arguments": ""}}]}, index=2
            ),
            delta({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}, fin="tool_calls"),
            DONE,
        ],
        text="alpha",
        calls=[("get_weather", {"city": "Paris"}), ("now", {})],
        ids=["toolu_1", "toolu_2"],
        finish="tool_calls",
    ),
    Row(
        "usage-cumulative (P xAI, vLLM)",
        [
            delta({"content": "alpha"}, usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}),
            delta({"content": " beta"}, usage={"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}),
            delta({}, fin="stop", usage={"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}),
            DONE,
        ],
        text="alpha beta",
        finish="stop",
        usage=(5, 7, 12),
    ),
    Row(
        "usage-odd-choice (E LiteLLM)",
        [
            delta({"content": ""}),
            delta({"content": "alpha"}),
            delta({"content": " beta"}),
            delta({}, fin="stop"),
            delta({}, usage={"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}),
            DONE,
        ],
        text="alpha beta",
        finish="stop",
        usage=(5, 7, 12),
    ),
    Row(
        "reasoning_content (deepseek, N)",
        [
            delta({"content": None, "reasoning_content": "h"}),
            delta({"content": None, "reasoning_content": "m"}),
            delta({"content": "alpha", "reasoning_content": None}),
            delta({"content": " beta"}),
            delta({}, fin="stop"),
            DONE,
        ],
        text="alpha beta",
        reasoning="hm",
        finish="stop",
    ),
    Row(
        "reasoning-details (openrouter)",
        [
            delta({"reasoning": "h", "reasoning_details": [{"type": "reasoning.text", "text": "h", "index": 0}]}),
            delta({"reasoning": "m", "reasoning_details": [{"type": "reasoning.text", "text": "m", "index": 0}]}),
            delta(
                {"reasoning": None, "reasoning_details": [{"type": "reasoning.encrypted", "data": "ZW5j", "index": 1}]}
            ),
            delta({"content": "alpha"}),
            delta({"content": " beta"}),
            delta({}, fin="stop"),
            DONE,
        ],
        text="alpha beta",
        reasoning="hm",
        finish="stop",
    ),
    Row(
        "reasoning-after-text (N claude interleaved)",
        [
            delta({"content": "alpha"}),
            delta({"reasoning_content": "hm"}),
            delta({"content": " beta"}),
            delta({}, fin="stop"),
            DONE,
        ],
        text="alpha beta",
        reasoning="hm",
        finish="stop",
    ),
    Row(
        "thinking-parts (P mistral)",
        [
            delta({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
            delta({"content": [{"type": "text", "text": "alpha"}]}),
            delta({"content": " beta"}),
            delta({}, fin="stop"),
            DONE,
        ],
        text="alpha beta",
        reasoning="hm",
        finish="stop",
    ),
    Row(
        "tools-no-index (O claude)",
        [
            delta({"tool_calls": [{"id": "toolu_1", "function": {"name": "get_weather", "arguments": ""}}]}),
            delta({"tool_calls": [{"function": {"arguments": '{"city"'}}]}),
            delta({"tool_calls": [{"function": {"arguments": ': "Paris"}'}}]}),
            delta({"tool_calls": [{"id": "toolu_2", "function": {"name": "get_weather", "arguments": ""}}]}),
            delta({"tool_calls": [{"function": {"arguments": '{"city": "Rome"}'}}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})],
        ids=["toolu_1", "toolu_2"],
        finish="tool_calls",
    ),
    Row(
        "tools-no-index-in-one (P CLIProxyAPI#5058)",
        [
            delta(
                {
                    "tool_calls": [
                        {"id": "call_1", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}},
                        {"id": "call_2", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}},
                    ]
                }
            ),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})],
        ids=["call_1", "call_2"],
        finish="tool_calls",
    ),
    Row(
        "tools-index-string (P)",
        [
            delta(
                {"tool_calls": [{"index": "0", "id": "call_1", "function": {"name": "get_weather", "arguments": ""}}]}
            ),
            delta({"tool_calls": [{"index": "0", "function": {"arguments": '{"city": "Paris"}'}}]}),
            delta(
                {
                    "tool_calls": [
                        {
                            "index": "1",
                            "id": "call_2",
                            "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'},
                        }
                    ]
                }
            ),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})],
        ids=["call_1", "call_2"],
        finish="tool_calls",
    ),
    Row(
        "tools-index-from-1 (N claude)",
        [
            delta({"content": "alpha"}),
            delta(
                {"tool_calls": [{"index": 1, "id": "toolu_1", "function": {"name": "get_weather", "arguments": ""}}]}
            ),
            delta({"tool_calls": [{"index": 1, "function": {"arguments": '{"city": "Paris"}'}}]}),
            delta(
                {"tool_calls": [{"index": 3, "id": "toolu_2", "function": {"name": "get_weather", "arguments": ""}}]}
            ),
            delta({"tool_calls": [{"index": 3, "function": {"arguments": '{"city": "Rome"}'}}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        text="alpha",
        calls=[("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})],
        ids=["toolu_1", "toolu_2"],
        finish="tool_calls",
    ),
    Row(
        "tools-all-index-0 (H gemini, ollama#15457)",
        [
            delta(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "call_1",
                            "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                        }
                    ]
                }
            ),
            delta(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "call_2",
                            "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'},
                        }
                    ]
                }
            ),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})],
        ids=["call_1", "call_2"],
        finish="tool_calls",
    ),
    Row(
        "tools-all-index-0-pieces (H claude)",
        [
            delta({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": ""}}]}),
            delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"city"'}}]}),
            delta({"tool_calls": [{"index": 0, "function": {"arguments": ': "Paris"}'}}]}),
            delta({"tool_calls": [{"index": 0, "id": "call_2", "function": {"name": "get_weather", "arguments": ""}}]}),
            delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]}),
            delta({"tool_calls": [{"index": 0, "function": {"arguments": '"Rome"}'}}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})],
        ids=["call_1", "call_2"],
        finish="tool_calls",
    ),
    Row(
        "tools-id-and-name-on-every (P fireworks)",
        [
            delta({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": ""}}]}),
            delta(
                {
                    "tool_calls": [
                        {"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": '{"city"'}}
                    ]
                }
            ),
            delta(
                {
                    "tool_calls": [
                        {"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": ': "Paris"}'}}
                    ]
                }
            ),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["call_1"],
        finish="tool_calls",
    ),
    Row(
        "tools-id-empty-later (deepseek, vLLM)",
        [
            delta({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": ""}}]}),
            delta({"tool_calls": [{"index": 0, "id": "", "function": {"name": "", "arguments": '{"city"'}}]}),
            delta({"tool_calls": [{"index": 0, "id": "", "function": {"name": "", "arguments": ': "Paris"}'}}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["call_1"],
        finish="tool_calls",
    ),
    Row(
        "tools-id-word-null-later (P mistral)",
        [
            delta({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": ""}}]}),
            delta({"tool_calls": [{"index": 0, "id": "null", "function": {"arguments": '{"city"'}}]}),
            delta({"tool_calls": [{"index": 0, "id": "null", "function": {"arguments": ': "Paris"}'}}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["call_1"],
        finish="tool_calls",
    ),
    Row(
        "tools-id-changes (P)",
        [
            delta({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": ""}}]}),
            delta({"tool_calls": [{"index": 0, "id": "call_x", "function": {"arguments": '{"city"'}}]}),
            delta({"tool_calls": [{"index": 0, "id": "call_y", "function": {"arguments": ': "Paris"}'}}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        finish="tool_calls",
    ),
    Row(
        "tools-id-late (P)",
        [
            delta({"tool_calls": [{"index": 0, "function": {"name": "get_weather", "arguments": ""}}]}),
            delta({"tool_calls": [{"index": 0, "id": "call_1", "function": {"arguments": '{"city": "Paris"}'}}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["call_1"],
        finish="tool_calls",
    ),
    Row(
        "tools-name-in-pieces (P)",
        [
            delta({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "get_", "arguments": ""}}]}),
            delta({"tool_calls": [{"index": 0, "function": {"name": "weather", "arguments": ""}}]}),
            delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Paris"}'}}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["call_1"],
        finish="tool_calls",
    ),
    Row(
        "tools-args-object (P)",
        [
            delta(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "call_1",
                            "function": {"name": "get_weather", "arguments": {"city": "Paris"}},
                        }
                    ]
                }
            ),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["call_1"],
        finish="tool_calls",
    ),
    Row(
        "tools-args-placeholder (P anthropic bridges)",
        [
            delta(
                {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": "{}"}}]}
            ),
            delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"city"'}}]}),
            delta({"tool_calls": [{"index": 0, "function": {"arguments": ': "Paris"}'}}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["call_1"],
        finish="tool_calls",
    ),
    Row(
        "tools-args-never (P)",
        [
            delta({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "now", "arguments": ""}}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("now", {})],
        ids=["call_1"],
        finish="tool_calls",
    ),
    Row(
        "tools-without-ids-or-arguments",
        [
            delta({"tool_calls": [{"index": 0, "function": {"name": "now", "arguments": "{}"}}]}),
            delta({"tool_calls": [{"index": 0, "function": {"name": "today", "arguments": "{}"}}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("now", {}), ("today", {})],
        finish="tool_calls",
    ),
    Row(
        "tools-without-ids-indices-or-arguments",
        [
            delta({"tool_calls": [{"function": {"name": "now", "arguments": {}}}]}),
            delta({"tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Rome"}}}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("now", {}), ("get_weather", {"city": "Rome"})],
        finish="tool_calls",
    ),
    Row(
        "tools-oneapi-repeat (O claude)",
        [
            delta({"tool_calls": [{"id": "toolu_1", "function": {"name": "now", "arguments": ""}}]}, fin=""),
            delta(
                {"tool_calls": [{"id": "toolu_1", "function": {"name": "now", "arguments": "{}"}}]}, fin="tool_calls"
            ),
            DONE,
        ],
        calls=[("now", {})],
        ids=["toolu_1"],
        finish="tool_calls",
    ),
    Row(
        "tools-repeated-whole (P)",
        [
            delta({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": ""}}]}),
            delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Paris"}'}}]}),
            delta(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "call_1",
                            "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                        }
                    ]
                },
                fin="tool_calls",
            ),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["call_1"],
        finish="tool_calls",
    ),
    Row(
        "tools-gemini-newapi (N gemini)",
        [
            delta(
                {
                    "content": "",
                    "tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": ""}}],
                }
            ),
            delta(
                {
                    "content": "",
                    "tool_calls": [{"index": 0, "type": None, "function": {"arguments": '{"city": "Paris"}'}}],
                }
            ),
            delta(
                {
                    "content": "",
                    "tool_calls": [
                        {
                            "index": 1,
                            "id": "call_2",
                            "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'},
                        }
                    ],
                },
                fin="tool_calls",
            ),
            delta({}, fin="tool_calls"),
            Event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})],
        ids=["call_1", "call_2"],
        finish="tool_calls",
        usage=(5, 7, 12),
    ),
    Row(
        "tools-after-finish (N gemini)",
        [
            delta(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "call_1",
                            "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                        }
                    ]
                },
                fin="tool_calls",
            ),
            delta(
                {
                    "tool_calls": [
                        {
                            "index": 1,
                            "id": "call_2",
                            "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'},
                        }
                    ]
                },
                fin="tool_calls",
            ),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})],
        ids=["call_1", "call_2"],
        finish="tool_calls",
    ),
    Row(
        "tools-finish-stop (google openai layer)",
        [
            delta(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "call_1",
                            "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                        }
                    ]
                }
            ),
            delta({}, fin="stop"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        finish="stop",
    ),
    Row(
        "tools-length (E)",
        [
            delta({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": ""}}]}),
            delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Par'}}]}),
            delta({}, fin="length"),
            DONE,
        ],
        invalid=[("get_weather", '{"city": "Par')],
        finish="length",
    ),
    Row(
        "an id that comes late, with a repeat of the arguments",
        [
            tools(0, name="get_weather", args='{"city": '),
            tools(0, args='"Paris"}'),
            tools(0, "c1", args='{"city": "Paris"}'),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["c1"],
        finish="tool_calls",
    ),
    Row(
        "an id that comes with a later piece",
        [
            tools(0, name="get_weather", args='{"city": '),
            tools(0, "c1", args='"Paris"'),
            tools(0, args="}"),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["c1"],
        finish="tool_calls",
    ),
    Row(
        "a name that comes after the arguments",
        [
            tools(0, "c1", args='{"city": '),
            tools(0, args='"Paris"}'),
            tools(0, name="get_weather"),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        ids=["c1"],
        finish="tool_calls",
    ),
    Row(
        "arguments as text, and once more as an object",
        [
            tools(0, "c1", "get_weather", '{"city": "Paris"}'),
            tools(0, args={"city": "Paris"}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        finish="tool_calls",
    ),
    Row(
        "a placeholder, and then the call with its name once more",
        [
            tools(0, "c1", "get_weather", "{}"),
            tools(0, name="get_weather", args='{"city": "Paris"}'),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        finish="tool_calls",
    ),
    Row(
        "a placeholder between the pieces of a name",
        [
            tools(0, "c1", "get_", "{}"),
            tools(0, name="weather"),
            tools(0, args='{"city": "Paris"}'),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        finish="tool_calls",
    ),
    Row(
        "a complete call twice",
        [
            tools(0, name="get_weather", args='{"city": "Paris"}'),
            tools(0, name="get_weather", args='{"city": "Paris"}'),
            tools(0, args='{"city": "Paris"}'),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        finish="tool_calls",
    ),
    Row(
        "arguments that are null, and ids that are",
        [
            tools(0, "null", "now", "null"),
            tools(1, "null", "look", '{"a": 1}'),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("now", {}), ("look", {"a": 1})],
        finish="tool_calls",
    ),
    Row(
        "a placeholder, and white space behind it",
        [
            tools(0, "c1", "get_weather", args="{}"),
            tools(0, args="\n"),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("get_weather", {})],
        finish="tool_calls",
    ),
    Row(
        "the next call of the same tool, all numbered 0",
        [
            tools(0, name="look", args='{"a": 1}'),
            tools(0, name="look", args='{"a": 2}'),
            tools(0, name="search"),
            tools(0, args='{"b": 3}'),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("look", {"a": 1}), ("look", {"a": 2}), ("search", {"b": 3})],
        finish="tool_calls",
    ),
    Row(
        "several calls at once, without ids or numbers",
        [
            delta({"tool_calls": [{"function": {"name": name, "arguments": ""}} for name in ("look", "search")]}),
            delta({"tool_calls": [{"function": {"arguments": text}} for text in ('{"a": ', '{"b": ')]}),
            delta({"tool_calls": [{"function": {"arguments": text}} for text in ("1}", "2}")]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("look", {"a": 1}), ("search", {"b": 2})],
        finish="tool_calls",
    ),
    Row(
        "function_call (legacy)",
        [
            delta({"function_call": {"name": "get_weather", "arguments": ""}}),
            delta({"function_call": {"arguments": '{"city"'}}),
            delta({"function_call": {"arguments": ': "Paris"}'}}),
            delta({}, fin="function_call"),
            DONE,
        ],
        calls=[("get_weather", {"city": "Paris"})],
        finish="function_call",
    ),
    Row(
        "json-answer (P)",
        [
            Event(
                {
                    "id": "chatcmpl-lab",
                    "object": "chat.completion",
                    "created": 1700000000,
                    "model": "lab-model",
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": "alpha beta"},
                            "logprobs": None,
                            "finish_reason": "stop",
                        }
                    ],
                    "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
                }
            )
        ],
        text="alpha beta",
        finish="stop",
        usage=(5, 7, 12),
    ),
    Row(
        "error-bare-after-text (N claude mid-stream)",
        [
            delta({"content": ""}),
            delta({"content": "alpha"}),
            Event(
                {
                    "error": {
                        "message": "用户额度不足, 剩余额度: ¥0.00",
                        "type": "new_api_error",
                        "param": "",
                        "code": "insufficient_user_quota",
                    }
                }
            ),
        ],
        text="alpha",
        error=True,
    ),
    Row(
        "error-anthropic (P anthropic)",
        [
            delta({"content": ""}),
            delta({"content": "alpha"}),
            Raw(
                'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'
            ),
        ],
        text="alpha",
        error=True,
    ),
    Row(
        "error-openrouter (openrouter)",
        [
            delta({"content": ""}),
            delta({"content": "alpha"}),
            delta(
                {"content": ""},
                fin="error",
                error={
                    "code": 502,
                    "message": "Provider disconnected unexpectedly",
                    "metadata": {"error_type": "provider_unavailable"},
                },
            ),
            DONE,
        ],
        text="alpha",
        error=True,
    ),
    Row(
        "error-finish-only (openrouter)",
        [delta({"content": ""}), delta({"content": "alpha"}), delta({}, fin="error"), DONE],
        text="alpha",
        error=True,
    ),
    Row(
        "error-text (H)",
        [
            delta({"content": ""}),
            delta({"content": "alpha"}),
            Raw("data: upstream connect error or disconnect/reset before headers"),
        ],
        text="alpha",
        error=True,
    ),
    Row(
        "done-without-finish (O gemini)",
        [
            delta({"content": "alpha"}, id="chatcmpl-1", model="gemini"),
            delta({"content": " beta"}, id="chatcmpl-2", model="gemini"),
            DONE,
        ],
        text="alpha beta",
        error=True,
    ),
    Row(
        "cut-in-tool-args (P)",
        [
            delta({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": ""}}]}),
            delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Par'}}]}),
        ],
        invalid=[("get_weather", '{"city": "Par')],
        error=True,
    ),
    Row(
        "prompt-blocked (N gemini blocked)",
        [
            Event({"choices": []}),
            Event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}}),
            DONE,
        ],
        error=True,
    ),
    Row("role-only-then-done (N)", [delta({"content": ""}), DONE], error=True),
    Row(
        "responses-native (P)",
        [
            Raw('event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1"}}'),
            Raw('event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"alpha beta"}'),
            Raw('event: response.completed\ndata: {"type":"response.completed","response":{}}'),
        ],
        error=True,
    ),
    # The producers of tool calls that are not among the rows above.
    Row(
        "all-0-without-text (N 0.8 claude)",
        [
            tools(0, "a", "f", ""),
            tools(0, args='{"x": 1}'),
            tools(0, "b", "now", ""),
            tools(0, "c", "g", ""),
            tools(0, args="{}"),
            delta({}, fin="tool_use"),
            DONE,
        ],
        calls=[("f", {"x": 1}), ("now", {}), ("g", {})],
        ids=["a", "b", "c"],
        finish="tool_use",
    ),
    Row(
        "pieces from the first delta on (llama.cpp)",
        [
            delta({"role": "assistant", "content": None}),
            tools(0, "a", "f", "{"),
            tools(0, args='"x"'),
            tools(0, args=": 1}"),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("f", {"x": 1})],
        ids=["a"],
        finish="tool_calls",
    ),
    Row(
        "null in later deltas (vLLM)",
        [
            tools(0, "a", "f", ""),
            tools(0, None, None, '{"x"'),
            tools(0, None, None, ": 1}"),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("f", {"x": 1})],
        ids=["a"],
        finish="tool_calls",
    ),
    Row(
        "no arguments key (vLLM)",
        [
            delta(
                {
                    "content": None,
                    "tool_calls": [{"id": "a", "type": "function", "index": 0, "function": {"name": "f"}}],
                }
            ),
            tools(0, args='{"x": 1}'),
            delta({"content": ""}, fin="tool_calls"),
            DONE,
        ],
        calls=[("f", {"x": 1})],
        ids=["a"],
        finish="tool_calls",
    ),
    Row(
        "each call whole at 0 (N 0.6 gemini)",
        [tools(0, "a", "f", '{"x": 1}'), tools(0, "b", "f", '{"x": 1}'), delta({}, fin="tool_calls"), DONE],
        calls=[("f", {"x": 1}), ("f", {"x": 1})],
        ids=["a", "b"],
        finish="tool_calls",
    ),
    Row(
        "ids of Ollama (N)",
        [tools(0, "call_0", "f", '{"x": 1}'), tools(1, "call_1", "g", "{}"), delta({}, fin="tool_calls"), DONE],
        calls=[("f", {"x": 1}), ("g", {})],
        ids=["call_0", "call_1"],
        finish="tool_calls",
    ),
    Row(
        "interleaved (OpenAI)",
        [
            tools(0, "a", "f", ""),
            tools(1, "b", "g", ""),
            tools(1, args='{"y"'),
            tools(0, args='{"x"'),
            tools(1, args=": 2}"),
            tools(0, args=": 1}"),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("f", {"x": 1}), ("g", {"y": 2})],
        ids=["a", "b"],
        finish="tool_calls",
    ),
    *(
        Row(
            f"one id for calls with the arguments {arguments}",
            [tools(0, "a", "f", arguments), tools(1, "a", "g", arguments), delta({}, fin="tool_calls"), DONE],
            calls=[("f", json.loads(arguments)), ("g", json.loads(arguments))],
            finish="tool_calls",
        )
        for arguments in ("{}", '{"x": 1}')
    ),
    Row(
        "neither ids nor numbers",
        [tools(None, None, "f", '{"x": 1}'), tools(None, None, "g", '{"y": 2}'), delta({}, fin="tool_calls"), DONE],
        calls=[("f", {"x": 1}), ("g", {"y": 2})],
        finish="tool_calls",
    ),
    Row(
        "no ids, all numbered 0",
        [tools(0, None, "f", '{"x": 1}'), tools(0, None, "g", '{"y": 2}'), delta({}, fin="tool_calls"), DONE],
        calls=[("f", {"x": 1}), ("g", {"y": 2})],
        finish="tool_calls",
    ),
    Row(
        "function null later",
        [
            tools(0, "a", "f", '{"x": 1}'),
            delta({"tool_calls": [{"index": 0, "function": None}]}),
            delta({}, fin="tool_calls"),
            DONE,
        ],
        calls=[("f", {"x": 1})],
        ids=["a"],
        finish="tool_calls",
    ),
    Row(
        "a number for an id",
        [tools(0, 7, "f", '{"x": 1}'), delta({}, fin="tool_calls"), DONE],
        calls=[("f", {"x": 1})],
        ids=["7"],
        finish="tool_calls",
    ),
    Row(
        "cut before any argument",
        [tools(0, "a", "f", ""), delta({}, fin="length"), DONE],
        invalid=[("f", "")],
        finish="length",
    ),
    Row(
        "cut before any argument (Mistral)",
        [tools(0, "a", "f", ""), delta({}, fin="model_length"), DONE],
        invalid=[("f", "")],
        finish="model_length",
    ),
    Row(
        "filtered before any argument",
        [tools(0, "a", "f", ""), delta({}, fin="content_filter"), DONE],
        invalid=[("f", "")],
        finish="content_filter",
    ),
    Row(
        "usage in the choice (Moonshot)",
        [
            delta({"content": "alpha"}),
            Event(
                {
                    "choices": [
                        {
                            "index": 0,
                            "delta": {},
                            "finish_reason": "stop",
                            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
                        }
                    ]
                }
            ),
            DONE,
        ],
        text="alpha",
        finish="stop",
        usage=(5, 7, 12),
    ),
    Row(
        "zeros after the counts (LiteLLM)",
        [
            delta({"content": "alpha"}, usage={"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}),
            delta({}, fin="stop", usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
            DONE,
        ],
        text="alpha",
        finish="stop",
        usage=(5, 7, 12),
    ),
    Row(
        "stop after length",
        [delta({"content": "alpha"}, fin="length"), delta({}, fin="stop"), DONE],
        text="alpha",
        finish="length",
    ),
    Row(
        "an error event at the top (openrouter)",
        [
            delta({"content": "alpha"}),
            Event(
                {
                    "error": {"code": 502, "message": "Provider disconnected"},
                    "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
                }
            ),
        ],
        text="alpha",
        error=True,
    ),
    Row(
        "filtered after text",
        [delta({"content": "alpha"}), delta({}, fin="content_filter"), DONE],
        text="alpha",
        finish="content_filter",
    ),
    Row("filtered without text", [delta({"content": ""}), delta({}, fin="content_filter"), DONE], error=True),
    Row(
        "refusal",
        [delta({"refusal": "I "}), delta({"refusal": "won't."}), delta({}, fin="stop"), DONE],
        refusal="I won't.",
        finish="stop",
    ),
    Row(
        "halves of a surrogate pair",
        [delta({"content": "a\ud83e"}), delta({"content": "\udd89b"}), delta({}, fin="stop"), DONE],
        text="a\U0001f989b",
        finish="stop",
    ),
]
