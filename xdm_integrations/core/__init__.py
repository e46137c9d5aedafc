"""Values and decisions: no I/O, no clock, no dice, no environment, no async.

Read in this order: `wire` (what crosses the border), `errors` and `catalogue` (what can go
wrong), `retry` and `flow` (what is done about it), `parameters` and `completions` (the
endpoint), `sse` and `stream` (its streams), `results` (what comes back).
"""
