def test_a_list_of_prompts_is_one_request_and_keeps_order(surface, server):
    client = surface.client(base_url=server.url)
    answer = surface.complete(client, ["a", "b"], n=2)
    assert [[c.text for c in group] for group in answer.by_prompt()] == [["<a#0>", "<a#1>"], ["<b#0>", "<b#1>"]]
    _, whole = surface.stream(client, ["a", "b"])
    assert [c.text for c in whole.choices] == ["<a>", "<b>"]
    assert whole.usage.total_tokens == 4
    assert server.connections == 1
