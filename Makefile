# The two commands of a newcomer are `make demo` and `make test`. `make help` lists all.

GO       ?= go
BIN      := bin
TOOLS    := bin/tools
LINT     := $(TOOLS)/golangci-lint
LINT_VERSION := v2.15.0
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
PACKAGES ?= ./...
TESTFLAGS ?= -race

# Built without cgo, so that one file runs on any Linux.
BUILD = CGO_ENABLED=0 $(GO) build -buildvcs=false -ldflags "-X main.version=$(VERSION)"

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: need-go build ## train on the corridor with the dashboard open, crash, resume, sync, verify and query
	@scripts/need demo
	@$(BIN)/greenwave demo --dir build/demo

.PHONY: test
test: need-test ## run every test (the race detector is on); pictures of the pages go to build/screenshots
	@GREENWAVE_SCREENSHOTS=$(CURDIR)/build/screenshots scripts/gotest -timeout 20m $(TESTFLAGS) $(PACKAGES)

.PHONY: check
check: fmt-check vet lint generate-check test ## what CI runs: format, vet, lint, generated files, tests

.PHONY: build
build: need-go ## build bin/greenwave
	@mkdir -p $(BIN)
	$(BUILD) -o $(BIN)/greenwave ./cmd/greenwave

.PHONY: install
install: need-go ## install greenwave into Go's bin folder
	CGO_ENABLED=0 $(GO) install -buildvcs=false -ldflags "-X main.version=$(VERSION)" ./cmd/greenwave

.PHONY: generate
generate: need-test ## write the generated files again (docs/cli.md; docs/schema.md, from a PostgreSQL of its own)
	$(GO) generate ./...

.PHONY: generate-check
generate-check: need-test
	@scripts/generate-check

.PHONY: fmt
fmt: need-go ## format the sources
	gofmt -w $$(git ls-files -co --exclude-standard '*.go')

.PHONY: fmt-check
fmt-check: need-go
	@bad=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$bad" ]; then echo "not formatted (make fmt mends it):"; echo "$$bad"; exit 1; fi

.PHONY: vet
vet: need-go
	$(GO) vet ./...

.PHONY: lint
lint: $(LINT) ## run the linters of .golangci.yml
	$(LINT) run ./...

# The linter has its own modules and never touches go.mod. Building it takes about
# three minutes on two cores, once.
$(LINT): Makefile | need-go
	@mkdir -p $(TOOLS)
	@if ! $(LINT) version 2>/dev/null | grep -q '$(LINT_VERSION:v%=%)'; then \
		echo "building golangci-lint $(LINT_VERSION), once"; \
		GOBIN=$(abspath $(TOOLS)) GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION); \
	fi
	@touch $@

.PHONY: vulncheck
vulncheck: need-go ## look the dependencies up in Go's database of known vulnerabilities
	@scripts/vulncheck

.PHONY: bench
bench: need-test ## measure speed and memory against their limits (docs/performance.md)
	@scripts/bench

.PHONY: install-deps
install-deps: need-test ## install what make test needs, and nothing else
	@echo "everything that the tests need is here"

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN) build

.PHONY: need-go
need-go:
	@scripts/need go

.PHONY: need-test
need-test: need-go
	@scripts/need test
