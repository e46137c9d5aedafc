"""Every wait that a person would notice is told: what for and how long, on a terminal and in a pipe."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from contextlib import suppress

import pytest

from tests.cli.test_batch_requests import gateway
from tests.client.conftest import waits
from tests.scripted import completion, echoing, http
from tests.wire.chat import talking
from xdm_integrations.cli import progress
from xdm_integrations.cli.commands import xdm

__all__ = ["waits"]

BUSY = {"error": {"message": "Rate limit reached\nfor [gpt]", "type": "rate_limit_error"}}


class Clock:
    """The clock of what is shown; it goes when a test says so."""

    def __init__(self):
        self._now = 0.0
        self._read = threading.Condition()
        self._reads = 0

    def monotonic(self):
        with self._read:
            self._reads += 1
            self._read.notify_all()
            return self._now

    def go(self, seconds):
        """Let time pass, and wait until what is shown has been drawn again."""
        with self._read:
            self._now += seconds
            seen = self._reads
            assert self._read.wait_for(lambda: self._reads >= seen + 2, 10)

    def jump(self, seconds):
        """Let time pass, whoever looks."""
        self._now += seconds


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


@pytest.fixture
def shown(server, monkeypatch, capsys):
    """Run a command whose standard error is a terminal, and return what came there, in lines as they are drawn."""
    monkeypatch.setenv("XDM_BASE_URL", server.url)
    for name, value in {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)

    def run(*args):
        terminal = Screen()
        monkeypatch.setattr(sys, "stderr", terminal)
        with suppress(SystemExit):
            xdm.main([str(arg) for arg in args], standalone_mode=False)
        run.output = capsys.readouterr().out
        plain = re.sub(r"\x1b\[\d*m", "", terminal.getvalue())
        return [line for line in re.split(r"\n|\r|\x1b\[\?*\d*[A-Za-z]", plain) if line]

    return run


WAITED_FOR = [
    (("complete", "x"), "the answer"),
    (("complete", "x", "--json"), "the answer"),
    (("complete", "x", "--stream"), "the first words"),
    (("chat", "--once", "x"), "the answer"),
    (("chat", "--once", "x", "--json"), "the answer"),
    (("models",), "the list"),
    (("quota",), "the quota"),
    (("doctor",), "an answer"),
]


@pytest.mark.parametrize(("args", "what"), WAITED_FOR, ids=[" ".join(args) for args, _ in WAITED_FOR])
def test_a_terminal_shows_what_is_waited_for_and_how_long(shown, server, clock, args, what):
    def script(seen):
        first = len(server.requests) == 1
        return [*([lambda: clock.go(2.5), lambda: clock.go(40)] if first else []), *http({}, 404)]

    server.script = script
    drawn = shown(*args)
    assert f"waiting for {what}, 2 s" in drawn
    assert f"waiting for {what}, 42 s" in drawn


@pytest.mark.parametrize(("args", "what"), WAITED_FOR[:5], ids=[" ".join(args) for args, _ in WAITED_FOR[:5]])
def test_a_wait_of_less_than_two_seconds_is_not_shown(shown, server, clock, args, what):
    answers = talking("Hi") if args[0] == "chat" else echoing
    server.script = lambda seen: [lambda: clock.go(1.9), *answers(seen)]
    assert shown(*args) == []
    assert "x" in shown.output or "Hi" in shown.output


def test_what_was_shown_is_gone_when_the_answer_is_there(shown, server, clock, monkeypatch):
    server.script = lambda seen: [lambda: clock.go(3), *echoing(seen)]
    shown("complete", "x")
    assert sys.stderr.getvalue().endswith("\r\x1b[1A\x1b[2K")  # up to the line of the wait, which is erased
    assert shown.output == "<x>\n"


@pytest.mark.parametrize("args", [args for args, _ in WAITED_FOR[:5]], ids=" ".join)
def test_in_a_pipe_a_wait_for_an_answer_writes_nothing(run, server, clock, args):
    answers = talking("Hi") if args[0] == "chat" else echoing
    server.script = lambda seen: [lambda: clock.jump(60), *answers(seen)]
    result = run(*args)
    assert (result.exit_code, result.stderr) == (0, "")


# Retries


def busy(*seconds):
    """Answers that ask for waits, and a healthy one."""
    return [http(BUSY, 429, {"Retry-After": str(each)}) for each in seconds] + [http(completion("Hi"))]


def test_the_wait_before_a_retry_is_one_line_in_a_pipe(run, server, waits):
    server.script = busy(20, 3)
    result = run("complete", "x")
    assert (result.exit_code, result.stdout) == (0, "Hi\n")
    first, second = result.stderr.splitlines()
    told = 'The gateway said: "Rate limit reached for [gpt]" (HTTP 429, rate_limit_error, retry after '
    assert first.startswith(f"Waiting 21 s before retry 1: {told}20 s)")
    assert second.startswith(f"Waiting 3 s before retry 2: {told}3 s)")
    assert waits == [21.0, pytest.approx(3.3)]


def test_a_short_wait_before_a_retry_is_not_told(run, server, waits):
    server.script = busy(1)
    assert run("complete", "x").stderr == ""
    assert waits == [1.1]


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("command", ["complete", "batch", "embed"])
def test_on_a_terminal_a_retry_has_a_line_of_its_own_beside_what_moves_there(shown, server, clock, tmp_path, command):
    asked = tmp_path / "in.jsonl"
    asked.write_text('"x"\n', "utf-8")
    args = ["complete", "x"] if command == "complete" else [command, asked, "-o", tmp_path / "out.jsonl"]

    def script(seen):
        if len(server.requests) == 1:
            return [lambda: clock.go(30), *http(BUSY, 429, {"Retry-After": "20"})]
        return gateway(seen)

    server.script = script
    drawn = shown(*args)
    assert any(line.startswith("Waiting 21 s before retry 1: The gateway said:") for line in drawn)
    moving = "waiting for the answer, 30 s" if command == "complete" else "waiting 30 s"
    assert any(line.endswith(moving) or moving + " " in line for line in drawn)


def test_the_waits_of_a_batch_are_told_at_most_every_ten_seconds(run, server, waits, clock, tmp_path):
    (tmp_path / "in.jsonl").write_text("".join(f'"p{i}"\n' for i in range(30)), "utf-8")

    def script(seen):
        if len(server.requests) % 2:
            clock.jump(1)
            return http(BUSY, 429, {"Retry-After": "20"})
        return echoing(seen)

    server.script = script
    result = run("batch", tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", "-c", 1, "--batch-size", 1)
    assert result.exit_code == 0
    assert len(waits) == 30
    assert sum(line.startswith("Waiting 21 s") for line in result.stderr.splitlines()) == 3


# The bar


def test_the_bar_of_a_batch_says_how_far_it_is_what_it_costs_and_how_long_nothing_came(shown, server, clock, tmp_path):
    (tmp_path / "in.jsonl").write_text("".join(f'"p{i} and more"\n' for i in range(4)), "utf-8")
    arguments = ("batch", tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", "-c", 1, "--batch-size", 2)

    def script(seen):
        if len(server.requests) == 2:
            return [lambda: clock.go(1), lambda: clock.go(9), *echoing(seen)]
        return [lambda: clock.go(1), *echoing(seen)]

    server.script = script
    drawn = shown(*arguments, "--price", "1000000,0")
    assert any("0/4" in line and "0.0/s" in line for line in drawn)
    halfway = [line for line in drawn if "2/4" in line and "8 tokens cost 6.00" in line]
    assert halfway
    assert any("waiting 10 s" in line for line in halfway)
    assert not any("waiting" in line for line in drawn if "waiting 10 s" not in line)


def test_a_batch_in_a_pipe_writes_no_bar(run, server, clock, tmp_path):
    (tmp_path / "in.jsonl").write_text('"p"\n', "utf-8")
    server.script = lambda seen: [lambda: clock.jump(60), *echoing(seen)]
    result = run("batch", tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", "--json")
    assert json.loads(result.stdout)["answered"] == 1
    assert result.stderr == ""
