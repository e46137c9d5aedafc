"""The recordings themselves: all of them are used, none was written by hand, none holds a key."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
import vcr
import yaml
from vcr.errors import CannotOverwriteExistingCassetteException

from tests.replay import provenance
from tests.replay.adapter_ways import adapter_cassettes
from tests.replay.cases import BATCH, TEST, client_cassettes
from tests.replay.chat_cases import chat_cassettes
from tests.replay.conftest import CASSETTES, GATEWAY, LOCAL_KEY, PORT, WRONG_KEY
from tests.replay.framework_cases import framework_cassettes
from tests.replay.scrubbing import clean_request, clean_response, clean_text, secrets_in
from xdm_integrations import AsyncClient, Client

if TYPE_CHECKING:
    from pathlib import Path

EXPECTED = client_cassettes() | chat_cassettes() | framework_cassettes() | adapter_cassettes()
FILES = sorted(CASSETTES.rglob("*.yaml"))


def test_every_cassette_is_played_and_every_test_has_one() -> None:
    names = {provenance.name_of(path, CASSETTES) for path in FILES}
    local = {name for name in names if not name.startswith(GATEWAY)}
    assert local == EXPECTED
    gateway = {name.removeprefix(GATEWAY + "/") for name in names - local}
    assert gateway in (set(), EXPECTED)


def test_nothing_else_lies_in_the_folder() -> None:
    others = [path for path in CASSETTES.rglob("*") if path.is_file() and path not in FILES]
    assert others == [CASSETTES / provenance.README]


def test_the_page_says_where_each_comes_from_and_none_was_changed_by_hand() -> None:
    rows = provenance.read(CASSETTES)
    assert {name: row.digest for name, row in rows.items()} == {
        provenance.name_of(path, CASSETTES): provenance.digest(path) for path in FILES
    }
    for row in rows.values():
        assert row.server
        assert row.model
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", row.recorded)


@pytest.mark.parametrize("path", FILES, ids=lambda path: provenance.name_of(path, CASSETTES))
def test_no_secret_is_in_a_cassette_and_the_server_named_is_the_one_that_answered(path: Path) -> None:
    text = path.read_text("utf-8")
    assert secrets_in(text) == []
    for key in (LOCAL_KEY, WRONG_KEY, WRONG_KEY[:8]):
        assert key not in text
    row = provenance.read(CASSETTES)[provenance.name_of(path, CASSETTES)]
    for interaction in yaml.load(text, yaml.CSafeLoader)["interactions"]:
        host = re.sub(r"^https?://([^/]+)/.*", r"\1", interaction["request"]["uri"])
        assert host in row.server
        authorization = [v for k, v in interaction["request"]["headers"].items() if k.lower() == "authorization"]
        assert authorization in ([], [["REDACTED"]])
        if host.startswith("127.0.0.1"):
            (server,) = interaction["response"]["headers"]["Server"]
            assert server.startswith("llama.cpp" if row.server.startswith("llama.cpp") else "BaseHTTP")


def test_keys_are_scrubbed_from_requests_and_replies_however_often() -> None:
    key = "sk-" + "a1B2" * 8
    request = vcr.request.Request(
        "POST",
        "https://gateway.invalid/v1/completions",
        json.dumps({"prompt": f"my key is {key}"}).encode(),
        {"Authorization": f"Bearer {key}", "Cookie": "session=1", "X-Api-Key": key},
    )
    reply = {
        "status": {"code": 401, "message": "Unauthorized"},
        "headers": {
            "Content-Length": ["90"],
            "Set-Cookie": ["session=1"],
            "X-Echo": [f"Bearer {key}"],
            "X-Id": ["req_1"],
        },
        "body": {
            "string": f'{{"error": {{"message": "Incorrect API key provided: {key[:6]}****{key[-4:]} 喵"}}}}'.encode()
        },
    }
    for _ in range(2):
        request, reply = clean_request(request), clean_response(reply)
        assert secrets_in(f"{request.headers} {request.body!r} {reply}") == []
        assert key[-4:] not in f"{request.headers} {request.body!r} {reply}"
        assert "喵".encode() in reply["body"]["string"]
        assert reply["headers"]["Content-Length"] == [str(len(reply["body"]["string"]))]
        assert reply["headers"]["X-Id"] == ["req_1"]
        assert "Set-Cookie" not in reply["headers"]
        assert json.loads(request.body)["prompt"] == "my key is sk-REDACTED"


def test_a_secret_in_a_cassette_would_be_noticed() -> None:
    """The check that finds nothing must be able to find something."""
    key = "sk-" + "a1B2" * 8
    assert secrets_in(f"body: '{key}'")
    assert secrets_in("x: Bearer abcdefgh")
    assert secrets_in("      Set-Cookie:\n      - session=1")
    assert secrets_in(clean_text(f"{key} Bearer abcdefgh")) == []


@pytest.mark.block_network
@pytest.mark.parametrize(
    ("base_url", "prompt"),
    [
        pytest.param(f"http://127.0.0.1:{PORT}/v1", "Say that is a test", id="body"),
        pytest.param(f"http://127.0.0.1:{PORT}/v2", TEST, id="path"),
        pytest.param(f"http://127.0.0.1:{PORT + 1}/v1", TEST, id="port"),
        pytest.param(f"http://localhost:{PORT}/v1", TEST, id="host"),
        pytest.param(f"https://127.0.0.1:{PORT}/v1", TEST, id="scheme"),
    ],
)
def test_a_request_that_no_cassette_answers_fails(
    base_url: str, prompt: str, surface: Any, vcr_config: dict[str, Any]
) -> None:
    """Whatever differs. Matched as all the replays are: the same request with nothing different is answered."""
    recorder = vcr.VCR(match_on=vcr_config["match_on"], record_mode="none")
    cassette = str(CASSETTES / "client" / "complete_plain.yaml")
    settings = {"model": "xdm-local", "api_key": "any", "max_retries": 0}
    client = surface.client(base_url=base_url, **settings)
    with recorder.use_cassette(cassette), pytest.raises(CannotOverwriteExistingCassetteException):
        surface.complete(client, prompt, temperature=0)
    client = surface.client(base_url=f"http://127.0.0.1:{PORT}/v1", **settings)
    with recorder.use_cassette(cassette):
        assert surface.complete(client, TEST, temperature=0).text


@pytest.mark.block_network
def test_the_network_is_blocked_while_recordings_are_played() -> None:
    with socket.socket() as probe, pytest.raises(RuntimeError, match="Network is disabled"):
        probe.connect(("127.0.0.1", PORT))


@pytest.mark.block_network
@pytest.mark.parametrize("origin", ["http://relay.internal:8000", "https://gateway.invalid"])
def test_threads_replay_over_http_and_https_without_touching_the_network(
    origin: str, tmp_path: Path, vcr_config: dict[str, Any]
) -> None:
    """A recording, moved to another origin: 8 threads, 160 calls, one client; then one client per call."""
    text = (CASSETTES / "client" / "batch_apart.yaml").read_text("utf-8")
    moved = tmp_path / "moved.yaml"
    moved.write_text(text.replace(f"http://127.0.0.1:{PORT}", origin), "utf-8")
    told = {}
    for interaction in yaml.load(text, yaml.CSafeLoader)["interactions"]:
        prompt = json.loads(interaction["request"]["body"])["prompt"]
        told[prompt] = json.loads(interaction["response"]["body"]["string"])["choices"][0]["text"]
    settings = {"base_url": origin + "/v1", "model": "xdm-local", "api_key": "any", "max_retries": 0}
    params: dict[str, Any] = {"batch_size": 1, "temperature": 0, "max_tokens": 5}
    recorder = vcr.VCR(match_on=vcr_config["match_on"], record_mode="none")
    with recorder.use_cassette(str(moved), allow_playback_repeats=True) as cassette:
        with Client(**settings) as client:
            batch = client.complete_batch(BATCH * 20, max_concurrency=8, **params)
        assert [completion.text for completion in batch.completions] == [told[prompt] for prompt in BATCH * 20]

        async def gather() -> Any:
            async with AsyncClient(**settings) as client:
                return await client.complete_batch(BATCH * 5, max_concurrency=8, **params)

        batch = asyncio.run(gather())
        assert [completion.text for completion in batch.completions] == [told[prompt] for prompt in BATCH * 5]
        assert cassette.play_count == len(BATCH) * 25
