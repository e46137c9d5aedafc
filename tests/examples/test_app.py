"""The app: a question is answered from the documents, with its source and its tokens, in both languages."""

from __future__ import annotations

import sys

import pytest

from tests.docs.pages import ROOT
from tests.examples.test_quickstart import gateway as knowing
from tests.scripted import http
from tests.vectors import embedding
from tests.wire.chat import chat_stream

testing = pytest.importorskip("streamlit.testing.v1")

pytestmark = pytest.mark.filterwarnings("ignore")  # Streamlit's own


def gateway(seen):
    return embedding(seen) if seen.path.endswith("/embeddings") else chat_stream("On hills.")


APP = ROOT / "examples" / "documents_app.py"


@pytest.fixture
def app(monkeypatch):
    """Return a function that opens the app at an address."""
    import streamlit as st

    # Streamlit leaves the app in this place, and a process that a later test spawns would run it.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])

    def open_at(url):
        monkeypatch.setenv("XDM_BASE_URL", url)
        monkeypatch.setenv("XDM_API_KEY", "local")
        return testing.AppTest.from_file(str(APP), default_timeout=200).run()

    yield open_at
    st.cache_resource.clear()


def test_a_question_is_answered_with_its_source_and_its_tokens(app, chat_engine):
    page = app(chat_engine.base_url)
    assert not page.exception
    page.chat_input(key="question").set_value("Who lays the eggs in a bee colony?").run()
    assert not page.exception
    asked, answered = page.chat_message
    assert asked.markdown[0].value == "Who lays the eggs in a bee colony?"
    assert answered.markdown[0].value
    source, tokens = (caption.value for caption in answered.caption)
    assert source.startswith("bees.md")
    assert "tokens" in tokens


def test_it_speaks_chinese_too(app, server):
    server.script = knowing
    page = app(server.url)
    page.radio(key="language").set_value("中文").run()
    assert page.title[0].value == "向你的文档提问"
    page.chat_input(key="question").set_value("指南针的核心是什么？").run()  # noqa: RUF001 - Chinese punctuation
    assert page.chat_message[1].caption[0].value.startswith("compass-zh.md")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_that_is_dropped_is_the_source_whatever_wrote_it(app, server, encoding):
    server.script = gateway
    page = app(server.url)
    page.file_uploader[0].upload("茶.txt", "茶树长在山上。".encode(encoding), "text/plain").run()
    page.chat_input(key="question").set_value("Where does tea grow?").run()
    assert not page.exception
    assert page.chat_message[1].caption[0].value == "茶.txt"
    assert "茶树长在山上。" in server.requests[-1].json["messages"][1]["content"]


def test_an_error_is_shown_with_its_advice(app, server):
    server.script = lambda _: http({"error": {"message": "无效的令牌", "type": "new_api_error"}}, 401)
    page = app(server.url)
    assert not page.exception
    assert "XDM_API_KEY" in page.error[0].value


def test_it_is_short():
    assert len(APP.read_text("utf-8").splitlines()) <= 100
