"""A LangChain chain: prompt, LLM, parser; invoked, streamed and awaited, with the tokens it used."""

import asyncio

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import LLMResult
from langchain_core.prompts import PromptTemplate
from served import served

from xdm_integrations.langchain import XDMLLM


class Tokens(BaseCallbackHandler):
    """Prints the token counts of each run, streamed or not."""

    def on_llm_end(self, response: LLMResult, **_: object) -> None:
        """Read what every run of the LLM reports."""
        print(response.llm_output["token_usage"]["total_tokens"], "tokens")


with served():
    llm = XDMLLM(temperature=0, max_tokens=50)
    chain = PromptTemplate.from_template("The capital of {country} is") | llm | StrOutputParser()
    config = {"callbacks": [Tokens()]}
    print(chain.invoke({"country": "France"}, config))
    print(list(chain.stream({"country": "Japan"}, config)))
    print(asyncio.run(chain.ainvoke({"country": "Italy"})))

# Output:
# 8 tokens
#  Paris.
# 11 tokens
# [' T', 'oky', 'o.']
#  Rome.
