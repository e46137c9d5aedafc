"""Values and decisions: no I/O, time, randomness, environment or async.

Read in this order: `errors` (what can go wrong), `protocol.wire` (what crosses the border to the transports),
`protocol.flow` and `protocol.retry` (when a request is sent again), `protocol.call` (one call, checked),
`protocol.decoder` and `protocol.reading` (streams), then one endpoint: `completions`, `chat` or `embeddings`, each
with its `parameters`, `results`, `request` and `parse`. `gateway` has what else the gateway is asked.
"""
