"""The suites that LangChain asks every embeddings class to pass."""

from __future__ import annotations

import pytest

from tests.scripted import ScriptedServer
from tests.vectors import embedding
from xdm_integrations.langchain import XDMEmbeddings

pytest.importorskip("langchain_tests")

from langchain_tests.integration_tests.embeddings import EmbeddingsIntegrationTests
from langchain_tests.unit_tests.embeddings import EmbeddingsUnitTests


class TestUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self):
        return XDMEmbeddings

    @property
    def embedding_model_params(self):
        return {"api_key": "a-key-that-nobody-has"}

    @property
    def init_from_env_params(self):
        environment = {"XDM_API_KEY": "from-the-environment", "XDM_BASE_URL": "http://localhost:1/v1"}
        return environment, {}, {"xdm_api_key": "from-the-environment", "base_url": "http://localhost:1/v1"}


class TestIntegration(EmbeddingsIntegrationTests):
    @pytest.fixture(autouse=True)
    def _server(self):
        with ScriptedServer(embedding) as server:
            self.url = server.url
            yield

    @property
    def embeddings_class(self):
        return XDMEmbeddings

    @property
    def embedding_model_params(self):
        return {"base_url": self.url}
