-- One attempt at a backend: its path, the model by its name there, and what passes by:
-- when it was called, what it answered, and what answer.lua reads of that. It needs nobody
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

-- note returns what was noted before and goes on with "|backend milliseconds status milliseconds", one a try.
local function note(handle, text)
  local metadata = handle:streamInfo():dynamicMetadata()
  local seen = metadata:get(SEEN_NAMESPACE)
  local before = seen and seen["tries"] or ""
  metadata:set(SEEN_NAMESPACE, "tries", before .. text .. " " .. string.format("%.0f", handle:timestamp()))
  return seen
end

function envoy_on_request(handle)
  local seen = note(handle, "|" .. BACKEND)
  if seen and seen["usage"] then -- of an attempt that failed
    handle:streamInfo():dynamicMetadata():set(SEEN_NAMESPACE, "usage", "-")
  end
  if not REWRITES then return end
  local plan = handle:streamInfo():dynamicMetadata():get(PLAN_NAMESPACE)
  local model = plan["model@" .. BACKEND]
  handle:headers():replace(":path", path(plan["path"], model))
  if model ~= nil then rewrite(handle, plan, model) end
end

-- tell tells the journal what was read of the answer.
local function tell(handle, r, over)
  r.news = false
  handle:streamInfo():dynamicMetadata():set(SEEN_NAMESPACE, "usage", noted(r, over))
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

-- place_of is the place that a provider redirects to, without what may be secret in it.
local function place_of(location)
  local place = string.gsub(location, "[?#].*", "")
  place = string.gsub(place, "^([%w+.-]*:?//)[^/]*@", "%1")
  place = string.gsub(place, "[^%w%-._~:/%%%[%]]", "?")
  return string.sub(place, 1, 256)
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(":status")
  note(handle, " " .. status)
  if status == "101" then return refuse_upgrade(handle) end
  hide_challenge(headers)
  -- Who refused, and where to? Envoy puts its own name here before a client sees it.
  if status == "400" or status == "422" then headers:replace("server", BACKEND) end
  if string.sub(status, 1, 1) == "3" then headers:replace("server", place_of(headers:get("location") or "")) end
  local encoding = headers:get("content-encoding")
  if encoding and string.lower(encoding) ~= "identity" then return end -- nobody here can read it
  local r = answer()
  for chunk in handle:bodyChunks() do
    read(r, chunk:getBytes(0, chunk:length()))
    if r.news then tell(handle, r, false) end
  end
  finish(r)
  if r.news or not r.answered or r.tier and not r.believed then tell(handle, r, true) end
end
