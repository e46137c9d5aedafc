"""What goes over the wire, by endpoint: bodies of replies and events of streams."""
