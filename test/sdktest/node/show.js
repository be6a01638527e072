// Makes calls with the official SDK and prints all that it shows of the answers.
//
// Usage: node show.js BASE_URL < cases.json
//
// It prints {"shown": …, "left_at": …}: for each case, in order, what its caller sees; and
// for each stream that was left before its end, by model, when (in Unix milliseconds).

import { text } from 'node:stream/consumers';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'sk-of-the-client', timeout: 20_000 });
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
    for await (const answer of call(oneCase)) seen.push({ value: answer });
  } catch (error) {
    if (!(error instanceof OpenAI.APIError) && !isBrokenOff(error)) throw error;
    seen.push(fieldsOf(error));
  }
  return seen;
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
async function* call({ api, params, helper, leave_after: leaveAfter }) {
  if (helper) {
    yield await client.chat.completions.stream(params).finalChatCompletion();
    return;
  }
  const apis = { chat: client.chat.completions, completions: client.completions, embeddings: client.embeddings };
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
