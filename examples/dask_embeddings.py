"""Embed many texts on a cluster: the same object in every worker, failures retried by Dask, order kept.

`python dask_embeddings.py 10000`. For a cluster of several machines, give `Client` the scheduler's address.
"""

import sys

from dask.distributed import Client, LocalCluster
from served import served

from xdm_integrations.langchain import XDMEmbeddings

SHARE = 500


def embed(embeddings: XDMEmbeddings, texts: list[str]) -> list[list[float]]:
    """Run in a worker. An error of any text fails the share, and Dask tries it again."""
    return embeddings.embed_documents(texts)


def main(count: int) -> list[list[float]]:
    """Share the texts out, and return their vectors in order."""
    texts = [f"Text number {number}." for number in range(count)]
    shares = [texts[i : i + SHARE] for i in range(0, count, SHARE)]
    embeddings = XDMEmbeddings(max_retries=0)  # settings travel; each worker opens its own connections
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster, Client(cluster) as client:
        futures = client.map(embed, [embeddings] * len(shares), shares, retries=3, pure=False)
        return [vector for share in client.gather(futures) for vector in share]


if __name__ == "__main__":
    with served(vectors=True):
        vectors = main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
    print(len(vectors), "vectors of", len(vectors[0]), "numbers")

# Output:
# 8 vectors of 384 numbers
