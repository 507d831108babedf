# vmtrace: build, test, install. `make help` lists the targets.

.DEFAULT_GOAL := build
SHELL := /bin/sh
BUILD ?= build
PREFIX ?= /usr/local
LIBDIR ?= lib
ifeq ($(origin CC),default)
CC := gcc
endif

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wcast-qual -Wundef -Wpointer-arith
# A newer compiler may warn of what no older one saw: that stops the tests, and nobody who only builds.
WERROR ?=
test-build test check-build asan-build asan-objects tsan-objects sanitized-fuzz checked-build checked-objects: WERROR := -Werror
CFLAGS ?= -O2 -g
# 1: vmt_assert of base/assert.h traps.
ASSERTS ?= 0
BASE = -std=gnu11 -D_GNU_SOURCE -I. -MMD -MP -fno-omit-frame-pointer $(WARN) $(WERROR) -DVMT_ASSERTS=$(ASSERTS) $(SANITIZE)
FREESTANDING := -include format/banned.h
TOOL_LIBS := -ldw -lelf -lzstd -lz -liberty -lncursesw -ltinfo -ljansson -lm

# Rooms, nested to any depth. Those of the base serve the library and the command; capture and preload
# run inside the traced process alone.
base_rooms := base format unwind collect inject
inner_rooms := capture preload
sources_of = $(sort $(foreach room,$(wildcard $(1)),$(shell find $(room) -name '*.c')))
# In the order in which they are linked. The kernel maps 64 KiB of a file around each page that is touched: what runs in
# one process lies together, in the command the collector, in the library what the traced program needs.
base_sources := $(call sources_of,base format unwind collect) $(call sources_of,inject)
inner_sources := $(call sources_of,$(inner_rooms))
tools_sources := $(call sources_of,tools)
# The server's own part, which needs libmicrohttpd; the rest of tools/serve does not.
serve_sources := tools/serve/serve_main.c tools/serve/server.c tools/serve/answers.c
core_sources := $(filter-out tools/cmd/main.c $(serve_sources) tools/install/%,$(tools_sources))

of_program := $(call sources_of,inject) collect/initial_events.c $(call sources_of,base format unwind) $(inner_sources)
lib_objects := $(patsubst %.c,$(BUILD)/pic/%.o,$(filter-out $(of_program),$(base_sources)) $(of_program))
base_objects := $(patsubst %.c,$(BUILD)/obj/%.o,$(base_sources))
# A further build for tests may take these of the first one, or, with an empty name, leave out the blob.
tools_of := $(BUILD)
blob_of := $(BUILD)
core_objects := $(patsubst %.c,$(tools_of)/obj/%.o,$(core_sources)) $(tools_of)/obj/tools/page/page.o \
	$(if $(blob_of),$(blob_of)/obj/blob/blob_embed.o)
# Modules of these that unit tests may link: all but the hooks and the constructor.
inner_test_objects := $(filter-out $(BUILD)/pic/preload/hooks% $(BUILD)/pic/preload/start.o, \
	$(patsubst %.c,$(BUILD)/pic/%.o,$(inner_sources)))

unit_tests := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
race_tests := $(patsubst tests/race/%.c,$(BUILD)/tests/race/%,$(wildcard tests/race/test_*.c))
e2e_tests := $(patsubst tests/e2e/%.c,$(BUILD)/tests/e2e/%,$(wildcard tests/e2e/test_*.c))
e2e_objects := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out tests/e2e/test_%,$(wildcard tests/e2e/*.c)))
targets_c := $(patsubst tests/target/%.c,$(BUILD)/tests/target/%,$(wildcard tests/target/*.c))
targets_cc := $(patsubst tests/target/%.cc,$(BUILD)/tests/target/%,$(wildcard tests/target/*.cc))

# Where libmicrohttpd is missing, all but the server is built.
has_microhttpd := $(shell $(CC) -E -include microhttpd.h -x c /dev/null >/dev/null 2>&1 && echo yes)
serve := $(if $(has_microhttpd),$(BUILD)/vmtrace-serve)
build: $(BUILD)/vmtrace $(BUILD)/libvmtrace.so $(serve) $(BUILD)/vmtrace-install $(BUILD)/compile_commands.json ## compile the commands and the library

PIC := -fPIC -fvisibility=hidden -ftls-model=initial-exec $(FREESTANDING)
$(BUILD)/pic/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) $(PIC) -c $< -o $@

# Runs before there is what a stack protector reads, or a C library to be called.
$(BUILD)/pic/preload/trace/standalone_start.o: BASE += -ffreestanding -fno-stack-protector

# The short way of malloc and free needs no frame; what takes a frame address has one all the same.
$(BUILD)/pic/preload/hooks/hooks_malloc.o: BASE += -fomit-frame-pointer -foptimize-sibling-calls

# Functions that are led there may leave vector registers alone: so does this, and saves them before it calls.
$(BUILD)/pic/capture/record/heap_entries.o: BASE += -mgeneral-regs-only

$(patsubst %,$(BUILD)/obj/%/%.o,$(base_rooms)): OBJ_FLAGS := $(FREESTANDING)
# cmocka 2 has other names for what cmocka 1 has too.
TEST_FLAGS := -DCMOCKA_DISABLE_DEPRECATION_WARNINGS
# A test waits more than it computes: half the time of a compiler that optimizes it is saved.
$(BUILD)/obj/tests/%.o: OBJ_FLAGS := $(TEST_FLAGS) -Og -g1
# This one computes, and has fewer states where it is optimized.
$(BUILD)/obj/tests/race/test_ring_model.o: OBJ_FLAGS := $(TEST_FLAGS)
$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) $(OBJ_FLAGS) -c $< -o $@

$(BUILD)/obj/tools/cmd/library.o: OBJ_FLAGS := -DVMT_MULTIARCH='"$(shell $(CC) -print-multiarch 2>/dev/null)"'

# The page of an HTML report, made by `make web-bundle`; what is checked in goes into the command.
$(BUILD)/obj/tools/page/page.o: tools/page/page.S $(wildcard tools/page/bundle/*) Makefile
	@mkdir -p $(@D)
	$(CC) -c $< -o $@

# The export list and the hook table are one thing: hooks.def.
$(BUILD)/exports.map: preload/libc/hooks.def preload/exports.map.in
	@mkdir -p $(@D)
	$(CC) -E -P -x c preload/exports.map.in -I. -o $@

# In its file the library carries the blob for the static programs that a preloaded one executes.
lib_objects += $(if $(blob_of),$(blob_of)/obj/blob/blob_section.o)
$(BUILD)/libvmtrace.so: $(lib_objects) $(BUILD)/exports.map
	$(CC) $(CFLAGS) $(SANITIZE) -shared -nostartfiles -Wl,-e,vmt_standalone_entry -Wl,-soname,libvmtrace.so -Wl,-z,now,-z,relro,-z,noexecstack \
	  -Wl,--version-script=$(BUILD)/exports.map -Wl,--no-undefined -Wl,--as-needed \
	  -Wl,--sort-section=name -o $@ $(lib_objects)

# musl-gcc does not find the kernel's headers: they stand in a directory of their own.
musl: $(BUILD)/obj/blob/blob_section.o ## the library as a musl system has it, built by musl-gcc: BUILD/musl/libvmtrace.so
	@mkdir -p $(BUILD)/musl/kernel
	@ln -sfn /usr/include/linux /usr/include/asm-generic /usr/include/$$($(CC) -print-multiarch)/asm $(BUILD)/musl/kernel
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD)/musl blob_of=$(BUILD) CC='musl-gcc -isystem $(BUILD)/musl/kernel' WERROR=$(WERROR) \
	  $(BUILD)/musl/libvmtrace.so

# One static file that puts the library into a volume of a pod. Without musl-gcc it has that of glibc alone.
musl_library := $(if $(shell command -v musl-gcc),$(BUILD)/musl/libvmtrace.so)
$(BUILD)/musl/libvmtrace.so: $(BUILD)/libvmtrace.so
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD) WERROR=$(WERROR) musl
$(BUILD)/install/%.so: $(BUILD)/%/libvmtrace.so
	@mkdir -p $(@D)
	objcopy --strip-debug $< $@
$(BUILD)/install/glibc.so: $(BUILD)/libvmtrace.so
	@mkdir -p $(@D)
	objcopy --strip-debug $< $@
$(BUILD)/vmtrace-install: tools/install/vmtrace_install.c tools/install/library_embed.S $(BUILD)/install/glibc.so $(if $(musl_library),$(BUILD)/install/musl.so)
	$(CC) $(BASE) $(CFLAGS) -static -DVMT_GLIBC_FILE='"$(BUILD)/install/glibc.so"' \
	  $(if $(musl_library),-DVMT_MUSL_FILE='"$(BUILD)/install/musl.so"') -o $@ $(filter tools/%,$^)

# Archives that hold no copies, only the paths of objects.
$(BUILD)/libbase.a: $(base_objects)
$(BUILD)/libtools.a: $(core_objects)
$(BUILD)/libinner.a: $(inner_test_objects)
$(BUILD)/libe2e.a: $(e2e_objects)
$(BUILD)/lib%.a:
	@rm -f $@
	$(AR) rcsT $@ $^

# Links $@ from its objects, archives $(1) and libraries $(2). The linker says which objects it took, and $@ depends on
# those alone: an edit relinks only what it can change, and so does a source that is gone.
define link
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANITIZE) -o $@ $(filter %.o,$^) $(1) $(2) -Wl,-t,-t >$@.taken
	@sed -n 's|^$(BUILD)/[./]*[a-z]*/\(.*\)\.o$$|$@: $$(if $$(wildcard \1.[cS]),&,always)|p' $@.taken >$@.d && rm $@.taken
endef

# What is put into a process that loads no library: capture/ and what is below it, a second time, without a C library,
# without thread-local storage and without vector registers.
blob_objects := $(patsubst %.c,$(BUILD)/alone/%.o,$(call sources_of,base format unwind capture blob) collect/initial_events.c)
$(BUILD)/alone/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) $(PIC) -DVMT_THREAD_ON_STACK -mgeneral-regs-only -fno-stack-protector -ffreestanding -fbuiltin -fno-sanitize=all -c $< -o $@
$(BUILD)/blob.so: $(blob_objects) blob/exports.map
	$(CC) $(CFLAGS) -shared -nostdlib -Wl,--version-script=blob/exports.map -Wl,-Bsymbolic -Wl,--build-id=none \
	  -Wl,-z,norelro,-z,noexecstack,-z,max-page-size=4096,-z,separate-code -Wl,--no-undefined -o $@ $(blob_objects) -lgcc
$(BUILD)/blob.bare.so: $(BUILD)/blob.so
	objcopy --strip-debug $< $@
$(BUILD)/obj/blob/%.o: blob/%.S $(BUILD)/blob.bare.so
	@mkdir -p $(@D)
	$(CC) -DVMT_BLOB_FILE='"$(BUILD)/blob.bare.so"' -c $< -o $@

$(BUILD)/vmtrace: $(BUILD)/obj/tools/cmd/main.o | $(BUILD)/libtools.a $(BUILD)/libbase.a
	$(call link,$(BUILD)/libtools.a $(BUILD)/libbase.a,$(TOOL_LIBS))

$(BUILD)/vmtrace-serve: $(patsubst %.c,$(BUILD)/obj/%.o,$(serve_sources)) | $(BUILD)/libtools.a $(BUILD)/libbase.a
	$(call link,$(BUILD)/libtools.a $(BUILD)/libbase.a,-Wl$(comma)--as-needed -lmicrohttpd $(TOOL_LIBS))

# Each test program has main() of its own and the one part that chooses its cases.
# Those of modules inside the traced process link what the library is made of.
inner_tests := $(filter $(BUILD)/tests/unit/test_capture_% $(BUILD)/tests/unit/test_preload_%,$(unit_tests))
$(inner_tests): $(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/obj/tests/choose.o | $(BUILD)/libinner.a $(BUILD)/libbase.a
	$(call link,$(BUILD)/libinner.a $(BUILD)/libbase.a,-lcmocka $(TOOL_LIBS) -lpthread -ldl)

$(BUILD)/tests/unit/test_go_process: $(BUILD)/obj/tests/fuzz/make_go_heap.o
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/obj/tests/choose.o | $(BUILD)/libtools.a $(BUILD)/libbase.a
	$(call link,$(BUILD)/libtools.a $(BUILD)/libbase.a,-lcmocka $(TOOL_LIBS) -lpthread -ldl)

$(BUILD)/tests/race/%: $(BUILD)/obj/tests/race/%.o $(BUILD)/obj/tests/choose.o
	$(call link,,-lcmocka -lpthread)

$(BUILD)/tests/e2e/%: $(BUILD)/obj/tests/e2e/%.o $(BUILD)/obj/tests/choose.o | $(BUILD)/libe2e.a $(BUILD)/libbase.a
	$(call link,$(BUILD)/libe2e.a $(BUILD)/libbase.a,-lcmocka -ljansson -lpthread)

$(targets_c): $(BUILD)/tests/target/%: tests/target/%.c $(wildcard tests/target/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -I. -O1 -g -fno-omit-frame-pointer -Wall -Wextra $< -o $@ $(if $(findstring plugin,$*),-shared -fPIC) $(if $(findstring static,$*),-static) $(if $(findstring bare,$*),-O2 -fomit-frame-pointer) -lpthread -ldl -lm

# Those that are another's source, linked statically.
$(foreach name,attached_forks coroutine_stacks_bare handoff leaves_mounts own_users storm touch_bare,$(eval $(BUILD)/tests/target/static_$(name): tests/target/$(name).c))

$(targets_cc): $(BUILD)/tests/target/%: tests/target/%.cc
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -I. -O1 -g -Wall -Wextra $< -o $@ -lpthread


# How each source is compiled: for tests/lint, clang-tidy and editors (clangd finds it in build/).
comma := ,
define newline


endef
# Usage: $(call commands,FLAGS,SOURCES)
commands = $(foreach source,$(2),{"directory": "$(CURDIR)"$(comma) "command": "cc $(1) -c $(source)"$(comma) "file": "$(source)"})
all_commands = $(call commands,$(BASE) $(CFLAGS) $(PIC),$(base_sources) $(inner_sources)) \
	$(call commands,$(BASE) $(CFLAGS) $(PIC) -DVMT_THREAD_ON_STACK,$(call sources_of,blob)) \
	$(call commands,$(BASE) $(CFLAGS),$(tools_sources)) \
	$(call commands,$(BASE) $(CFLAGS) $(TEST_FLAGS),$(wildcard tests/*.c tests/unit/*.c tests/race/*.c tests/e2e/*.c tests/fuzz/*.c)) \
	$(call commands,-std=gnu11 -D_GNU_SOURCE -I. $(WARN),$(wildcard tests/target/*.c bench/*.c)) \
	$(call commands,-std=gnu11 $(WARN),$(wildcard tests/e2e/scripts/*.c tests/go/touch/*.c))
$(BUILD)/compile_commands.json: WERROR :=
$(BUILD)/compile_commands.json: always
	@$(shell mkdir -p $(@D))$(file >$@.next,[$(newline)$(subst } {,}$(comma)$(newline){,$(strip $(all_commands)))$(newline)])
	@cmp -s $@.next $@ && rm $@.next || mv $@.next $@
always:

# -- what a machine needs: Debian packages, NAME|NAME where releases differ ----------------------

build_packages := gcc libc6-dev libdw-dev libelf-dev libzstd-dev zlib1g-dev libiberty-dev libncurses-dev \
	uthash-dev libbsd-dev libmicrohttpd-dev libjansson-dev libunwind8
check_packages := g++ clang libclang-rt-dev clang-format clang-tidy cppcheck libcmocka-dev \
	libunwind-dev scdoc universal-ctags git python3 sqlite3 redis-tools strace zstd binutils procps util-linux wrk \
	libjemalloc2 'libtcmalloc-minimal4|libtcmalloc-minimal4t64' libmimalloc-dev libfaketime fakeroot musl-tools file \
	libc6-i386 libgoogle-perftools-dev libjemalloc-dev man-db vsftpd openssh-server openssh-client chromium valgrind gdb \
	qemu-user proot ltrace curl openssl tmux protobuf-compiler prometheus zsh fish redis-server \
	'nginx-light|nginx'

# Node may come from elsewhere, whose package Debian's would replace.
node_packages := $(if $(shell command -v node),,nodejs) $(if $(shell command -v npm),,npm)

bench_packages := heaptrack stress-ng redis-server redis-tools sqlite3 jq libjemalloc2
vm_packages := qemu-system-x86 busybox-static e2fsprogs quota util-linux procps python3

deps: packages go-toolchains ## install what building and testing need (Debian packages, and npm's in tests/web)
	@$(MAKE) --no-print-directory -s $(WEB)/.package-lock.json

packages:
	@tests/packages $(build_packages) $(check_packages) $(node_packages)

go-toolchains: packages
	@if [ $$(id -u) = 0 ]; then tests/go/fetch_go; elif command -v sudo >/dev/null; then sudo tests/go/fetch_go; fi

deps-build:
	@tests/packages $(build_packages)

# -- the two commands of the README -------------------------------------------------------------

demo: deps-build ## install what is missing, build, record a small program, print its report
	@$(MAKE) --no-print-directory -s build $(BUILD)/tests/target/cache_demo
	@rm -f $(BUILD)/demo.vmt
	$(BUILD)/vmtrace record -o $(BUILD)/demo.vmt -- $(BUILD)/tests/target/cache_demo
	$(BUILD)/vmtrace report $(BUILD)/demo.vmt

# With a Go of the machine's, or one that tests/go/fetch_go has unpacked.
go = $(or $(shell command -v go),$(lastword $(sort $(wildcard /usr/lib/go-*/bin/go /opt/go-debian/*/usr/lib/go-*/bin/go))))

demo-static: deps-build ## the same of a static Go service that leaks a slice: needs Go
	@[ -n "$(go)" ] || { echo "demo-static: no go here: install golang-go, or make deps"; exit 1; }
	@$(MAKE) --no-print-directory -s build
	@rm -f $(BUILD)/leak.vmt
	cd tests/go && CGO_ENABLED=0 GOFLAGS=-mod=mod GOCACHE=$(abspath $(BUILD))/go-cache $(go) build -o $(abspath $(BUILD))/leak ./leak
	$(BUILD)/vmtrace record -o $(BUILD)/leak.vmt -- $(BUILD)/leak
	$(BUILD)/vmtrace report $(BUILD)/leak.vmt

# The tests are built, and Go's standard library is compiled, while npm and apt wait for the network.
check: ## install what is missing, build, run every test and every check
	+@MAKE='$(MAKE)' tests/check packages check-build '+walls words lint web-check' check-tests

check-build: test-build asan-build tsan-build checked-build go-caches tests/web/node_modules/.package-lock.json

# All in one run, whose end no test prolongs that was begun late: the longest come first.
long_tests := $(addprefix $(BUILD)/tests/,e2e/test_go_heap e2e/test_go_unharmed e2e/test_page_any e2e/test_static_children \
	e2e/test_go_profile e2e/test_go_capture e2e/test_page e2e/test_attach e2e/test_fault_samples e2e/test_allocators \
	e2e/test_go_owners e2e/test_go_calls e2e/test_programs e2e/test_identities e2e/test_exec unit/test_page_view) \
	$(addprefix $(BUILD)/asan/tests/,e2e/test_bad_use unit/test_hostile_trace unit/test_instruction_length unit/test_snapshot_take)
check_tests = $(e2e_tests) $(asan_tests:$(BUILD)/%=$(BUILD)/asan/%) $(BUILD)/asan/tests/e2e/test_bad_use \
	$(checked_tests:$(BUILD)/%=$(BUILD)/checked/%) $(tsan_tests:$(BUILD)/%=$(BUILD)/tsan/%) $(race_tests) $(unit_tests)
check-tests:
	@$(ASAN_SETTINGS) tests/run $(long_tests) $(filter-out $(long_tests),$(check_tests))

# One test program, by its name in tests/, with or without its folder and "test_": `make test T=ring`,
# `make test T=e2e/residency`. CASE takes the cases whose names match: `make test T=ring CASE='*full*'`.
tests_asked = $(filter %/$(T) %/test_$(T) $(BUILD)/tests/$(subst /,/test_,$(T)),$(unit_tests) $(race_tests) $(e2e_tests))
test: build $(if $(T),$(tests_asked) $(if $(filter $(BUILD)/tests/e2e/%,$(tests_asked)),man $(targets_c) $(targets_cc))) ## build and run one test: T=name, or some cases of it: CASE=pattern
	@$(if $(and $(T),$(tests_asked)),,echo "usage: make test T=name [CASE=pattern]; names are those of tests/*/test_NAME.c" >&2; exit 2)
	@{ $(foreach test,$(tests_asked),VMT_TEST_CASE='$(CASE)' $(test) || echo "$(test): exit status $$?";) } 2>&1 | tee $(BUILD)/test.log
	@grep -q '^\[       OK \]' $(BUILD)/test.log || { echo "no case ran to its end" >&2; exit 1; }
	@! grep -q '^$(BUILD)/tests/.*: exit status' $(BUILD)/test.log

# Go's standard library, once for each way in which tests build: they begin together, and each would compile it.
go-caches: go-toolchains
	@tests/go/fill_caches $(BUILD)/tests/go

test-build: build $(unit_tests) $(race_tests) $(e2e_tests) $(targets_c) $(targets_cc) man \
	$(musl_library)

# -- checks -------------------------------------------------------------------------------------

compilers: build ## every C source by every gcc-N and clang-N that is installed, warnings as errors
	@tests/compilers $(BUILD) $(COMPILERS)

walls: build ## check the walls of docs/architecture.md by machine
	@tests/walls $(BUILD)

graph: ## which room includes which, where in a circle, and how densely each asserts
	@tests/include_graph
	@tests/assertions

sources_all = $(shell find $(wildcard $(base_rooms) $(inner_rooms) blob tools) -name '*.[ch]') $(wildcard tests/*.h tests/*/*.[ch] tests/*/*.cc bench/*.[ch])
# Each major version of clang-format writes another style: the sources are in that of version 14.
clang_format := $(firstword $(shell command -v clang-format-14) $(shell clang-format --version 2>/dev/null | grep -q 'version 14\.' && echo clang-format))
lint: $(BUILD)/compile_commands.json ## clang-format, cppcheck, clang-tidy and a clang build
	@if [ -n "$(clang_format)" ]; then $(clang_format) --dry-run --Werror $(sources_all); \
	else echo "lint: the format is unchecked: this is not clang-format 14"; fi
	@tests/lint $(BUILD)

# -- the page of an HTML report: what is made of its sources by node, and what drives a browser ----

WEB := tests/web/node_modules
$(WEB)/.package-lock.json: tests/web/package.json tests/web/package-lock.json
	@cd tests/web && npm ci --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

web-bundle: $(WEB)/.package-lock.json ## make tools/page/bundle anew out of tools/page/src
	@node tests/web/bundle.mjs tools/page/bundle

web-check: $(WEB)/.package-lock.json ## is the page's bundle what its sources give, byte for byte?
	@rm -rf $(BUILD)/web/bundle
	@node tests/web/bundle.mjs $(BUILD)/web/bundle
	@diff -r tools/page/bundle $(BUILD)/web/bundle >&2 || { echo "web-check: tools/page/bundle is not what tools/page/src gives: make web-bundle" >&2; exit 1; }
	@for file in uPlot.esm.js uPlot.min.css; do cmp $(WEB)/uplot/dist/$$file tools/page/vendor/uplot/$$file || exit 1; done
	@cmp $(WEB)/uplot/LICENSE tools/page/vendor/uplot/LICENSE
	@echo "web-check: the bundle is what its sources give"

words: ## the words of documents and messages: long sentences, long lines, banned phrases
	@tests/words

fmt: ## format the sources
	clang-format -i $(sources_all)

# Left out: test_preload_real counts the C library's definitions, and ASan brings its own;
# test_capture_walk_wild and test_capture_unwind_copy read stack words that belong to no variable; in ASan's frames libunwind,
# the reference of test_capture_walk_switched, goes astray behind a stack overflow.
asan_tests = $(filter-out %/test_preload_real %/test_capture_walk_wild %/test_capture_walk_switched \
	%/test_capture_unwind_copy,$(unit_tests))
# Newer compilers look for uses of a stack frame after its return by default: frames lie in memory of
# ASan's own then, which is not the thread's stack, and which grows.
ASAN_SETTINGS := ASAN_OPTIONS=detect_stack_use_after_return=0
# $(call with_same,BUILD): a second build runs the first one's targets and Go programs.
define with_same
	@mkdir -p $(1)/tests $(BUILD)/tests/go
	@for each in target go; do [ -L $(1)/tests/$$each ] || rm -rf $(1)/tests/$$each; ln -sfn $(abspath $(BUILD))/tests/$$each $(1)/tests/$$each; done
endef
asan: asan-build ## unit tests and the command under AddressSanitizer and UBSan
	@$(ASAN_SETTINGS) tests/run $(patsubst $(BUILD)/%,$(BUILD)/asan/%,$(asan_tests) $(BUILD)/tests/e2e/test_bad_use)
asan-build: $(BUILD)/libvmtrace.so $(BUILD)/obj/blob/blob_embed.o $(targets_c)
	$(call with_same,$(BUILD)/asan)
	@cp $< $(BUILD)/asan # what the command preloads stays as it is
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD)/asan SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined' \
	  CFLAGS='-Og -g1' ASSERTS=1 blob_of=$(BUILD) asan-objects
asan-objects: $(asan_tests) $(BUILD)/vmtrace $(BUILD)/tests/e2e/test_bad_use

# The race tests, and the unit tests of what threads or processes share. Of the command they need what reads a trace. A
# snapshot of a process under TSan takes minutes: none but the collector's own is taken here.
tsan_tests = $(filter %_threads,$(race_tests)) $(addprefix $(BUILD)/tests/unit/test_,ring stack_table module_table \
	session drain collector collector_ends capture_cfi capture_emit capture_emit_full capture_modules \
	capture_samples capture_walk_switched read_ahead)
tsan: tsan-build ## tests with threads, and the collector's, under ThreadSanitizer
	@tests/run $(tsan_tests:$(BUILD)/%=$(BUILD)/tsan/%)
tsan-build:
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD)/tsan SANITIZE=-fsanitize=thread CFLAGS='-Og -g1' ASSERTS=1 \
	  core_sources='$(filter tools/read/trace/%,$(core_sources)) $(wildcard tools/*.c)' blob_of= tsan-objects
tsan-objects: $(tsan_tests)

# A few tests of the real command on programs with threads, children, signals and large heaps, with a
# library and a collector that trap where an assertion does not hold. The targets are the first build's, and so is what
# reads traces: its assertions trap in ASan's unit tests.
checked_tests = $(addprefix $(BUILD)/tests/e2e/test_,storms fork_children lets_go)
checked: checked-build ## some of the e2e tests on a library and a collector with assertions
	@tests/run $(checked_tests:$(BUILD)/%=$(BUILD)/checked/%)
checked-build: $(core_objects) $(targets_c) $(targets_cc)
	$(call with_same,$(BUILD)/checked)
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD)/checked CFLAGS='-Og -g1' ASSERTS=1 tools_of=$(BUILD) checked-objects
checked-objects: $(BUILD)/vmtrace $(BUILD)/libvmtrace.so $(checked_tests)

FUZZ_SECONDS ?= 30
fuzz_targets := trace symbols dwarf gopclntab go_heap bytes request
fuzz: ## libFuzzer on all that reads what others wrote, side by side for FUZZ_SECONDS (default 30)
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD)/fuzz CC=clang CFLAGS='-O1 -g' ASSERTS=1 \
	  SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined' sanitized-fuzz
sanitized-fuzz: $(addprefix $(BUILD)/fuzz_,$(fuzz_targets)) $(BUILD)/make_corpus
	@$(BUILD)/make_corpus $(BUILD)/corpus
	@tests/fuzz/run $(BUILD) $(FUZZ_SECONDS) $(fuzz_targets)
$(BUILD)/fuzz_%: FUZZER := -fsanitize=fuzzer
$(BUILD)/fuzz_trace: $(BUILD)/obj/tests/fuzz/mutate_trace.o
$(BUILD)/fuzz_go_heap: $(BUILD)/obj/tests/fuzz/mutate_process.o
$(BUILD)/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o | $(BUILD)/libtools.a $(BUILD)/libbase.a
	$(call link,$(BUILD)/libtools.a $(BUILD)/libbase.a,$(FUZZER) -lcmocka $(TOOL_LIBS))
$(BUILD)/dump_go_heap: $(BUILD)/obj/tests/fuzz/dump_go_heap.o | $(BUILD)/libtools.a $(BUILD)/libbase.a
	$(call link,$(BUILD)/libtools.a $(BUILD)/libbase.a,$(TOOL_LIBS))
$(BUILD)/make_corpus: $(BUILD)/obj/tests/fuzz/make_go_heap.o
$(BUILD)/make_corpus: $(BUILD)/obj/tests/fuzz/make_corpus.o | $(BUILD)/libtools.a $(BUILD)/libbase.a
	$(call link,$(BUILD)/libtools.a $(BUILD)/libbase.a,-lcmocka $(TOOL_LIBS))

# The same programs as in `make check`, in the long form that tests/soak.h knows. Hours. What another
# kernel and another machine show is `make vm-check`.
SOAK_TESTS ?= $(unit_tests) $(race_tests) $(e2e_tests)
SOAK_FUZZ_SECONDS ?= 3600
soak: deps ## the tests' long forms, lint's too, and an hour of fuzzing
	@$(MAKE) --no-print-directory -s -j$$(nproc) test-build
	@VMT_SOAK=1 $(MAKE) --no-print-directory -s lint
	@VMT_SOAK=1 tests/run $(SOAK_TESTS)
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=$(SOAK_FUZZ_SECONDS)

# Debian's kernel for the virtual machine, and the modules that tests/vm/init loads.
vm_modules := fs/9p fs/netfs fs/fscache fs/ext4 fs/jbd2 fs/quota fs/overlayfs fs/mbcache.ko net/9p drivers/virtio \
	drivers/block/virtio_blk.ko lib/crc16.ko crypto/crc32c_generic.ko
$(BUILD)/vm/kernel/ready:
	@tests/packages $(vm_packages)
	@rm -rf $(@D) && mkdir -p $(@D)
	@cd $(@D) && apt-get download -qq $$(apt-cache depends linux-image-amd64 | sed -n 's/ *Depends: //p') && \
	  for package in *.deb; do dpkg-deb --fsys-tarfile $$package; done | tar -x --wildcards './boot/vmlinuz-*' \
	  './lib/modules/*/modules.*' $(patsubst %,'./lib/modules/*/kernel/%',$(vm_modules)) && rm -- *.deb
	@busybox depmod -b $(@D) $$(ls $(@D)/lib/modules)
	@touch $@

vm-check: deps $(BUILD)/vm/kernel/ready ## what this machine's kernel can't show, in a virtual one with Debian's
	@$(MAKE) --no-print-directory -s -j$$(nproc) test-build
	@tests/vm/run $(BUILD) tests/vm/inside $(BUILD)
	@tests/vm/run -c 1 -k 'nosmp clocksource=acpi_pm transparent_hugepage=never' $(BUILD) tests/vm/inside $(BUILD) odd
	@tests/vm/run -k no_console_suspend $(BUILD) tests/vm/suspended $(BUILD)
	@tests/vm/run -k 'no_console_suspend tsc=reliable clocksource=tsc' $(BUILD) tests/vm/suspended $(BUILD)

contained: build $(BUILD)/tests/target/leaking ## record in hardened containers of podman and runc. Needs root
	@tests/packages podman runc debootstrap musl-tools busybox-static curl
	@tests/contained $(BUILD)

fleet: build ## Prometheus's series against the reports, and its rules, for two minutes. Needs Go, prometheus, redis
	@GO=$(go) tests/fleet $(BUILD)

elsewhere: ## both commands of the README in roots of Debian 13 and of the release after it. Long; needs root
	@tests/elsewhere $(BUILD) $(SUITES)

hooks: ## check what is fast at each commit (.githooks/pre-commit)
	@git config core.hooksPath .githooks

bench: deps build ## what vmtrace costs, as ratios in one interleaved run
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD) -f bench/bench.mk bench

bench-workloads: deps build ## what it costs real programs: WORKLOADS="'redis' 'jq'" for some
	@tests/packages $(bench_packages)
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD) -f bench/bench.mk workloads

# -- install ------------------------------------------------------------------------------------

man_sources := $(wildcard docs/man/*.scd)
man_pages := $(patsubst docs/man/%.scd,$(BUILD)/man/%,$(man_sources))
man: $(man_pages)
# Where a page has a line @settings WHICH@, the program prints what it says of the settings.
$(BUILD)/man/print_settings: docs/man/print_settings.c $(BUILD)/obj/format/settings.o
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) -o $@ $< $(BUILD)/obj/format/settings.o
$(BUILD)/man/%: docs/man/%.scd $(BUILD)/man/print_settings
	@while IFS= read -r line; do case $$line in \
	  '@settings '*@) which=$${line#* } && $(BUILD)/man/print_settings $${which%@} ;; \
	  *) printf '%s\n' "$$line" ;; esac || exit; done < $< > $@.scd
	scdoc < $@.scd > $@ && rm $@.scd

# How shells complete the command line: by the command's own tables.
shells := bash zsh fish
completions := $(shells:%=$(BUILD)/completions/%)
$(completions): $(BUILD)/completions/%: $(BUILD)/vmtrace
	@mkdir -p $(@D)
	$(BUILD)/vmtrace completion $* >$@.next && mv $@.next $@
completions: $(completions)

install: build man completions ## install under PREFIX (default /usr/local), the library in its LIBDIR (lib); DESTDIR respected
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/$(LIBDIR) $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man7
	install -m 755 $(BUILD)/vmtrace $(DESTDIR)$(PREFIX)/bin/vmtrace
	$(if $(serve),install -m 755 $(serve) $(DESTDIR)$(PREFIX)/bin/vmtrace-serve)
	install -m 755 $(BUILD)/vmtrace-install $(DESTDIR)$(PREFIX)/bin/vmtrace-install
	install -m 755 $(BUILD)/libvmtrace.so $(DESTDIR)$(PREFIX)/$(LIBDIR)/libvmtrace.so
	install -m 644 $(filter %.1,$(man_pages)) $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(filter %.7,$(man_pages)) $(DESTDIR)$(PREFIX)/share/man/man7
	install -D -m 644 $(BUILD)/completions/bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/vmtrace
	install -D -m 644 $(BUILD)/completions/zsh $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_vmtrace
	install -D -m 644 $(BUILD)/completions/fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/vmtrace.fish

# -- packages -----------------------------------------------------------------------------------

deb_packages := debhelper dpkg-dev scdoc lintian musl-tools
version := $(shell sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
dist := $(BUILD)/dist/vmtrace-$(version)

dist: ## the last commit as a tarball with its checksum, in BUILD/dist: the same bytes wherever it is made
	@mkdir -p $(BUILD)/dist
	git -c tar.umask=0022 archive --format=tar --prefix=vmtrace-$(version)/ HEAD | gzip -9n > $(dist).tar.gz
	cd $(BUILD)/dist && sha256sum vmtrace-$(version).tar.gz > vmtrace-$(version).tar.gz.sha256

deb: dist ## Debian packages of the last commit, checked by lintian, in BUILD/deb
	@tests/packages $(build_packages) $(deb_packages)
	rm -rf $(BUILD)/deb
	mkdir -p $(BUILD)/deb
	tar -xzf $(dist).tar.gz -C $(BUILD)/deb
	cd $(BUILD)/deb/vmtrace-$(version) && dpkg-buildpackage -b -us -uc
	cd $(BUILD)/deb && lintian --fail-on error,warning *.changes

deb-check: deb ## installs them in an empty root of Debian, records, replaces, removes. Long; needs root
	@tests/packaged $(BUILD)

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

-include $(shell find $(BUILD) \( -path $(BUILD)/elsewhere -o -path $(BUILD)/deb -o -path $(BUILD)/vm \) -prune -o -type f -name '*.d' -print 2>/dev/null)

.PHONY: build always musl deps packages go-toolchains go-caches deps-build demo demo-static check check-build check-tests test test-build compilers walls graph lint web-bundle web-check words fmt asan asan-build asan-objects tsan tsan-build tsan-objects checked checked-build checked-objects fuzz sanitized-fuzz soak vm-check contained fleet elsewhere hooks bench bench-workloads man completions install dist deb deb-check clean help
.SECONDARY:
