# Everything a newcomer needs is `make run`, `make demo` and `make test`: they
# need Go and nothing else. `make help` lists the rest.

SHELL      := /bin/bash
GO         ?= go
DATA       ?= weir-data
LISTEN     ?= 127.0.0.1:8080
FUZZTIME   ?= 20s
BENCHTIME  ?= 1s
TOOLS      := $(CURDIR)/.tools
GOLANGCI   := v2.15.0
export CGO_ENABLED ?= 0

.PHONY: help run demo build test race fuzz bench bench-reports lint check e2e oracle comments words

help: ## Say what each target does.
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## Run all of Weir in one process, data kept in ./weir-data.
	@exec bin/weir all --data $(DATA) --listen $(LISTEN)

demo: build ## Send a small believable sample to the running server and show answers.
	@$(GO) run ./scripts/demo $(DATA)

build: ## Build bin/weir. The first build takes some minutes and says so.
	@scripts/build.sh

test: ## Run the tests. Needs Go and nothing else.
	$(GO) test ./...

race: ## Run the tests under the race detector (needs a C compiler).
	CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...

fuzz: ## Run each fuzzer for FUZZTIME.
	@scripts/fuzz.sh $(FUZZTIME)

bench: ## Run the benchmarks of the hot paths beside their floors, then bench-reports.
	$(GO) test -run '^$$' -bench . -skip '^BenchmarkReports$$' -benchtime $(BENCHTIME) ./schemas/... ./ingest/... ./processor/... ./query/...
	$(MAKE) bench-reports

bench-reports: ## Run the benchmark of the reports beside DuckDB (needs Python).
	@GO=$(GO) scripts/bench/run.sh $(BENCHTIME)

lint: $(TOOLS)/golangci-lint-$(GOLANGCI) ## Format and lint.
	$< fmt --diff
	$< run ./...
	$< run --build-tags e2e ./scripts/e2e

check: lint ## What CI runs first: format, lint, repocheck and the tests under -race.
	$(GO) test ./scripts/repocheck
	$(MAKE) race

e2e: build ## The whole thing on Apache Kafka, an S3 server and PostgreSQL. Needs Java, Maven, Python, Debian packages.
	@scripts/e2e/run.sh $(ARGS)

oracle: build ## Ask Weir and DuckDB the same random questions. Needs Python.
	@scripts/oracle/run.sh $(ARGS)

comments: ## Print the share of comment lines in each package.
	@$(GO) run ./scripts/commentshare schemas processor ingest query deploy

words: ## Print where a retired name still stands in code (ARGS="-text" searches comments too).
	@$(GO) run ./scripts/words $(ARGS)

$(TOOLS)/golangci-lint-$(GOLANGCI):
	@echo "building golangci-lint $(GOLANGCI), once, about a minute"
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	@mv $(TOOLS)/bin/golangci-lint $@
