"""Values and decisions: no I/O, no clock, no dice, no environment, no async.

Read in this order: `wire` (what crosses the border), `results` (what comes back), `errors` and
`catalogue` (what can go wrong; its data in `catalogue_rows`, its reading in `said`), `retry` and
`flow` (what is done about it), `config`, `parameters`, `completions` and `parse` (the endpoint),
`packing` (many prompts), `sse`, `answer`, `stream` and `streaming` (its streams), `questions`,
`models` and `quota` (what else the gateway is asked).
"""
