-- Sets the path of this attempt: the backend's base, then what the client asked
-- for below the gateway's own, query included, as the plan has it.
function envoy_on_request(handle)
  local plan = handle:streamInfo():dynamicMetadata():get("aigw")
  handle:headers():replace(":path", BASE_PATH .. plan["path"])
end
