-- One attempt at a backend. It sets the path and the backend's model name, and notes when the
-- backend was called, what it answered, and what answer.lua reads from that. It works without any
-- other process. Headers that an earlier attempt at another backend set are still there; its body
-- is not.
local function escaped(name)
  return (string.gsub(name, "[^%w%-%._~]", function(c) return string.format("%%%02X", string.byte(c)) end))
end

local function path(below, query, model)
  query = query or ""
  if API_VERSION == "" then return BASE_PATH .. below .. (query == "" and "" or "?" .. query) end
  query = "?api-version=" .. escaped(API_VERSION) .. (query == "" and "" or "&" .. query)
  if string.sub(below, 1, 10) == "/responses" then return BASE_PATH .. below .. query end -- their model is only in the body
  local deployment = DEPLOYMENT
  if deployment == "" then deployment = model end
  return BASE_PATH .. "/deployments/" .. escaped(deployment) .. below .. query
end

-- rewrite adapts the body, which the plan made for its first backend, to this one: its model name,
-- and no request for a stream's usage if this backend refuses that.
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

-- step_of is the index in the plan of a call after a number of earlier ones. The last step is
-- repeated. If that step belongs to another backend, this backend's first step is taken.
local function step_of(groups, before)
  local at = math.min(before + 1, #groups)
  if groups[at]["name"] == BACKEND then return at end
  for i, group in ipairs(groups) do
    if group["name"] == BACKEND then return i end
  end
  return at
end

local function calls_in(seen)
  return seen and seen["tries"] and select(2, string.gsub(seen["tries"], "|", "")) or 0
end

function envoy_on_request(handle)
  if SHARED and not handle:streamInfo():dynamicMetadata():get(PLAN_NAMESPACE) then -- came by a route that is not ours
    return handle:respond({[":status"] = "403"}, "This backend is called by way of the gateway alone.\n")
  end
  local seen = note(handle, "|" .. BACKEND)
  if seen and seen["usage"] then -- from a failed attempt
    handle:streamInfo():dynamicMetadata():set(SEEN_NAMESPACE, "usage", "-")
  end
  if not REWRITES then return end
  local metadata = handle:streamInfo():dynamicMetadata()
  local plan = metadata:get(PLAN_NAMESPACE)
  local model = plan["model@" .. step_of(metadata:get(ROUTE_NAMESPACE)["priority_groups"], calls_in(seen))]
  handle:headers():replace(":path", path(plan["path"], plan["query"], model))
  if model ~= nil then rewrite(handle, plan, model) end
end

-- tell writes to the journal what was read of the answer.
local function tell(handle, r, over)
  r.news = false
  handle:streamInfo():dynamicMetadata():set(SEEN_NAMESPACE, "usage", noted(r, over))
end

-- refuse_upgrade replaces a provider's change of protocol, which nobody requested, by an error. The
-- gateway process recognises it by its type.
local function refuse_upgrade(handle)
  handle:headers():replace(":status", "502")
  handle:headers():replace("content-type", "UPGRADE_TYPE")
  for chunk in handle:bodyChunks() do chunk:setBytes("") end
end

-- hide_challenge leaves only the scheme of WWW-Authenticate, because the rest may quote the key.
local function hide_challenge(headers)
  local challenge = headers:get("www-authenticate")
  if challenge then headers:replace("www-authenticate", string.match(challenge, "^[%w%-]*")) end
end

-- place_of is the target of a provider's redirect, without parts that may be secret.
local function place_of(location)
  local place = string.gsub(location, "[?#].*", "")
  place = string.gsub(place, "^([%w+.-]*:?//)[^/]*@", "%1")
  place = string.gsub(place, "[^%w%-._~:/%%%[%]]", "?")
  return string.sub(place, 1, 256)
end

-- How the router retries: RETRY_HEADER makes it repeat a call, and WAIT_HEADER makes it wait for
-- that many seconds, and up to half as many more. Neither reaches a client.
local RETRIED = RETRIED_STATUSES

-- seconds_of is the time of day, or of a date, in seconds; nil if it is invalid.
local MONTHS = {Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12}
local function seconds_of(day, month, year, hour, minute, second)
  month = MONTHS[month]
  if not month then return nil end
  if month <= 2 then year, month = year - 1, month + 12 end -- with years from March, the leap day is the last day
  local days = 365 * year + math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400) + math.floor((153 * month - 457) / 5) + day - 719469
  return ((days * 24 + hour) * 60 + minute) * 60 + second
end

-- date reads the three forms of a date in HTTP, as seconds since 1970; nil for anything else.
-- Source: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
local TIME = "(%d%d):(%d%d):(%d%d)"
local function date(text)
  local day, month, year, h, m, s = string.match(text, "^%a+, (%d%d)[ -](%a%a%a)[ -](%d%d%d?%d?) " .. TIME .. " GMT$")
  if not day then month, day, h, m, s, year = string.match(text, "^%a%a%a (%a%a%a) +(%d%d?) " .. TIME .. " (%d%d%d%d)$") end
  if not day then return nil end
  year = tonumber(year)
  if year < 100 then year = year + (year < 70 and 2000 or 1900) end
  return seconds_of(tonumber(day), month, year, tonumber(h), tonumber(m), tonumber(s))
end

local function decimal(text)
  return text and string.find(text, "^%d+%.?%d*$") and tonumber(text)
end

-- requested_wait is how many seconds a provider asks to wait; nil if it does not ask, or
-- unreadably. A date is compared with the provider's own clock, if it sends that.
local function requested_wait(handle)
  local headers = handle:headers()
  local ms = decimal(headers:get("retry-after-ms"))
  if ms then return ms / 1000 end
  local after = headers:get("retry-after")
  if not after then return nil end
  local till = date(after)
  if till then return math.max(till - (date(headers:get("date") or "") or handle:timestamp() / 1000), 0) end
  return decimal(after)
end

local function plan_of(handle)
  return handle:streamInfo():dynamicMetadata():get(PLAN_NAMESPACE)
end

-- begin_answer begins to read the answer to a planned request.
local function begin_answer(plan)
  return answer(plan["path"], plan["method"])
end

local function is_response(plan)
  return string.sub(plan["path"], 1, 10) == "/responses"
end

-- read_whole reads the body of a refusal before the router sees it, and returns its reading.
local function read_whole(handle, plan)
  local body, r = handle:body(), begin_answer(plan)
  if body then read(r, body:getBytes(0, body:length())) end
  finish(r)
  return r
end

-- pause is how many seconds to wait before a retry at the same backend, given the number of earlier
-- ones. If the plan has one backend, the router chooses between none and DELAY.
local function pause(wait, several, repeated)
  local own = several and math.min(math.floor(DELAY * 2 ^ repeated + 0.5), LONGEST_WAIT) or 0
  return math.max(math.ceil(wait or 0), own)
end

-- decide decides whether the router repeats a call. The plan's next backend is called at once.
-- Before a retry at the same backend it waits, and it gives up if the backend asks for too long a
-- wait, or says that retrying is useless. It returns what was read of the body, if it had to read
-- it.
local function decide(handle, status, seen, plan)
  local headers = handle:headers()
  headers:remove("RETRY_HEADER")
  headers:remove("WAIT_HEADER")
  headers:remove("x-envoy-ratelimited") -- with it the router would not retry
  if not RETRIED[status] then return nil end
  local groups = handle:streamInfo():dynamicMetadata():get(ROUTE_NAMESPACE)["priority_groups"]
  local calls = calls_in(seen)
  if calls < #groups then
    headers:replace("RETRY_HEADER", "next")
    return nil
  end
  local wait, r = requested_wait(handle), nil
  if headers:get("x-should-retry") == "false" or wait and wait > LONGEST_WAIT then return nil end
  if status == "429" and not headers:get("content-encoding") then
    r = read_whole(handle, plan)
    if r.code == "insufficient_quota" or r.kind == "insufficient_quota" then return r end
  end
  headers = handle:headers() -- earlier handles are invalid after waiting for the body
  headers:replace("RETRY_HEADER", "same")
  local seconds = pause(wait, #groups > 1, calls - #groups)
  if seconds > 0 then headers:replace("WAIT_HEADER", string.format("%d", seconds)) end
  return r
end

-- tell_all reads an answer as it passes, and writes what it finds to the journal.
local function tell_all(handle, plan)
  local r = begin_answer(plan)
  for chunk in handle:bodyChunks() do
    read(r, chunk:getBytes(0, chunk:length()))
    if r.news then tell(handle, r, false) end
  end
  finish(r)
  return r
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(":status")
  local seen = note(handle, " " .. status)
  if status == "101" then return refuse_upgrade(handle) end
  hide_challenge(headers)
  local plan = plan_of(handle)
  -- Who refused, or keeps the response, and where to? Envoy puts its own name here before a client sees it.
  if status == "400" or status == "422" or is_response(plan) then headers:replace("server", BACKEND) end
  if string.sub(status, 1, 1) == "3" then headers:replace("server", place_of(headers:get("location") or "")) end
  local encoding = headers:get("content-encoding")
  local r = decide(handle, status, seen, plan)
  if encoding and string.lower(encoding) ~= "identity" then return end -- it cannot be read here
  r = r or tell_all(handle, plan)
  if r.news or not r.answered or r.tier and not r.believed then tell(handle, r, true) end
end
