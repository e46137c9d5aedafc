"""What can go wrong: the tree of errors, the gateway's catalogue, and what a reply says."""
