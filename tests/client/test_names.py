"""Names that don't exist, or not here: the error says which one was meant, or which method takes it."""

from __future__ import annotations

import copy

import pytest

from xdm_integrations import Client, ConfigurationError
from xdm_integrations.langchain import XDMLLM, ChatXDM, XDMEmbeddings
from xdm_integrations.llama_index import XDM, XDMChat, XDMEmbedding


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"api_base": "http://localhost/v1"}, "base_url"),
        ({"max_retry": 3}, "max_retries"),
        ({"apikey": "x"}, "api_key"),
        ({"temperature": 0}, "parameter of a call"),
        ({"tools": []}, "parameter of a call"),
        ({"colour": "red"}, "The settings are api_key, base_url"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_by_the_right_name(surface, setting, said):
    (name,) = setting
    with pytest.raises(ConfigurationError, match=rf"^{name}: .*{said}"):
        surface.client(**setting)


def test_a_subclass_may_have_settings_of_its_own_and_copies_need_none():
    class Own(Client):
        def __init__(self, *, colour):
            super().__init__(base_url="http://localhost/v1")
            self.colour = colour

    own = Own(colour="red")
    assert copy.copy(own).colour == "red"
    own.close()


@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        ("complete", {"stream": True}, "`stream`"),
        ("chat", {"stream": True}, "`stream_chat`"),
        ("complete", {"tools": []}, "`chat`"),
        ("stream", {"messages": []}, "`chat`"),
        ("chat", {"suffix": "x"}, "`complete`"),
        ("complete", {"max_concurrency": 2}, "`complete_batch`"),
        ("complete_batch", {"max_concurency": 2}, "max_concurrency"),
        ("chat_batch", {"stop_on_eror": True}, "stop_on_error"),
        ("embed", {"temperature": 1}, "extra_body"),
        ("chat", {"max_token": 2}, "max_tokens"),
        ("chat", {"model": " "}, "model"),
        ("complete", {"model": ""}, "model"),
        ("embed", {"model": ""}, "model"),
    ],
)
def test_a_name_that_a_method_does_not_take_is_refused_before_a_byte_is_sent(surface, server, method, given, said):
    (name,) = given
    client = surface.client(base_url=server.url)
    with pytest.raises(ConfigurationError, match=rf"^{name}: .*{said}"):
        surface.run(getattr(client, method)(["a"] if method.endswith("batch") else "a", **given))
    assert server.requests == []


@pytest.mark.parametrize("adapter", [XDMLLM, ChatXDM, XDMEmbeddings, XDM, XDMChat, XDMEmbedding])
@pytest.mark.parametrize("model", ["", " "])
def test_an_empty_name_of_a_model_is_refused_by_every_class(adapter, model):
    with pytest.raises(ConfigurationError, match=r"^model: an empty string"):
        adapter(api_key="k", model=model)
