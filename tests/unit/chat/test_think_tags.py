"""A thought in front of the answer is told apart, wherever its tags are cut."""

from __future__ import annotations

import pytest

from xdm_integrations.core.chat.message_so_far import ChatSoFar


def read(pieces):
    so_far, chunks = ChatSoFar(1, think_tags=True), []
    for piece in pieces:
        so_far.add({"choices": [{"delta": {"content": piece}}]}, chunks)
    so_far.add({"choices": [{"delta": {}, "finish_reason": "stop"}]}, chunks)
    so_far.end(chunks)
    answer = so_far.result({})
    assert "".join(chunk.text for chunk in chunks) == answer.text
    assert "".join(chunk.reasoning for chunk in chunks) == answer.reasoning
    return answer.text, answer.reasoning


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("<think>\nh m\n</think>\n\nalpha beta", ("alpha beta", "h m")),
        ("<think>a < b </ think></think>yes", ("yes", "a < b </ think>")),
        ("\n<think>hm</think>alpha <think>no</think>", ("alpha <think>no</think>", "hm")),
        ("<think></think>alpha", ("alpha", "")),
        ("<thinking> is no tag", ("<thinking> is no tag", "")),
        ("<thi", ("<thi", "")),
        ("  alpha", ("  alpha", "")),
        ("<think>never closed", ("", "never closed")),
        ("<think>", ("", "")),
        ("猫<think>x</think>", ("猫<think>x</think>", "")),
    ],
)
def test_a_leading_thought_is_reasoning_at_any_slicing(text, right):
    assert read([text]) == right
    for size in (1, 2, 3, 5):
        assert read([text[at : at + size] for at in range(0, len(text), size)]) == right


@pytest.mark.parametrize(
    ("pieces", "right"),
    [
        (["<think>h\ud83d"], ("", "h\ufffd")),
        (["<think>h\ud83d", "\ude00</think>a\ud83d", "\ude00"], ("a😀", "h😀")),
        (["<think>h</think>\ud83d"], ("\ufffd", "h")),
        (["<thi\ud83d"], ("<thi\ufffd", "")),
        (["<think>h</thi\ud83d"], ("", "h</thi\ufffd")),
    ],
)
def test_half_a_character_at_the_end_stands_where_the_character_would(pieces, right):
    assert read(pieces) == right


@pytest.mark.parametrize(
    "text", ["<think>h </think>\nal", "  <thi", "<think>a < b </thi", "<th\ud83d", "<think>h\ud83d"]
)
def test_an_answer_that_is_cut_holds_what_it_holds_if_it_ends_there(text):
    for size in (1, 2, 3, 5):
        so_far = ChatSoFar(1, think_tags=True)
        for end in range(size, len(text) + size, size):
            so_far.add({"choices": [{"delta": {"content": text[end - size : end]}}]}, [])
            partial = so_far.result({})
            assert (partial.text, partial.reasoning) == read([text[:end]])
            assert so_far.has_output == bool(partial.text or partial.reasoning)


@pytest.mark.parametrize(
    "pieces", [["a", "b", "c"], ["<think>hm</think>a", "b", "c"], ["<think>", "</think>", "a", "b", "c"]]
)
def test_text_is_delivered_as_it_comes_once_it_is_known_to_be_text(pieces):
    so_far, chunks = ChatSoFar(1, think_tags=True), []
    for piece in pieces:
        so_far.add({"choices": [{"delta": {"content": piece}}]}, chunks)
    assert [chunk.text for chunk in chunks if chunk.text] == ["a", "b", "c"]


def test_a_thought_is_delivered_as_it_comes():
    so_far, chunks = ChatSoFar(1, think_tags=True), []
    for piece in ["<think>", "a", "b", " c", " <d", "e", "</think>", "f"]:
        so_far.add({"choices": [{"delta": {"content": piece}}]}, chunks)
    assert [chunk.reasoning for chunk in chunks if chunk.reasoning] == ["a", "b", " c", " <d", "e"]
