// Makes calls with the official SDKs and prints all that it shows of the answers.
//
// Usage: node show.js BASE_URL < cases.json
//
// It prints {"shown": …, "left_at": …}: for each case, in order, what its caller sees; and
// for each stream that was left before its end, by model, when (in Unix milliseconds).

import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'sk-of-the-client', timeout: 20_000 });
const claude = new Anthropic({ baseURL: process.argv[2].replace(/\/v1$/, ''), apiKey: 'sk-ant-of-the-client', timeout: 20_000 });
const leftAt = {};
const shown = [];
for (const oneCase of JSON.parse(await text(process.stdin))) {
  shown.push({ model: oneCase.params.model, shown: await see(oneCase) });
}
process.stdout.write(JSON.stringify({ shown, left_at: leftAt }));

// see returns what a case's call returns or throws; a fault of this script is not caught.
async function see(oneCase) {
  const seen = [];
  try {
    for await (const answer of call(oneCase)) seen.push({ value: answer, request_id: isOfMessages(oneCase) ? answer._request_id : undefined });
  } catch (error) {
    if (!(error instanceof OpenAI.APIError) && !(error instanceof Anthropic.APIError) && !isBrokenOff(error)) throw error;
    seen.push({ ...fieldsOf(error), request_id: isOfMessages(oneCase) ? error.requestID : undefined });
  }
  return seen;
}

// isOfMessages tells the calls whose ids are Anthropic's. OpenAI's are in a header that the gateway has for its own.
function isOfMessages({ api }) {
  return api.endsWith('messages') || api === 'count_tokens';
}

// isBrokenOff tells fetch's error for a body that ends before its time.
function isBrokenOff(error) {
  return error instanceof TypeError && error.message === 'terminated';
}

function fieldsOf(error) {
  const { status, message, code, type, param, error: body, cause } = error;
  return { class: error.constructor.name, status, message, code, type, param, body, cause: cause?.message };
}

// call yields the answer, or each chunk of it.
async function* call({ api, params, helper, leave_after: leaveAfter, cancel, wait_ms: waitMS }) {
  if (helper) {
    yield await final(api, params);
    return;
  }
  if (api === 'count_tokens') {
    yield await claude.messages.countTokens(params);
    return;
  }
  if (api === 'stored') {
    yield* stored(params, cancel, waitMS);
    return;
  }
  const apis = {
    chat: client.chat.completions, completions: client.completions, embeddings: client.embeddings,
    responses: client.responses, messages: claude.messages, beta_messages: claude.beta.messages,
  };
  const answer = await apis[api].create(params);
  if (!params.stream) {
    yield answer;
    return;
  }
  let number = 0;
  for await (const chunk of answer) {
    yield chunk;
    if (++number === leaveAfter) {
      leftAt[params.model] = Date.now();
      break;
    }
  }
}

// stored yields what the SDK shows of a response that the provider keeps.
async function* stored(params, cancel, waitMS) {
  const made = await client.responses.create(params);
  yield made;
  if (cancel) {
    yield await client.responses.cancel(made.id);
  } else {
    await setTimeout(waitMS);
    yield* await client.responses.retrieve(made.id, { stream: true, starting_after: 2 });
    yield await client.responses.create({ model: params.model, input: 'And?', previous_response_id: made.id });
  }
  yield await client.responses.retrieve(made.id, { include: ['message.output_text.logprobs'] });
  yield* client.responses.inputItems.list(made.id, { limit: 5, order: 'asc' });
  await client.responses.delete(made.id);
  yield await client.responses.retrieve(made.id); // throws
}

// final returns what the SDK puts together of a stream.
function final(api, params) {
  switch (api) {
    case 'responses':
      return client.responses.stream(params).finalResponse();
    case 'messages':
      return claude.messages.stream(params).finalMessage();
  }
  return client.chat.completions.stream(params).finalChatCompletion();
}
