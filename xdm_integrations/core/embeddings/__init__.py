"""The endpoint `POST /v1/embeddings`: texts to vectors."""
