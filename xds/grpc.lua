-- Envoy answers requests with gRPC's content type as gRPC does: status 200, the error in headers,
-- no body. This script turns that back into an error of this gateway.
function envoy_on_response(handle)
  local headers = handle:headers()
  headers:replace(":status", "STATUS")
  headers:replace("content-type", "application/json")
  headers:remove("grpc-status")
  headers:remove("grpc-message")
  handle:body(true):setBytes(BODY)
end
