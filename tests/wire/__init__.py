"""The wire shapes of the endpoints, as healthy servers send them."""
