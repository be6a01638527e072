# Two images of one binary.
#
#   docker build -t ai-gateway .                        everything in one container, Envoy included
#   docker build -t ai-gateway:agent --target agent .   the binary alone, for an Envoy in a container of its own
#
# Only what both of Docker's builders understand is used here.

FROM node:20.20.2-bookworm-slim AS dashboard
WORKDIR /src/dashboard
COPY dashboard/package.json dashboard/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY dashboard ./
# A list of what it is made of needs a version, which the dashboard does not have by itself.
RUN npm run build && npm pkg set version=0.0.0 && npm sbom --omit dev --sbom-format cyclonedx >/src/dashboard.cdx.json

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=dashboard /src/dashboard-api/web dashboard-api/web
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/ai-gateway ./cmd/ai-gateway
# What the image holds, for those who have to know. The serial number would differ in each build.
RUN CGO_ENABLED=0 go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 bin -json -noserial -output /out/ai-gateway.cdx.json /out/ai-gateway
RUN mkdir -p /out/private /out/tmp && chmod 0700 /out/private && chmod 1777 /out/tmp && \
    printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >/out/passwd && \
    printf 'root:x:0:\nnonroot:x:65532:\n' >/out/group

# The binary alone. It shares /run/ai-gateway and /var/lib/ai-gateway with its Envoy.
FROM scratch AS agent
COPY --from=build /out/passwd /out/group /etc/
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ai-gateway.cdx.json /usr/share/sbom/
COPY --from=dashboard /src/dashboard.cdx.json /usr/share/sbom/
COPY --from=build /out/tmp /tmp
COPY --from=build --chown=65532:65532 /out/private /run/ai-gateway
COPY --from=build --chown=65532:65532 /out/private /var/lib/ai-gateway
COPY --from=build /out/ai-gateway /ai-gateway
USER 65532:65532
ENTRYPOINT ["/ai-gateway"]
CMD ["serve", "--role", "agent", "--run-folder", "/run/ai-gateway"]

# Everything in one container. It listens where other machines reach it, so it starts closed: the
# first start makes an admin's key and prints it.
FROM envoyproxy/envoy:distroless-v1.40.0
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ai-gateway.cdx.json /usr/share/sbom/
COPY --from=dashboard /src/dashboard.cdx.json /usr/share/sbom/
COPY --from=build --chown=65532:65532 /out/private /data
COPY --from=build --chown=65532:65532 /out/private /var/lib/ai-gateway
COPY --from=build /out/ai-gateway /ai-gateway
# Railway's files cannot set variables, but its builds can be told apart: one proxy stands before them.
ARG RAILWAY_ENVIRONMENT_ID
ENV AI_GATEWAY_TRUSTED_HOPS=${RAILWAY_ENVIRONMENT_ID:+1} \
    AI_GATEWAY_BIND=0.0.0.0 \
    ENVOY_PATH=/usr/local/bin/envoy \
    XDG_STATE_HOME=/var/lib
USER 65532:65532
EXPOSE 3002
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/ai-gateway", "ready"]
ENTRYPOINT ["/ai-gateway"]
CMD ["run"]
