"""Makes calls with the official SDK and prints all that it shows of the answers.

Usage: show.py BASE_URL < cases.json

It prints {"shown": …, "left_at": …}: for each case, in order, what its caller sees; and
for each stream that was left before its end, by model, when (in Unix milliseconds).
"""

import json
import sys
import time

import httpx
import openai


def main():
    client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-of-the-client", timeout=20)
    left_at = {}
    shown = [
        {"model": case["params"]["model"], "shown": list(see(client, case, left_at))}
        for case in json.load(sys.stdin)
    ]
    json.dump({"shown": shown, "left_at": left_at}, sys.stdout)


def see(client, case, left_at):
    """Yields what a case's call returns or raises; a fault of this script is not caught."""
    try:
        for answer in call(client, case, left_at):
            yield {"class": type(answer).__name__, "value": answer.to_dict(mode="python")}
    except openai.APIError as error:
        yield {"class": type(error).__name__, **fields_of(error)}
    except httpx.HTTPError as error:
        yield {"class": type(error).__name__, "message": str(error)}


def fields_of(error):
    names = ("status_code", "message", "code", "type", "param", "body")
    return {name: getattr(error, name, None) for name in names}


def call(client, case, left_at):
    """Yields the answer, or each chunk of it."""
    params = case["params"]
    if case.get("helper"):
        with client.chat.completions.stream(**params) as stream:
            yield stream.get_final_completion()
        return
    apis = {"chat": client.chat.completions, "completions": client.completions, "embeddings": client.embeddings}
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
