-- One attempt at a backend: its path, the model by its name there, and what passes by:
-- when it was called, what it answered, and the usage that it told. It needs nobody
-- else to be alive. Headers keep what an earlier attempt at another backend set, the
-- body does not.
local function escaped(name)
  return (string.gsub(name, "[^%w%-%._~]", function(c) return string.format("%%%02X", string.byte(c)) end))
end

local function path(below, model)
  if API_VERSION == "" then return BASE_PATH .. below end
  local deployment = DEPLOYMENT
  if deployment == "" then deployment = model end
  return BASE_PATH .. "/deployments/" .. escaped(deployment) .. below .. "?api-version=" .. escaped(API_VERSION)
end

-- rewrite makes the body that the plan has for its first backend this one's: the model by its
-- name here, and nothing that asks for a stream's usage where that is refused.
local function rewrite(handle, plan, model)
  local edits = {}
  if model ~= plan["model"] then
    local name = '"' .. string.gsub(model, '["\\]', "\\%0") .. '"'
    edits[1] = {from = plan["model_from"], to = plan["model_to"], text = name}
  end
  if plan["silent@" .. BACKEND] then
    edits[#edits + 1] = {from = plan["asked_from"], to = plan["asked_to"], text = plan["asked_was"]}
  end
  if #edits == 0 then
    handle:headers():replace("content-length", plan["length"])
    return
  end
  table.sort(edits, function(a, b) return a.from > b.from end) -- from the end, so that places stay true
  local body = handle:body()
  local bytes = body:getBytes(0, body:length())
  for _, e in ipairs(edits) do
    bytes = string.sub(bytes, 1, e.from) .. e.text .. string.sub(bytes, e.to + 1)
  end
  body:setBytes(bytes)
end

-- note goes on with "|backend milliseconds status milliseconds", one a try.
local function note(handle, text)
  local metadata = handle:streamInfo():dynamicMetadata()
  local seen = metadata:get(SEEN_NAMESPACE)
  local before = seen and seen["tries"] or ""
  metadata:set(SEEN_NAMESPACE, "tries", before .. text .. " " .. string.format("%.0f", handle:timestamp()))
end

function envoy_on_request(handle)
  note(handle, "|" .. BACKEND)
  if not REWRITES then return end
  local plan = handle:streamInfo():dynamicMetadata():get(PLAN_NAMESPACE)
  local model = plan["model@" .. BACKEND]
  handle:headers():replace(":path", path(plan["path"], model))
  if model ~= nil then rewrite(handle, plan, model) end
end

-- count is what a usage object says of a count: "-" for nothing, nil for what is none.
local function count(object, name)
  local _, last = string.find(object, name, 1, true)
  if not last then return "-" end
  local value = string.match(object, "^%s*:%s*([^%s,}]+)", last + 1)
  if value == "null" then return "-" end
  return value and #value <= 15 and string.match(value, "^%d+$")
end

-- even reports whether an object has an even number of quotes.
local function even(object)
  local is, at = true, string.find(object, '"', 1, true)
  while at do
    is, at = not is, string.find(object, '"', at + 1, true)
  end
  return is
end

-- counts are those of a whole usage object, nil if it has none. One that a brace in a
-- string cut short has a quote too many, or a backslash.
local function counts(object)
  local prompt = count(object, '"prompt_tokens"')
  if not prompt or prompt == "-" or not even(object) or string.find(object, "\\", 1, true) then return nil end
  local cached, completion = count(object, '"cached_tokens"'), count(object, '"completion_tokens"')
  local reasoning = count(object, '"reasoning_tokens"')
  if not (cached and completion and reasoning) then return nil end
  return prompt .. " " .. cached .. " " .. completion .. " " .. reasoning .. " " .. (count(object, '"total_tokens"') or "-")
end

-- What is looked at is bounded, whatever a provider writes: an object's bytes, and how
-- many objects of a piece.
local LONGEST, MOST = 2048, 4

-- scan looks for the last usage object with counts, and returns what may be the beginning
-- of one that the next bytes end. In a JSON string its quotes would be escaped.
local function scan(handle, bytes)
  local rest, found, at = nil, {}, string.find(bytes, '"usage"', 1, true)
  while at do
    found[#found + 1] = at
    at = string.find(bytes, '"usage"', at + 7, true)
  end
  for i = #found, math.max(#found - MOST + 1, 1), -1 do
    local piece = string.sub(bytes, found[i], found[i] + LONGEST - 1)
    local object = string.match(piece, '^"usage"%s*:%s*(%b{})')
    local text = object and counts(object)
    if text then
      handle:streamInfo():dynamicMetadata():set(SEEN_NAMESPACE, "usage", text)
      break
    end
    local open = string.find(piece, '^"usage"%s*:%s*{') or string.find(piece, '^"usage"%s*:?%s*$')
    if open and not object and i == #found and #piece < LONGEST then rest = piece end
  end
  if rest then return rest end
  if string.byte(bytes, -1) == 10 then return "" end
  return string.sub(bytes, -7)
end

-- refuse_upgrade keeps what a provider says in another protocol, which nobody asked it to
-- speak, from the client. The gateway process knows it by its type.
local function refuse_upgrade(handle)
  handle:headers():replace(":status", "502")
  handle:headers():replace("content-type", "UPGRADE_TYPE")
  for chunk in handle:bodyChunks() do chunk:setBytes("") end
end

-- hide_challenge leaves of WWW-Authenticate the scheme: what follows may quote the key.
local function hide_challenge(headers)
  local challenge = headers:get("www-authenticate")
  if challenge then headers:replace("www-authenticate", string.match(challenge, "^[%w%-]*")) end
end

function envoy_on_response(handle)
  local status = handle:headers():get(":status")
  note(handle, " " .. status)
  if status == "101" then return refuse_upgrade(handle) end
  hide_challenge(handle:headers())
  -- Who refused? Envoy puts its own name here before a client sees it.
  if status == "400" or status == "422" then handle:headers():replace("server", BACKEND) end
  local rest = ""
  for chunk in handle:bodyChunks() do
    rest = scan(handle, rest .. chunk:getBytes(0, chunk:length()))
  end
end
