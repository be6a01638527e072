# `make run` starts the gateway, `make test` runs all tests; `make help` lists the rest.

GO     ?= go
PYTHON ?= python3
export PYTHON

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GREMLINS      := github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0
ACTIONLINT    := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# Where the price book comes from, and the day on which its newest version was looked for.
PRICES      := genai-prices==0.2.3
PRICES_DATE := 2026-11-24

# The packages whose tests run the built gateway with a real Envoy. They measure time,
# so they run one after another and without the race detector.
E2E := ./cmd/ai-gateway ./test ./test/sdktest ./bench

# The tests that need a Docker Engine: `make test-deploy` alone runs them.
DEPLOY := ./test/deploy

# The race detector needs a C compiler.
RACE := $(shell command -v "$$($(GO) env CC)" >/dev/null 2>&1 && echo -race)

# The dashboard, and the file that tells when it was built last.
WEB := dashboard-api/web/index.html.gz
WEB_SOURCES := $(shell find dashboard -name node_modules -prune -o -type f -print)

# The built gateway and the fake provider, for tests in a browser.
BROWSER := GATEWAY_BINARY=$(CURDIR)/bin/ai-gateway FAKE_PROVIDER_BINARY=$(CURDIR)/bin/fakeprovider

SDK_NODE := test/sdktest/node
SDK_PYTHON := test/sdktest/python/requirements.txt

.DEFAULT_GOAL := help
.PHONY: help run build setup test-setup test test-browser test-deploy test-mesh screenshots chaos mutants bench docs check prices clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

run: build ## install what is missing, build and run the gateway
	@envoy=$$(scripts/envoy.sh) && ENVOY_PATH=$$envoy exec bin/ai-gateway run

# Without VCS stamps: a checkout that git does not trust (as in many containers) would
# not build, and the version says the same.
build: $(WEB) ## build bin/ai-gateway, with the dashboard
	@CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o bin/ai-gateway ./cmd/ai-gateway

$(WEB): dashboard/node_modules/.package-lock.json $(WEB_SOURCES)
	@npm run --prefix dashboard --silent build -- --logLevel warn

dashboard/node_modules/.package-lock.json: dashboard/package-lock.json
	npm ci --prefix dashboard --loglevel error --no-update-notifier --no-audit --no-fund
	@touch $@

setup: ## find Envoy, or install it into .tools
	@scripts/envoy.sh >/dev/null

# Debian's packages that tests need.
DEBIAN := postgresql redis-server chromium

test-setup: setup $(SDK_NODE)/node_modules/.package-lock.json ## also install what the tests need
	@scripts/debian.sh $(DEBIAN)
	@scripts/pip-install.sh .tools/python -r $(SDK_PYTHON)
	@scripts/ratelimit.sh >/dev/null
	@scripts/dex.sh >/dev/null

$(SDK_NODE)/node_modules/.package-lock.json: $(SDK_NODE)/package-lock.json
	npm ci --prefix $(SDK_NODE) --loglevel error --no-update-notifier --no-audit --no-fund
	@touch $@

test: test-setup build ## run all tests
	$(GO) vet ./...
	$(GO) run $(ACTIONLINT)
	$(if $(RACE),,@echo 'No C compiler: testing without the race detector.')
	$(GO) test $(RACE) -timeout 10m $$($(GO) list ./... | grep -v -x $(foreach p,$(E2E) $(DEPLOY),-e ai-gateway$(p:.%=%)))
	npm run --prefix dashboard --silent test
	ENVOY_PATH=$$(scripts/envoy.sh) && export ENVOY_PATH && $(GO) test -p 1 -count 1 -timeout 20m $(E2E)
	$(MAKE) test-browser BROWSER_TESTS=first-run

test-browser: build ## try the dashboard in a browser, with a real gateway
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/fakeprovider ./test/fakeprovider/cmd
	ENVOY_PATH=$$(scripts/envoy.sh) && DEX_BINARY=$$(scripts/dex.sh) && export ENVOY_PATH DEX_BINARY && $(BROWSER) npm run --prefix dashboard --silent test-browser -- $(BROWSER_TESTS)

screenshots: build ## take screenshots of every page of the dashboard, in both themes and three widths
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/fakeprovider ./test/fakeprovider/cmd
	ENVOY_PATH=$$(scripts/envoy.sh) && export ENVOY_PATH && $(BROWSER) npm run --prefix dashboard --silent screenshots

# Debian's packages that a Docker Engine needs.
ENGINE := docker.io iptables

test-deploy: test-setup build ## build the images and run the compose file on a Docker Engine of its own, as root: half an hour on a slow machine
	@scripts/debian.sh $(ENGINE)
	@scripts/postgres18.sh >/dev/null
	@scripts/compose.sh >/dev/null
	ENVOY_PATH=$$(scripts/envoy.sh) && export ENVOY_PATH && $(GO) test -count 1 -timeout 90m -v $(DEPLOY)

chaos: test-setup ## kill processes for ten minutes on each database, load serve with 4,000 streams, and compare the tables with the provider's own records
	ENVOY_PATH=$$(scripts/envoy.sh) && export ENVOY_PATH && CHAOS_SECONDS=600 $(GO) test -count 1 -timeout 32m -v \
	-run 'TestNothingIsUnbilledOrBilledTwiceWhateverIsKilled|TestClientsThatDoNotReadHoldUpNobody|TestAServeThatIsSlowToReadLosesNothing' ./test

# The rooms in which mistakes cost money.
MUTANTS := gateway pricing xds control usage/wal usage/ledger provider extproc store

# In a copy of what is committed: the tool copies the whole folder, installed tools and all.
mutants: ## make small mistakes in MUTANTS, one at a time, and list those that no test of the room catches: hours
	@copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && git archive HEAD | tar -x -C "$$copy" && cd "$$copy" && \
	for room in $(MUTANTS); do echo "== $$room" && \
	$(GO) run $(GREMLINS) unleash --workers 1 --timeout-coefficient 10 --output-statuses lct ./$$room; done

# What the tests of `make test-mesh` start, each in a version that is known to work.
HELM_MODULE          := helm.sh/helm/v4@v4.3.2
ENVOY_GATEWAY_MODULE := github.com/envoyproxy/gateway@v1.9.1
KUBERNETES_VALIDATE  := kubernetes-validate==1.37.0
ISTIO_API_MODULE     := istio.io/api@v1.32.0

test-mesh: test-setup ## attach the gateway to older Envoys and to Envoy Gateway, check the Helm chart, and run it on several machines (network namespaces: as root); builds Helm and Envoy Gateway first, half an hour
	@scripts/pip-install.sh .tools/kubernetes-validate $(KUBERNETES_VALIDATE)
	OLDER_ENVOYS=$$(scripts/envoys.sh) && ENVOY_PATH=$$(scripts/envoy.sh) && \
	HELM=$$(scripts/go-tool.sh helm helm.sh/helm/v4/cmd/helm $(HELM_MODULE)) && \
	ENVOY_GATEWAY=$$(scripts/go-tool.sh envoy-gateway github.com/envoyproxy/gateway/cmd/envoy-gateway $(ENVOY_GATEWAY_MODULE)) && \
	KUBERNETES_VALIDATE=$(CURDIR)/.tools/kubernetes-validate && \
	ISTIO_API=$$($(GO) mod download -json $(ISTIO_API_MODULE) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p') && \
	export ISTIO_API OLDER_ENVOYS ENVOY_PATH HELM ENVOY_GATEWAY KUBERNETES_VALIDATE && \
	$(GO) test -tags mesh -count 1 -timeout 45m -v -run 'TestOlderEnvoys|TestEnvoyGateway|TestTheChart|TestThePods|TestIstio|TestThreeMachines|TestAnEnvoyWithTheGateway|TestAnAgentIsReplaced|TestAnAgentServesItsEnvoy|TestAMisnamedPiece|TestEnvoyAccepts' ./test

bench: build ## compare speed and memory with a bare Envoy: about nine minutes on an idle machine
	@$(GO) build -o bin/bench ./bench/cmd
	@CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags sabotage -o bin/ai-gateway-sabotage ./cmd/ai-gateway
	@ENVOY_PATH=$$(scripts/envoy.sh) && export ENVOY_PATH && bin/bench bin/ai-gateway bin/ai-gateway-sabotage bench/results

docs: dashboard/node_modules/.package-lock.json ## write the tables and schemas that are made from the code
	$(GO) run ./cmd/ai-gateway config docs docs
	npm run --prefix dashboard --silent types

check: ## check format, lint, known vulnerabilities and imports between rooms
	@unformatted=$$(gofmt -l .) && if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:" $$unformatted; exit 1; fi
	$(GO) vet ./...
	$(GO) test -run TestRoomsMeet ./cmd/ai-gateway
	$$(scripts/promtool.sh) check rules deploy/prometheus/*.rules.yml
	$(GO) run $(GOLANGCI_LINT) run
	$(GO) run $(GOVULNCHECK) ./...

prices: ## make the table of prices again, from the pinned version
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	$(PYTHON) -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$$dir" $(PRICES) && \
	$(GO) run ./pricing/build -from "$$dir"/genai_prices-*.whl -date $(PRICES_DATE) >"$$dir/prices.csv" && \
	cp "$$dir/prices.csv" pricing/prices.csv

clean: ## remove what was built and installed
	rm -rf bin .tools $(SDK_NODE)/node_modules dashboard/node_modules
	find dashboard-api/web -mindepth 1 ! -name .gitignore -delete
