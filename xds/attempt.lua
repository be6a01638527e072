-- One attempt at a backend: its path, and the model by its name there. Headers keep
-- what an earlier attempt at another backend set, the body does not.
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

function envoy_on_request(handle)
  local plan = handle:streamInfo():dynamicMetadata():get("aigw")
  local model = plan["model@" .. BACKEND]
  handle:headers():replace(":path", path(plan["path"], model))
  if model ~= nil then rename(handle, plan, model) end
end
