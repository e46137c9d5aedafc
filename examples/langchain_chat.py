"""A LangChain chain with a chat model: invoked, streamed, in a batch, with the tokens it used."""

from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from served import served

from xdm_integrations.langchain import ChatXDM

with served():
    llm = ChatXDM(model="gpt-4o-mini", temperature=0)
    chain = ChatPromptTemplate.from_template("What is the capital of {country}?") | llm | StrOutputParser()
    tokens = UsageMetadataCallbackHandler()
    print(chain.invoke({"country": "France"}, {"callbacks": [tokens]}))
    for text in chain.stream({"country": "Japan"}, {"callbacks": [tokens]}):
        print(text, end="")
    print()
    print(chain.batch([{"country": "Italy"}, {"country": "Spain"}]))
    print(sum(counted["total_tokens"] for counted in tokens.usage_metadata.values()), "tokens in two runs")

# Output:
# The capital of France is Paris.
# The capital of Japan is Tokyo.
# ['The capital of Italy is Rome.', 'The capital of Spain is Madrid.']
# ... tokens in two runs
