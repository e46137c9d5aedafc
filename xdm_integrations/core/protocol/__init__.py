"""One HTTP call of any endpoint: what crosses the border, retries, streams, checks, packs."""
