"""The sync transport, through requests and urllib3."""
