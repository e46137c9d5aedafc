"""Ten thousand prompts on a cluster: the same LLM object in every worker, failures retried by Dask, order kept.

`python dask_cluster.py 10000`. For a cluster of several machines, give `Client` the scheduler's address.
"""

import sys

from dask.distributed import Client, LocalCluster
from served import served

from xdm_integrations.langchain import XDMLLM

COUNTRIES = ["France", "Japan", "Italy", "Spain", "China", "Germany"]
SHARE = 100


def answer(llm: XDMLLM, prompts: list[str]) -> list[str]:
    """Run in a worker. An error of any prompt fails the share, and Dask tries it again."""
    return llm.batch(prompts)


def main(count: int) -> list[str]:
    """Share the prompts out, and return the answers in order."""
    prompts = [f"The capital of {COUNTRIES[i % 6]} is" for i in range(count)]
    shares = [prompts[i : i + SHARE] for i in range(0, count, SHARE)]
    llm = XDMLLM(temperature=0, max_tokens=5, max_retries=0)  # settings travel; each worker opens its own connections
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster, Client(cluster) as client:
        futures = client.map(answer, [llm] * len(shares), shares, retries=3, pure=False)
        return [text for share in client.gather(futures) for text in share]


if __name__ == "__main__":
    with served():
        answers = main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
    print(len(answers), "answers:", answers[:6])

# Output:
# 400 answers: [' Paris.', ' Tokyo.', ' Rome.', ' Madrid.', ' Beijing', ' Berlin.']
