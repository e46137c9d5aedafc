"""The only code that knows requests and aiohttp.

A transport owes three methods, `send`, `sleep` and `close` (the sync one `abort` too, since threads can't be
cancelled); `drivers` has the functions that run a flow of the core over one. No exception of the libraries below
leaves this folder.
"""
