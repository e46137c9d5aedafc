"""Objects instead of text: a prompt that asks for JSON, and a parser that accepts nothing less."""

from langchain_core.output_parsers import PydanticOutputParser
from langchain_core.prompts import PromptTemplate
from pydantic import BaseModel
from served import served

from xdm_integrations.langchain import XDMLLM


class City(BaseModel):
    """What is asked for."""

    city: str
    country: str


with served():
    llm = XDMLLM(temperature=0, max_tokens=60)
    prompt = PromptTemplate.from_template("Write the JSON for a city called {city} in {country}:")
    chain = prompt | llm | PydanticOutputParser(pydantic_object=City)
    print(repr(chain.invoke({"city": "Tokyo", "country": "Japan"})))

# Where the model follows instructions, `llm.with_structured_output(City)` writes them for you. Where the server can
# force a schema (vLLM, llama.cpp), add method="json_schema" and, for its own field, schema_parameter="guided_json".

# Output:
# City(city='Tokyo', country='Japan')
