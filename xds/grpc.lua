-- Envoy answers requests with gRPC's content type in gRPC's way: status 200, the error in
-- headers, no body. This makes an error of this gateway out of it again.
function envoy_on_response(handle)
  local headers = handle:headers()
  headers:replace(":status", "STATUS")
  headers:replace("content-type", "application/json")
  headers:remove("grpc-status")
  headers:remove("grpc-message")
  handle:body(true):setBytes(BODY)
end
