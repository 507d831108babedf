# The bench's own programs. Run by `make bench`.
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
ROUNDS ?= 5
SECONDS_EACH ?= 2

# A Go of the machine's own, or one of those that tests/go/fetch_go unpacks.
GO ?= $(firstword $(shell command -v go) $(wildcard /opt/go-debian/*/usr/lib/go-*/bin/go) $(wildcard /usr/lib/go-*/bin/go))

bench: $(BUILD)/bench/bench $(BUILD)/bench/churn $(BUILD)/bench/pair $(BUILD)/libforward.so
	$(BUILD)/bench/bench $(abspath $(BUILD)) $(ROUNDS)
	bench/go.sh $(BUILD) $(ROUNDS)
	@$(MAKE) --no-print-directory -s -f bench/bench.mk BUILD=$(BUILD) ROUNDS=$(ROUNDS) collector memory report trees calls page serve

# How fast the page of a report of 100,000 stacks is, in a browser.
page:
	node bench/page.mjs $(ROUNDS)

# What each kind of memory call costs; a stressor's work for a second of CPU time.
calls: $(BUILD)/bench/calls
	$(BUILD)/bench/calls $(abspath $(BUILD)) $(ROUNDS)

stressors:
	bench/stressors.sh $(BUILD) $(SECONDS_EACH)

# What the collector costs: snapshots, draining, idling, short programs.
collector: $(BUILD)/bench/snapshot $(BUILD)/bench/startup
	$(BUILD)/bench/snapshot
	bench/collector.sh $(BUILD) $(ROUNDS)

# What an event costs the collector by its code alone: of a trace in `all`. TRACE=FILE.
drain: $(BUILD)/bench/drain
	$< $(TRACE) $(ROUNDS)

# By how much a time stamp may run ahead of the load before it.
early: $(BUILD)/bench/early
	$< 10000000

# What a short program costs, each run with a collector of its own.
short: $(BUILD)/bench/short
	@mkdir -p $(BUILD)/bench/short.out
	VMTRACE_OUTPUT=$(abspath $(BUILD))/bench/short.out/%p.vmt $< 200 -,$(abspath $(BUILD))/libvmtrace.so /bin/true
	@rm -r $(BUILD)/bench/short.out

# What program and collector hold of ours.
memory: $(BUILD)/bench/pair $(BUILD)/bench/churn
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD) build $(BUILD)/tests/target/threads_at_once
	bench/memory.sh $(BUILD) $(ROUNDS)

# What a Go program whose heap never rests costs the collector; BUILDS="BUILD..." in turn.
go_storm:
	bench/go_storm.sh "$(or $(BUILDS),$(BUILD))" $(ROUNDS)

# What a report takes of memory, by what happened and by what is live.
report: $(BUILD)/bench/churn $(BUILD)/bench/peak
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD) build
	bench/report_memory.sh $(BUILD)

# What grows with what.
scale: $(BUILD)/bench/churn $(BUILD)/bench/peak
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD) build $(BUILD)/tests/target/threads_at_once
	bench/scale.sh $(BUILD)

# What a report about the traces of many processes takes.
trees: $(BUILD)/bench/peak
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD) build $(BUILD)/tests/target/prefork
	bench/trees.sh $(BUILD) $(ROUNDS)

# What an answer of vmtrace-serve costs.
serve: $(BUILD)/bench/steady
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD) build
	bench/serve.sh $(BUILD) 500000 $(ROUNDS)

$(BUILD)/bench/snapshot: bench/snapshot.c $(BUILD)/libbase.a
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -I. -O2 -g -fno-omit-frame-pointer -Wall -Wextra $^ -o $@

$(BUILD)/bench/drain: bench/drain.c $(BUILD)/libtools.a $(BUILD)/libbase.a
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -I. -O2 -g -fno-omit-frame-pointer -Wall -Wextra $^ -o $@ -lzstd

# What page faults cost that the kernel samples.
touch: $(addprefix $(BUILD)/bench/,touch touch_unwind workloads)
	bench/touch.sh $(BUILD) $(ROUNDS)

$(BUILD)/bench/touch_unwind: bench/touch_unwind.c $(BUILD)/libbase.a
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -I. -O2 -g -fomit-frame-pointer -Wall -Wextra $^ -o $@

# What it costs to put the recorder into static programs.
inject:
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD) build
	GO=$(GO) bench/inject.sh $(BUILD) $(ROUNDS)

# For how long a process stands when it is attached to, and whether that does any harm.
attach:
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD) build
	GO=$(GO) bench/attach.sh $(BUILD) $(ATTACHES)

workloads: $(addprefix $(BUILD)/bench/,workloads pair factor) $(if $(GO),$(BUILD)/bench/cgo)
	$(BUILD)/bench/workloads $(abspath $(BUILD)) $(ROUNDS) $(WORKLOADS)

$(BUILD)/bench/cgo: bench/cgo/main.go
	@mkdir -p $(@D)
	env GO111MODULE=off CGO_ENABLED=1 GOFLAGS= GOROOT=$(patsubst %/bin/go,%,$(realpath $(GO))) GOCACHE=$(abspath $(BUILD))/bench/go-cache \
	  $(GO) build -o $@ $<

$(BUILD)/bench/%: bench/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -fno-omit-frame-pointer -Wall -Wextra $< -o $@ -lpthread

$(BUILD)/libforward.so: bench/forward.c
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -shared -fPIC $< -o $@ -ldl

.PHONY: attach bench calls collector drain early go_storm inject memory report page short stressors touch trees workloads
