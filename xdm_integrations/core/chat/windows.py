"""How many tokens models take, prompt and answer together, as their makers document it (2026).

No gateway tells. A name may carry a route or a date (`openai/gpt-4o-2024-08-06`).
"""

from __future__ import annotations

UNKNOWN = 32_768
"""What is assumed of other models: nearly all that are offered today take at least this."""

_WINDOWS = {
    "chatglm": 131_072,
    "claude": 200_000,
    "deepseek": 65_536,
    "deepseek-v3.1": 131_072,
    "deepseek-v3.2": 131_072,
    "deepseek-v4": 131_072,
    "doubao": 32_768,
    "gemini": 1_048_576,
    "gemini-1.0": 32_760,
    "glm-4": 131_072,
    "glm-4.6": 200_000,
    "glm-5": 200_000,
    "gpt-3.5-turbo": 16_385,
    "gpt-3.5-turbo-0613": 4_096,
    "gpt-4": 8_192,
    "gpt-4-32k": 32_768,
    "gpt-4-turbo": 128_000,
    "gpt-4-0125": 128_000,
    "gpt-4-1106": 128_000,
    "gpt-4.1": 1_047_576,
    "gpt-4.5": 128_000,
    "gpt-4o": 128_000,
    "gpt-5": 400_000,
    "grok": 131_072,
    "kimi": 131_072,
    "kimi-k2": 131_072,
    "llama-3": 8_192,
    "llama-3.1": 131_072,
    "llama-3.3": 131_072,
    "mistral": 32_768,
    "mistral-large": 131_072,
    "moonshot-v1-8k": 8_192,
    "moonshot-v1-32k": 32_768,
    "moonshot-v1-128k": 131_072,
    "o1": 200_000,
    "o1-mini": 128_000,
    "o1-preview": 128_000,
    "o3": 200_000,
    "o4": 200_000,
    "qwen": 32_768,
    "qwen3": 131_072,
    "qwen-plus": 131_072,
    "qwen-turbo": 131_072,
}


def context_window(model: str) -> int:
    """Return the window of the longest entry that the name begins with."""
    name = model.lower().rpartition("/")[2]
    known = max((start for start in _WINDOWS if name.startswith(start)), key=len, default="")
    return _WINDOWS.get(known, UNKNOWN)
