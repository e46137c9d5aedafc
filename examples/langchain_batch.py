"""A LangChain batch: few requests, several at once, and one prompt that fails doesn't fail the others."""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import PromptTemplate
from served import served

from xdm_integrations import XDMError
from xdm_integrations.langchain import XDMLLM

with served():
    llm = XDMLLM(temperature=0, batch_size=10, max_concurrency=4)
    chain = PromptTemplate.from_template("The capital of {country} is") | llm | StrOutputParser()
    countries = ["France", "Japan", "Italy", "Spain", "China", "Germany"] * 5
    answers = chain.batch([{"country": country} for country in countries])
    print(len(answers), answers[:3])

    prompts = ["Say this is a test", "far too long " * 5000, "Tell me a joke"]
    for outcome in llm.batch(prompts, return_exceptions=True):
        print(type(outcome).__name__ if isinstance(outcome, XDMError) else outcome.strip())

# Output:
# 30 [' Paris.', ' Tokyo.', ' Rome.']
# This is indeed a test
# ContextLengthExceededError
# Why did the test fail? Because it was asserting itself.
