"""The plumbing: the only rooms that know requests and aiohttp.

A transport owes three methods, `send`, `sleep` and `close`; `base` has the drivers that run a
flow of the core over one. No exception of the libraries below leaves these rooms.
"""
