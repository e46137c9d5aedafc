"""What can go wrong: the tree, the gateway's catalogue, and what a reply says."""
