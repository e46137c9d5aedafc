"""The page about troubles: each of the gateway's messages is the error that the page names."""

from __future__ import annotations

import json
import re

import pytest

from tests.docs.pages import ROOT, names_in, tables
from tests.gateway_errors import GATEWAY
from xdm_integrations.core.errors.catalogue import error_for

ROWS = [row for row in tables(ROOT / "docs" / "troubleshooting.md")[0] if len(row) == 4]
MESSAGES = [
    pytest.param(int(status), message, names_in(error)[0], id=message[:40])
    for status, said, error, _ in ROWS
    for message in re.findall(r"`([^`]+)`", said)
]


def test_there_are_the_commonest_messages():
    assert len(ROWS) >= 20


@pytest.mark.parametrize(("status", "message", "name"), MESSAGES)
def test_a_message_is_the_error_that_the_page_names(status, message, name):
    body = json.dumps({"error": {"message": message, "type": "new_api_error", "code": ""}}).encode()
    assert type(error_for(status, GATEWAY, body, "chat")).__name__ == name
