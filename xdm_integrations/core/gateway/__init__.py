"""What else the gateway is asked: its models, the key's quota."""
