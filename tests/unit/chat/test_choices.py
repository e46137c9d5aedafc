"""Several choices: which one an event speaks of."""

from __future__ import annotations

import pytest

from tests.wire.chat import delta
from xdm_integrations import APIResponseError
from xdm_integrations.core.chat.message_so_far import ChatSoFar


def read(*events):
    so_far, chunks = ChatSoFar(2), []
    for event in events:
        so_far.add(event, chunks)
    so_far.end(chunks)
    return [choice.message.text for choice in so_far.result({}).choices], [chunk.index for chunk in chunks]


@pytest.mark.parametrize("index", [1, "1", 1.0])
def test_an_index_may_come_as_digits_or_with_a_decimal_point(index):
    assert read(delta("a"), delta("b", index=index)) == (["a", "b"], [0, 1])


@pytest.mark.parametrize("index", [None, ""])
def test_a_choice_without_a_number_is_the_first(index):
    assert read(delta("a", index=index), delta("b", index=1)) == (["a", "b"], [0, 1])


@pytest.mark.parametrize("index", [2, -1, "one", 1.5, True, [0], "1" * 5000])
def test_an_index_that_was_not_asked_for_is_an_error(index):
    with pytest.raises(APIResponseError, match="where 2 were asked for"):
        read(delta("a"), delta("b", index=index))
