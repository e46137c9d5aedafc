"""The async transport, through aiohttp."""
