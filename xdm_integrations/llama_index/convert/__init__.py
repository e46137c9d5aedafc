"""Between LlamaIndex's objects and the client's values: pure functions, both directions."""
