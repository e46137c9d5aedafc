"""Between LangChain's objects and the client's values: pure functions, both directions."""

PROVIDER = "xdm"
"""Who serves, in traces."""
