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
  local at = string.find(below, "?", 1, true)
  local query = ""
  if at then below, query = string.sub(below, 1, at - 1), "&" .. string.sub(below, at + 1) end
  return BASE_PATH .. "/deployments/" .. escaped(deployment) .. below .. "?api-version=" .. escaped(API_VERSION) .. query
end

local function rename(handle, plan, model)
  if model == plan["model"] then
    handle:headers():replace("content-length", plan["length"])
    return
  end
  local body = handle:body()
  local bytes = body:getBytes(0, body:length())
  local name = '"' .. string.gsub(model, '["\\]', "\\%0") .. '"'
  body:setBytes(string.sub(bytes, 1, plan["model_from"]) .. name .. string.sub(bytes, plan["model_to"] + 1))
end

-- note goes on with "|backend milliseconds status milliseconds", one a try.
local function note(handle, text)
  local metadata = handle:streamInfo():dynamicMetadata()
  local seen = metadata:get("aigw.seen")
  local before = seen and seen["tries"] or ""
  metadata:set("aigw.seen", "tries", before .. text .. " " .. string.format("%.0f", handle:timestamp()))
end

function envoy_on_request(handle)
  note(handle, "|" .. BACKEND)
  if not REWRITES then return end
  local plan = handle:streamInfo():dynamicMetadata():get("aigw")
  local model = plan["model@" .. BACKEND]
  handle:headers():replace(":path", path(plan["path"], model))
  if model ~= nil then rename(handle, plan, model) end
end

-- count is what a usage object says of a count, whatever it is; "-" for nothing.
local function count(usage, name)
  return string.match(usage, '"' .. name .. '"%s*:%s*([^%s,}]+)') or "-"
end

-- scan looks for the last whole usage object, and returns what may be the beginning of
-- one that the next bytes end. In a JSON string its quotes would be escaped.
local function scan(handle, bytes)
  local at = string.find(bytes, '"usage"', 1, true)
  local usage, last = nil, nil
  while at do
    usage = string.match(bytes, '^"usage"%s*:%s*(%b{})', at) or usage
    last, at = at, string.find(bytes, '"usage"', at + 7, true)
  end
  if usage then
    handle:streamInfo():dynamicMetadata():set("aigw.seen", "usage", count(usage, "prompt_tokens") .. " " ..
      count(usage, "cached_tokens") .. " " .. count(usage, "completion_tokens") .. " " .. count(usage, "reasoning_tokens"))
  end
  if string.byte(bytes, -1) == 10 then return "" end
  return string.sub(bytes, last and last > #bytes - 2048 and last or -7)
end

function envoy_on_response(handle)
  note(handle, " " .. handle:headers():get(":status"))
  local rest = ""
  for chunk in handle:bodyChunks() do
    rest = scan(handle, rest .. chunk:getBytes(0, chunk:length()))
  end
end
