"""Parameters are described once, in the table of their endpoint, which both frameworks show."""

from __future__ import annotations

import pytest

from xdm_integrations.core.chat.parameters import PARAMETERS as CHAT
from xdm_integrations.core.completions.parameters import PARAMETERS as COMPLETIONS
from xdm_integrations.core.embeddings.parameters import PARAMETERS as EMBEDDINGS
from xdm_integrations.langchain import XDMLLM, ChatXDM, XDMEmbeddings
from xdm_integrations.llama_index import XDM, XDMChat, XDMEmbedding

CLASSES = {
    XDMLLM: COMPLETIONS,
    XDM: COMPLETIONS,
    ChatXDM: CHAT,
    XDMChat: CHAT,
    XDMEmbeddings: EMBEDDINGS,
    XDMEmbedding: EMBEDDINGS,
}
NOT_FIELDS = {"model", "metadata"}  # every class says what its model is; `metadata` is the frameworks' own


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_field_is_described_as_the_table_of_its_endpoint_does(cls):
    table = CLASSES[cls]
    names = table.keys() - NOT_FIELDS
    assert names
    for name in names:
        description = cls.model_fields[name].description
        assert description.startswith(table[name].doc), name
        assert description.endswith("."), name
