"""`xdm chat`: what is shown, what is sent, what is kept, and how Ctrl-C and errors leave it."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import subprocess
import threading
import time
from base64 import b64encode
from contextlib import contextmanager

import pytest
from rich.console import Console

from tests.cli.conftest import command
from tests.scripted import RESET, http, stream
from tests.wire.chat import answer, chat_stream, delta, talking
from xdm_integrations.cli import chat as chat_command
from xdm_integrations.cli.conversation import Conversation
from xdm_integrations.cli.markdown import MarkdownScreen, finished
from xdm_integrations.core.errors.tree import ConfigurationError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
SYSTEM = {"role": "system", "content": "Be brief."}


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


# One question


def test_one_question_writes_the_text_and_nothing_else(run, server):
    server.script = talking("# Hi\n\n**you**")
    result = run("chat", "--once", "Hello", "-m", "m", "--system", "Be brief.", "--max-tokens", "7")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "# Hi\n\n**you**\n", "")
    sent = server.requests[0].json
    assert (sent["model"], sent["max_tokens"], sent["messages"]) == ("m", 7, [SYSTEM, user("Hello")])


def test_what_is_piped_in_is_the_question(run, server):
    server.script = talking("Hi")
    assert run("chat", input="two\nlines").stdout == "Hi\n"
    assert server.requests[0].json["messages"] == [user("two\nlines")]


def test_an_image_goes_with_the_question(run, server, tmp_path):
    (tmp_path / "cat.png").write_bytes(PNG)
    server.script = talking("A cat.")
    assert run("chat", "--once", "What?", "--image", tmp_path / "cat.png").stdout == "A cat.\n"
    image, text = server.requests[0].json["messages"][0]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert text == {"type": "text", "text": "What?"}


def test_an_image_may_be_named_by_its_url(run, server):
    server.script = talking("A cat.")
    assert run("chat", "--once", "What?", "--image", "https://a.example/cat.png").exit_code == 0
    image, _ = server.requests[0].json["messages"][0]["content"]
    assert image["image_url"] == {"url": "https://a.example/cat.png"}


def test_json_is_one_line(run, server):
    server.script = [http(answer("Hi"), headers={"X-Oneapi-Request-Id": "r1"})]
    assert json.loads(run("chat", "--once", "Hello", "--json").stdout) == {
        "text": "Hi",
        "message": assistant("Hi"),
        "finish_reason": "stop",
        "model": "served-model",
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        "request_id": "r1",
    }


MISTAKES = [
    ["--once", " "],
    [],
    ["--once", "x", "--image", "none.png"],
    ["--once", "\udcff"],
    ["--once", "x", "--system", "\udcff"],
    ["--once", "x", "--temperature", "9"],
    ["--once", "x", "--base-url", "https://gateway.example/v1"],  # without a key
]


@pytest.mark.parametrize("args", MISTAKES)
def test_a_mistake_exits_with_2_and_sends_nothing(run, server, args):
    result = run("chat", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert not server.requests


def test_an_error_is_one_line_and_exits_with_1(run, server):
    server.script = [http({"error": {"message": "bad\nkey", "type": "new_api_error"}}, 401)]
    result = run("chat", "--once", "Hello")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("AuthenticationError: ")
    assert result.stderr.count("\n") == 1


def test_a_cut_stream_keeps_what_came_and_fails(run, server):
    server.script = [stream(delta("Once upon"), RESET)]
    result = run("chat", "--once", "Hello")
    assert (result.exit_code, result.stdout) == (1, "Once upon\n")
    assert "StreamInterruptedError" in result.stderr


def test_an_answer_that_was_cut_by_max_tokens_is_said_to_be(run, server):
    server.script = [chat_stream("a", finish="length")]
    result = run("chat", "--once", "Hello")
    assert result.stdout == "a\n"
    assert "--max-tokens" in result.stderr


def image_of(data, kind="image/png"):
    return at_address(f"data:{kind};base64,{b64encode(data).decode()}")


def at_address(url):
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder of the test's own."""
    made = tmp_path / "work"
    made.mkdir()
    monkeypatch.chdir(made)
    return made


MEDIA = {"images": [image_of(PNG)], "audio": {"id": "audio_1", "data": "AAAA", "transcript": "Miaow"}}


def drawn(run, server, *images):
    """Return what is told of these images; it is wrapped where the screen ends."""
    server.script = [chat_stream("A cat.", delta(images=list(images)))]
    result = run("chat", "--once", "Draw a cat.")
    assert (result.exit_code, result.stdout) == (0, "A cat.\n")
    return " ".join(result.stderr.split())


def test_json_has_what_a_terminal_cannot_show_and_writes_no_file(run, server, folder):
    server.script = [chat_stream("A cat.", delta(audio=MEDIA["audio"])), http(answer("A cat.", **MEDIA))]
    assert "The answer has sound too" in run("chat", "--once", "Draw a cat.").stderr
    told = json.loads(run("chat", "--once", "Draw a cat.", "--json").stdout)
    assert {name: told.get(name) for name in MEDIA} == MEDIA
    assert list(folder.iterdir()) == []


def test_images_of_an_answer_become_files_and_overwrite_none(run, server, folder):
    (folder / "xdm-chat-1.png").write_bytes(b"mine")
    svg = b"<svg/>"
    told = drawn(run, server, image_of(PNG), image_of(PNG, "image/jpeg"), image_of(svg, "image/svg+xml"))
    assert told == "Image saved: xdm-chat-2.png Image saved: xdm-chat-3.png Image saved: xdm-chat-1.svg"
    assert (folder / "xdm-chat-1.png").read_bytes() == b"mine"
    assert (folder / "xdm-chat-2.png").read_bytes() == (folder / "xdm-chat-3.png").read_bytes() == PNG
    assert (folder / "xdm-chat-1.svg").read_bytes() == svg
    assert drawn(run, server, image_of(b"x", "image/../../x")) == "Image saved: xdm-chat-1.bin"


def test_an_image_that_cannot_become_a_file_is_named(run, server, folder):
    assert drawn(run, server, at_address("https://a.example/b.png")).endswith("an image: https://a.example/b.png")
    assert "can't be read" in drawn(run, server, at_address("data:image/png;base64,x"))
    assert list(folder.iterdir()) == []
    folder.rmdir()
    assert "can't be saved" in drawn(run, server, image_of(PNG))


def test_a_refusal_is_shown(run, server):
    server.script = [chat_stream(delta(refusal="I can't."))]
    assert run("chat", "--once", "Hello").stdout == "I can't.\n"


# A conversation


class Terminal:
    """`xdm chat` at a terminal, as a user sees it."""

    def __init__(self, file):
        self._file = file
        self._unread = ""
        self.shown = ""

    def type(self, text):
        os.write(self._file, text.encode())

    def interrupt(self):
        time.sleep(0.3)  # a signal that comes just before the kernel is entered would not wake it there
        self.type("\x03")

    def wait_for(self, text):
        """Wait until a text is shown, and forget what stands before its end."""
        until = time.monotonic() + 30
        while text not in self._unread:
            assert select.select([self._file], [], [], until - time.monotonic())[0], (text, self.shown)
            new = os.read(self._file, 65536).decode("utf-8", "replace")
            self.shown += new
            self._unread += new
        self._unread = self._unread.partition(text)[2]

    def say(self, text, then="> "):
        self.type(text + "\n")
        self.wait_for("\n")  # the echo, which may hold the prompt's sign
        self.wait_for(then)


@contextmanager
def terminal(server, *args, stdout=None):
    ours, theirs = pty.openpty()
    how = command("chat", *args, XDM_BASE_URL=server.url, TERM="xterm", COLUMNS="80", NO_COLOR="1")
    how |= {"stdin": theirs, "stdout": stdout or theirs, "stderr": theirs, "start_new_session": True}

    def own_terminal():
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C typed there is a signal

    running = subprocess.Popen(**how, preexec_fn=own_terminal)  # noqa: PLW1509 - no other way to give it a terminal
    os.close(theirs)
    try:
        shown = Terminal(ours)
        shown.wait_for("> ")
        yield shown, running
    finally:
        running.kill()
        running.wait()
        os.close(ours)


def test_a_conversation_repeats_what_was_said_and_counts(server):
    server.script = talking("I am **fine**.", "Well.")
    with terminal(server, "-m", "first") as (screen, running):
        screen.say("How are you?", "7 + 3 tokens, ")
        screen.wait_for("> ")
        screen.say("/system Be brief.")
        screen.say("/model second")
        screen.say("And now?", "Well.")
        screen.wait_for("> ")
        screen.type("/exit\n")
        assert running.wait(30) == 0
    first, second = (seen.json for seen in server.requests)
    assert (first["model"], first["messages"]) == ("first", [user("How are you?")])
    assert second["model"] == "second"
    assert second["messages"] == [SYSTEM, user("How are you?"), assistant("I am **fine**."), user("And now?")]
    assert "I am \x1b[1mfine\x1b[0m." in screen.shown


def test_the_model_that_is_shown_is_the_one_that_is_asked(server):
    server.script = talking("Hi")
    with terminal(server) as (screen, _):
        screen.say("/model", "Model: gpt-4o-mini")
        screen.wait_for("> ")
        screen.say("Hello", "tokens")
    assert server.requests[0].json["model"] == "gpt-4o-mini"


def test_a_mistake_is_found_before_the_first_question(server):
    ours, theirs = pty.openpty()
    how = command("chat", "--temperature", "9", XDM_BASE_URL=server.url) | {"stdin": theirs}
    with subprocess.Popen(**how) as running:
        _, error = running.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    assert running.returncode == 2
    assert "temperature" in error


def test_ctrl_c_stops_the_answer_and_not_the_program(server):
    go_on = threading.Event()
    server.script = talking(stream(delta("Once upon"), go_on, end=False), "Better.")
    with terminal(server) as (screen, running):
        screen.say("A story", "Once upon")
        screen.interrupt()
        screen.wait_for("Stopped.")
        assert server.wait_until(lambda: len(server.requests) == 1)
        go_on.set()
        screen.wait_for("> ")
        screen.say("Shorter", "Better.")
        screen.wait_for("> ")
        screen.type("half a line")
        screen.wait_for("half a line")
        screen.interrupt()
        screen.wait_for("> ")
        screen.interrupt()
        screen.wait_for("Interrupted.")
        assert running.wait(30) == 130
    assert server.requests[1].json["messages"] == [user("A story"), assistant("Once upon"), user("Shorter")]


def test_an_error_leaves_the_conversation_as_it_was(server):
    server.script = talking(http({"error": {"message": "too long", "type": "x"}}, 400), "Hi")
    with terminal(server) as (screen, running):
        screen.say("one", "too long")
        screen.wait_for("> ")
        screen.say("/nonsense", "There is no /nonsense")
        screen.say("two", "tokens")
        screen.wait_for("> ")
        screen.type("\x04")
        assert running.wait(30) == 0
    assert server.requests[1].json["messages"] == [user("two")]


def test_an_image_waits_for_a_question_that_is_answered(server, tmp_path):
    """One that belongs to a question goes with it, and is given again with it."""
    busy = http({"error": {"message": "too long", "type": "x"}}, 400)
    server.script = talking(busy, "A cat.", "Nothing.", busy, "What cat?")
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    with terminal(server) as (screen, _):
        screen.say(f"/image {path}", "goes with the next question")
        screen.wait_for("> ")
        for line, told in [
            ("Which?", "too long"),
            ("Which?", "tokens"),
            ("And?", "tokens"),
            (f"/image {path} Well?", "too long"),
            ("Well?", "tokens"),
        ]:
            screen.say(line, told)
            screen.wait_for("> ")
    asked = [seen.json["messages"][-1]["content"] for seen in server.requests]
    assert [len(content) if isinstance(content, list) else 0 for content in asked] == [2, 2, 0, 2, 0]


def test_commands_say_what_there_is_and_what_they_miss(server, tmp_path):
    with terminal(server) as (screen, _):
        for line, told in [
            ("/help", "end, as Ctrl-D does"),
            ("/image", "/image needs the name of a file"),
            ("/save", "/save needs the name of a file"),
            (f"/load {tmp_path}/none", "No such file"),
            (f"/image {tmp_path}/none", "No such file"),
        ]:
            screen.say(line, told)
            screen.wait_for("> ")
    assert not server.requests


def test_a_model_that_thinks_is_shown_to(server):
    go_on = threading.Event()
    server.script = [stream(delta(reasoning_content="hm"), go_on, delta("Hi"), delta(finish="stop"))]
    with terminal(server) as (screen, _):
        screen.say("Hello", "thinking")
        go_on.set()
        screen.wait_for("Hi")


def test_a_conversation_is_saved_and_loaded(server, tmp_path):
    server.script = talking("Hi")
    with terminal(server) as (screen, _):
        screen.say("Hello", "tokens")
        screen.wait_for("> ")
        screen.say(f"/save {tmp_path}/talk.json", "2 messages")
    (tmp_path / "my cat.png").write_bytes(PNG)
    with terminal(server) as (screen, _):
        screen.say(f"/load {tmp_path}/talk.json", "2 messages")
        screen.wait_for("> ")
        screen.say(f'/image "{tmp_path}/my cat.png" What is it?', "tokens")
    *before, asked = server.requests[-1].json["messages"]
    assert before == [user("Hello"), assistant("Hi")]
    assert [part["type"] for part in asked["content"]] == ["image_url", "text"]


def test_answers_go_to_a_file_without_prompts_and_notes(server, tmp_path):
    server.script = talking("**Hi**")
    with (tmp_path / "out").open("wb") as out, terminal(server, stdout=out) as (screen, running):
        screen.say("Hello", "tokens")
        screen.wait_for("> ")
        screen.type("/exit\n")
        assert running.wait(30) == 0
    assert (tmp_path / "out").read_text() == "**Hi**\n"


def test_json_is_for_one_question(server):
    ours, theirs = pty.openpty()
    how = command("chat", "--json", XDM_BASE_URL=server.url) | {"stdin": theirs}
    with subprocess.Popen(**how) as running:
        _, error = running.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    assert running.returncode == 2
    assert "--once" in error


def test_the_help_fits_a_terminal():
    assert max(map(len, chat_command.HELP.splitlines())) < 80


# The file


@pytest.mark.parametrize("held", ["no JSON", "{}", '{"messages": "text"}', '{"messages": [{"content": "x"}]}', "3"])
def test_what_is_no_conversation_is_neither_loaded_nor_overwritten(tmp_path, held):
    path = tmp_path / "file"
    path.write_text(held)
    conversation = Conversation([user("x")])
    with pytest.raises(ConfigurationError, match="file"):
        conversation.load(path)
    with pytest.raises(ConfigurationError, match="stays as it is"):
        conversation.save(path)
    assert (path.read_text(), conversation.messages) == (held, [user("x")])


def test_a_saved_conversation_can_be_saved_again_and_is_the_same(tmp_path):
    path = tmp_path / "file"
    Conversation().save(path)
    whole = [SYSTEM, user("\u4f60"), assistant("x")]
    Conversation(whole).save(path)
    again = Conversation()
    again.load(path)
    assert again.messages == whole


def test_a_system_message_replaces_the_one_before():
    conversation = Conversation([user("x")])
    conversation.set_system("a")
    conversation.set_system("Be brief.")
    assert conversation.messages == [SYSTEM, user("x")]
    conversation.set_system("")
    assert conversation.messages == [user("x")]


# Markdown


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("one\ntwo\n\n", ""),
        ("one\n\ntwo", "one\n\n"),
        ("one\n\n\ntwo\n\nthree", "one\n\n\n"),
        ("- one\n\n  more\n\n", ""),
        ("```\na\n\nb\n", ""),
        ("```\na\n\nb\n```\n\nend", "```\na\n\nb\n```\n\n"),
        ("````\n```\n\nb", ""),
        ("~~~\n```\n\nb\n", ""),
    ],
)
def test_a_block_is_complete_when_nothing_to_come_can_change_it(text, complete):
    assert text[: finished(text)] == complete


def test_markdown_looks_the_same_however_it_is_sliced():
    text = "# Title\n\nSome **bold** text.\n\n1. one\n2. two\n\n```python\na\n\nb\n```\n\nThe \x1b[31mend.\n"

    def shown(*pieces):
        out = Console(file=io.StringIO(), width=40)
        with MarkdownScreen(out) as screen:
            for piece in pieces:
                screen.write(piece)
        return out.file.getvalue()

    whole = shown(text)
    assert shown(*text) == whole
    assert "**" not in whole
    assert "\x1b" not in whole
    assert "bold text.\n\n 1 one" in re.sub(" +\n", "\n", whole)
