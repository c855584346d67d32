# Everything a newcomer needs is `make run`, `make demo` and `make test`: they
# need Go and nothing else. `make help` lists the rest.

SHELL      := /bin/bash
GO         ?= go
DATA       ?= weir-data
LISTEN     ?= 127.0.0.1:8080
FUZZTIME   ?= 20s
FUZZPART   ?= 1/1
BENCHTIME  ?= 1s
FROM       ?= 87a9283
TOOLS      := $(CURDIR)/.tools
GOLANGCI   := v2.15.0
ACTIONLINT := v1.7.12
DEADCODE   := v0.52.0
export CGO_ENABLED ?= 0

.PHONY: help run demo build test race fuzz bench bench-sink bench-history bench-lists bench-reports e2e upgrade oracle lint actionlint check ci nightly slow words comments deadcode attack mistakes mutate

help: ## Say what each target does.
	@awk -F':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Needs Go and nothing else

run: build ## Run all of Weir in one process, data kept in ./weir-data.
	@exec bin/weir all --data $(DATA) --listen $(LISTEN)

demo: build ## Send a small believable sample to the running server and show answers.
	@$(GO) run ./scripts/demo $(DATA)

build: ## Build bin/weir. The first build takes some minutes and says so.
	@scripts/build.sh

test: ## Run the tests.
	$(GO) test ./...

fuzz: ## Run each fuzzer for FUZZTIME; FUZZPART=2/3 runs a third of them.
	@scripts/fuzz.sh $(FUZZTIME) $(FUZZPART)

attack: build ## Attack a server of its own and print what a neighbour notices. (ARGS="--only REGEXP --seconds N")
	@$(GO) run ./scripts/attack $(ARGS)

mistakes: ## Plant known mistakes into the product: for each, its test must fail. (ARGS="--only REGEXP --part 2/5")
	@$(GO) run ./scripts/mistakes $(ARGS)

mutate: ## Change the product in small ways and count what tests notice, up to 90 minutes. (ARGS="--count 400 --seed N --only PACKAGE --minutes 90")
	@$(GO) run ./scripts/mutate $(ARGS)

lint: $(TOOLS)/golangci-lint-$(GOLANGCI) actionlint ## Check format and lint. Builds its tools once, into .tools.
	$< fmt --diff
	$< run ./...
	$< run --build-tags e2e ./scripts/e2e
	$< run --build-tags upgrade ./deploy/weir

actionlint: $(TOOLS)/actionlint-$(ACTIONLINT) ## Check the workflows of .github.
	$<

##@ To look at the code

slow: ## List the 20 slowest tests.
	@$(GO) test -json $(or $(ARGS),./...) | $(GO) run ./scripts/slow

words: ## Print where a retired name still stands in code (ARGS=-text: in comments too).
	@$(GO) run ./scripts/words $(ARGS)

comments: ## Print the share of comment lines in each package.
	@$(GO) run ./scripts/commentshare schemas processor ingest query deploy

deadcode: $(TOOLS)/deadcode-$(DEADCODE) ## List functions that nothing calls; fails if there are any.
	@dead=$$($< -test -tags e2e,upgrade ./...) && echo "$$dead" && [[ -z $$dead ]]

##@ Needs more than Go

race: ## Run the tests under the race detector. Needs a C compiler.
	CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...

check: lint ## Run format, lint, repocheck and the tests under -race. Needs a C compiler.
	$(GO) test ./scripts/repocheck
	$(MAKE) race

bench: ## Run the benchmarks of the hot paths beside their floors, then bench-reports.
	$(GO) test -run '^$$' -bench . -skip '^BenchmarkReports$$' -benchtime $(BENCHTIME) ./schemas/... ./ingest/... ./processor/... ./query/...
	$(MAKE) bench-reports

bench-sink: ## Print what each stage of the sink costs per million events, beside a floor written by hand.
	$(GO) test -run '^$$' -bench '^BenchmarkSink$$' -benchtime $(or $(SINKTIMES),20)x ./processor | tr '\t' '\n'

bench-history: build ## Send years of history and as many events of one day, and print the ratio. Needs Python. (ARGS="--events N --years N --keep DIR")
	@GO=$(GO) scripts/bench/history.sh $(ARGS)

bench-lists: build ## Ask Weir and DuckDB the same lists and reports over what bench-history kept. Needs Python. (ARGS=DIR)
	@scripts/bench/lists.sh $(ARGS)

bench-reports: ## Run the benchmark of the reports beside DuckDB. Needs Python.
	@GO=$(GO) scripts/bench/run.sh $(BENCHTIME)

oracle: build ## Ask Weir and DuckDB the same random questions. Needs Python.
	@scripts/oracle/run.sh $(ARGS)

upgrade: ## Open a folder and roll a cluster over from the version of a commit. Needs git. (FROM=COMMIT)
	@scripts/upgrade.sh $(FROM)

e2e: build ## Test on Apache Kafka, an S3 server and PostgreSQL. Needs Java, Maven, Python, PostgreSQL.
	@scripts/e2e/run.sh $(ARGS)

ci: ## Run what must pass before a change lands, about 40 minutes. Installs Debian packages.
	.ci/run

nightly: ## Run every suite whole, about an hour and a half, and print what each took. Needs all of the above.
	@scripts/nightly.sh

# Tools are pinned by version and built once; a new version gets a new name.

$(TOOLS)/golangci-lint-$(GOLANGCI):
	@echo "building golangci-lint $(GOLANGCI), once, about a minute"
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	@mv $(TOOLS)/bin/golangci-lint $@

$(TOOLS)/actionlint-$(ACTIONLINT):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS)/bin $(GO) install github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT)
	@mv $(TOOLS)/bin/actionlint $@

$(TOOLS)/deadcode-$(DEADCODE):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS)/bin $(GO) install golang.org/x/tools/cmd/deadcode@$(DEADCODE)
	@mv $(TOOLS)/bin/deadcode $@
