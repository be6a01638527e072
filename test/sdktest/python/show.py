"""Makes calls with the official SDKs and prints all that it shows of the answers.

Usage: show.py BASE_URL < cases.json

It prints {"shown": …, "left_at": …}: for each case, in order, what its caller sees; and
for each stream that was left before its end, by model, when (in Unix milliseconds).
"""

import json
import sys
import time

import anthropic
import httpx
import openai


def main():
    client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-of-the-client", timeout=20)
    claude = anthropic.Anthropic(base_url=sys.argv[1].removesuffix("/v1"), api_key="sk-ant-of-the-client", timeout=20)
    left_at = {}
    shown = [
        {"model": case["params"]["model"], "shown": list(see(client, claude, case, left_at))}
        for case in json.load(sys.stdin)
    ]
    json.dump({"shown": shown, "left_at": left_at}, sys.stdout)


def see(client, claude, case, left_at):
    """Yields what a case's call returns or raises; a fault of this script is not caught."""
    try:
        for answer in call(client, claude, case, left_at):
            yield {"class": type(answer).__name__, "value": answer.to_dict(mode="python"), **own_id(answer)}
    except (openai.APIError, anthropic.APIError) as error:
        yield {"class": type(error).__name__, **fields_of(error)}
    except httpx.HTTPError as error:
        yield {"class": type(error).__name__, "message": str(error)}


def fields_of(error):
    names = ("status_code", "message", "code", "type", "param", "body")
    return {name: getattr(error, name, None) for name in names} | own_id(error)


def own_id(of):
    """Returns the id that Anthropic gave a request. OpenAI's is in a header that the gateway has for its own."""
    if not type(of).__module__.startswith("anthropic."):
        return {}
    return {"request_id": getattr(of, "_request_id", None) or getattr(of, "request_id", None)}


def final(client, claude, case):
    """Returns what the SDK puts together of a stream."""
    helpers = {
        "chat": (client.chat.completions, lambda stream: stream.get_final_completion()),
        "responses": (client.responses, lambda stream: stream.get_final_response()),
        "messages": (claude.messages, lambda stream: stream.get_final_message()),
    }
    api, end = helpers[case["api"]]
    with api.stream(**case["params"]) as stream:
        return end(stream)


def stored(client, case):
    """Yields what the SDK shows of a response that the provider keeps."""
    params = case["params"]
    made = client.responses.create(**params)
    yield made
    if case.get("cancel"):
        yield client.responses.cancel(made.id)
    else:
        time.sleep(case["wait_ms"] / 1000)
        with client.responses.retrieve(made.id, stream=True, starting_after=2) as events:
            yield from events
        yield client.responses.create(model=params["model"], input="And?", previous_response_id=made.id)
    yield client.responses.retrieve(made.id, include=["message.output_text.logprobs"])
    yield from client.responses.input_items.list(made.id, limit=5, order="asc")
    client.responses.delete(made.id)
    yield client.responses.retrieve(made.id)  # raises


def call(client, claude, case, left_at):
    """Yields the answer, or each chunk of it."""
    params = case["params"]
    if case.get("helper"):
        yield final(client, claude, case)
        return
    if case["api"] == "count_tokens":
        yield claude.messages.count_tokens(**params)
        return
    if case["api"] == "stored":
        yield from stored(client, case)
        return
    apis = {
        "chat": client.chat.completions, "completions": client.completions, "embeddings": client.embeddings,
        "responses": client.responses, "messages": claude.messages, "beta_messages": claude.beta.messages,
    }
    answer = apis[case["api"]].create(**params)
    if not params.get("stream"):
        yield answer
        return
    with answer:
        for number, chunk in enumerate(answer, 1):
            yield chunk
            if number == case.get("leave_after"):
                left_at[params["model"]] = time.time() * 1000
                break


main()
