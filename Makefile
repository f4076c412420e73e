# ouro: `make help` lists the targets. GNU make; one file, no recursion into folders.
#
# Variants never share a build directory: release (default), CHECKED=1, TSAN=1, ASAN=1 (with UBSan),
# each per compiler. The latter two are checked builds, unless CHECKED=0: then they take the paths of
# the library that is shipped.

CC        ?= gcc
ifeq ($(origin CC),default)
CC        := gcc
endif
ifeq ($(origin CXX),default)
CXX       := $(if $(findstring clang,$(CC)),clang++,g++)
endif
CFLAGS    ?= -O2 -g
CXXFLAGS  ?= -O2 -g
PREFIX    ?= /usr/local
prefix    ?= $(PREFIX)
libdir    ?= $(prefix)/lib
includedir ?= $(prefix)/include
datadir   ?= $(prefix)/share
mandir    ?= $(datadir)/man
INSTALL   ?= install

VERSION   := $(shell awk '/define OURO_VERSION_(MAJOR|MINOR|PATCH)/ { v = v s $$3; s = "." } END { print v }' include/ouro.h)
SOVERSION := $(firstword $(subst ., ,$(VERSION)))

VARIANT   := release
SANITIZE  :=
SHIPPED   := $(if $(filter 0,$(CHECKED)),-shipped)
ifneq ($(filter-out 0,$(CHECKED)),)
VARIANT   := checked
endif
ifdef TSAN
VARIANT   := tsan$(SHIPPED)
SANITIZE  := -fsanitize=thread
endif
ifdef ASAN
VARIANT   := asan$(SHIPPED)
SANITIZE  := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
# With libFuzzer. Its counters are races for ThreadSanitizer, which replays what it has found.
ifdef FUZZ
VARIANT   := fuzz
SANITIZE  := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
endif
ifneq ($(filter checked tsan asan fuzz,$(VARIANT)),)
DEFINES   += -DOURO_CHECKED=1
endif

BUILD     := build/$(VARIANT)-$(notdir $(CC))

WARNINGS  := -Wall -Wextra -Wshadow -Wundef -Wpointer-arith -Wwrite-strings
CWARNINGS = $(WARNINGS) -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
ifdef WERROR
WARNINGS  += -Werror
endif
OUR_CPPFLAGS := -D_GNU_SOURCE -Iinclude $(DEFINES) -MMD -MP
# FRAME_POINTERS=1: perf record --call-graph=fp sees the callers of the library.
FRAMES       := $(if $(FRAME_POINTERS),-fno-omit-frame-pointer -mno-omit-leaf-frame-pointer)
OUR_CFLAGS   := -std=c11 -pthread $(CWARNINGS) $(SANITIZE) $(FRAMES)
OUR_CXXFLAGS := -std=c++17 -pthread $(WARNINGS) $(SANITIZE)
# A program that is linked without -flto takes the archive, too.
FAT_LTO      := $(if $(findstring clang,$(CC)),,$(if $(findstring -flto,$(CFLAGS)),-ffat-lto-objects))
LIB_CFLAGS   := -Ilib $(FAT_LTO) -fPIC -fexceptions -fvisibility=hidden \
	-ftls-model=initial-exec -DOURO_INTERNAL=1 -D_LGPL_SOURCE
# The Debian package liburcu-dev; urcu-bp is the flavour that needs no registration by the
# application's threads.
URCU_LIBS    := -lurcu-cds -lurcu-bp -lurcu-common

LIB_SRCS  := $(sort $(wildcard lib/*/*.c))
LIB_OBJS  := $(LIB_SRCS:%.c=$(BUILD)/%.o)
STATIC    := $(BUILD)/libouro.a
SHARED    := $(BUILD)/libouro.so.$(VERSION)

TEST_SRCS    := $(sort $(wildcard tests/*/test_*.c))
TESTS        := $(patsubst test_%.c,%,$(notdir $(TEST_SRCS)))
TEST_BINS    := $(TESTS:%=$(BUILD)/tests/test_%)
STRESS_BINS  := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard stress/stress_*.c)))
BENCH_BINS   := $(patsubst %.cc,$(BUILD)/%,$(sort $(wildcard bench/bench_*.cc)))
EXAMPLE_BINS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard examples/*.c)))
DEPSERVER    := $(BUILD)/examples/depserver/depserver
DEPSERVER_PEER := $(BUILD)/bench/peers/depserver_malloc

.PHONY: soak fuzz fuzz-build deps-fuzz
.PHONY: all check check-one check-recycling check-arm64 deps-arm64 tsan asan stress \
	bench bench-peers bench-compare bench-pause demo deps deps-build deps-check deps-demo \
	deps-bench deps-cxx deps-peers deps-pause deps-sanitize deps-models models mutants install \
	uninstall clean help tests-build \
	stress-build peers-build examples check-prometheus check-viewers check-browser \
	lint deps-lint bench-shapes bench-aims
.PHONY: installcheck man dist deb abi-check abi-store
.DELETE_ON_ERROR:
.SUFFIXES:

## all: the static and the shared library, and what tells pkg-config and CMake of them
TELLING   := ouro.pc ouro-static.pc ouro-config.cmake ouro-config-version.cmake
all: $(STATIC) $(SHARED) $(TELLING:%=$(BUILD)/%)

# ---- compiling: a changed flag rebuilds, whatever the time stamps say ----
FLAGS_NOW := $(CC) $(CXX) | $(CPPFLAGS) $(CFLAGS) $(CXXFLAGS) $(LDFLAGS) | $(OUR_CPPFLAGS) $(OUR_CFLAGS) $(LIB_CFLAGS) | $(VERSION)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(FLAGS_NOW)' | cmp -s - $@ || printf '%s\n' '$(FLAGS_NOW)' > $@
.PHONY: FORCE
FORCE:

$(BUILD)/lib/%.o: lib/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(OUR_CPPFLAGS) $(CPPFLAGS) $(OUR_CFLAGS) $(LIB_CFLAGS) $(CFLAGS) -c -o $@ $<

$(STATIC): $(LIB_OBJS)
	rm -f $@
	$(AR) rcs $@ $^

$(SHARED): $(LIB_OBJS) lib/ouro.map
	$(CC) -shared -Wl,-soname,libouro.so.$(SOVERSION) -Wl,-z,nodelete \
		-Wl,--version-script,lib/ouro.map $(SANITIZE) $(CFLAGS) $(LDFLAGS) -o $@ $(LIB_OBJS) $(URCU_LIBS) -pthread
	ln -sf $(@F) $(BUILD)/libouro.so.$(SOVERSION)
	ln -sf $(@F) $(BUILD)/libouro.so

# Made anew each time: their paths are those of this very call, install with another PREFIX included.
# For sed & is special.
pc_path = $(subst &,\&,$(1))
$(TELLING:%=$(BUILD)/%): $(BUILD)/%: lib/package/%.in FORCE
	@mkdir -p $(@D)
	@from_lib=$$(realpath -ms --relative-to='$(libdir)' '$(includedir)' | sed 's/&/\\\\&/g'); \
	sed -e 's|@VERSION@|$(VERSION)|' -e 's|@SOVERSION@|$(SOVERSION)|' \
	    -e 's|@prefix@|$(call pc_path,$(prefix))|' -e 's|@libdir@|$(call pc_path,$(libdir))|' \
	    -e 's|@includedir@|$(call pc_path,$(includedir))|' \
	    -e "s|@include_from_lib@|$$from_lib|" \
	    -e 's|@SANITIZE@|$(SANITIZE)|g' -e 's|@PRIVATE@|$(URCU_LIBS)|' $< > $@

# ---- programs: tests see lib/'s internal headers, everything else only include/ ----
# Those of all of tests/'s folders lie in one.
vpath test_%.c $(sort $(dir $(TEST_SRCS)))
$(BUILD)/tests/test_sized: private ALIASES := $(foreach f,stats_get init shutdown gc_get_stats,-Wl,--defsym=first_$(f)=ouro_$(f))
$(BUILD)/tests/test_%: test_%.c $(STATIC)
	@mkdir -p $(@D)/deps
	$(CC) $(OUR_CPPFLAGS) -MF $(@D)/deps/test_$*.d -Ilib -Itests -DOURO_INTERNAL=1 \
		-DOURO_TESTS=1 -D_LGPL_SOURCE $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) $(LDFLAGS) \
		$(ALIASES) \
		-o $@ $< $(STATIC) $(URCU_LIBS) -lcmocka -lm

$(BUILD)/stress/%: stress/%.c $(wildcard stress/*.h) $(STATIC)
	@mkdir -p $(@D)
	$(CC) $(OUR_CPPFLAGS) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(STATIC) $(URCU_LIBS) -lm

$(BUILD)/bench/%: bench/%.cc $(STATIC)
	@mkdir -p $(@D)
	$(CXX) $(OUR_CPPFLAGS) $(CPPFLAGS) $(OUR_CXXFLAGS) $(CXXFLAGS) $(LDFLAGS) $(shell bench/peers.sh cflags) -o $@ $< \
		$(STATIC) $(URCU_LIBS) -lbenchmark -lbenchmark_main $(shell bench/peers.sh libs)

# bench/pause and its peers share pause_*.c; only the first is linked with the library.
PAUSE_PARTS := $(sort $(wildcard bench/pause_*.c))
PAUSE_BINS  := $(BUILD)/bench/pause $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard bench/peers/pause_*.c)))
PAUSE_CC    = $(CC) $(filter-out -MMD -MP,$(OUR_CPPFLAGS)) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) $(LDFLAGS)

$(PAUSE_BINS): $(PAUSE_PARTS) $(wildcard bench/*.h) $(BUILD)/flags
$(BUILD)/bench/pause: bench/pause.c $(STATIC)
	@mkdir -p $(@D)
	$(PAUSE_CC) -o $@ $< $(PAUSE_PARTS) $(STATIC) $(URCU_LIBS)
$(BUILD)/bench/peers/pause_%: bench/peers/pause_%.c
	@mkdir -p $(@D)
	$(PAUSE_CC) $(shell bench/peers.sh cflags) -o $@ $< $(PAUSE_PARTS) $(shell bench/peers.sh libs)

# What the collector spends on shapes and on a program that only reads.
SHAPE_BINS := $(BUILD)/bench/shapes $(BUILD)/bench/read $(BUILD)/bench/snapshot
$(SHAPE_BINS): $(BUILD)/bench/%: bench/%.c $(wildcard bench/*.h) $(STATIC)
	@mkdir -p $(@D)
	$(PAUSE_CC) -o $@ $< $(STATIC) $(URCU_LIBS)

# nim writes C and compiles that; its own flags say how.
$(BUILD)/bench/peers/cycles_nim: bench/peers/cycles.nim
	@mkdir -p $(@D)
	nim c --mm:orc -d:release --hints:off --nimcache:$@.cache -o:$@ $<
$(BUILD)/bench/peers/cycles_yrc: bench/peers/cycles.nim
	@mkdir -p $(@D)
	nim c --mm:yrc -d:release -d:collector=YRC --hints:off --nimcache:$@.cache -o:$@ $<
peers-build: $(BUILD)/bench/memory
peers-build: $(if $(shell pkg-config --exists libuv libmicrohttpd && echo yes), \
	$(DEPSERVER) $(DEPSERVER_PEER))
peers-build: $(if $(shell command -v nim),$(BUILD)/bench/peers/cycles_nim)
peers-build: $(if $(shell bench/peers.sh yrc),$(BUILD)/bench/peers/cycles_yrc)

$(BUILD)/examples/%: examples/%.c $(STATIC)
	@mkdir -p $(@D)
	$(CC) $(OUR_CPPFLAGS) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(STATIC) $(URCU_LIBS)

# The peer is the same server on malloc: it sees the library's headers, and is not linked with it.
DEPSERVER_PARTS := $(sort $(wildcard examples/depserver/*.c))
DEPSERVER_CC    = $(CC) -I$(dir $(DEPSERVER_PAGE)) $(filter-out -MMD -MP,$(OUR_CPPFLAGS)) \
	$(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) $(LDFLAGS)

DEPSERVER_PAGE  := $(BUILD)/examples/depserver/page.h
DEPSERVER_LIBS  := -luv -lmicrohttpd -lm
# The page as a string: each of its lines is one.
$(DEPSERVER_PAGE): examples/depserver/page.html
	@mkdir -p $(@D)
	{ echo 'static const char page_text[] ='; sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' $<; echo ';'; } > $@

$(DEPSERVER) $(DEPSERVER_PEER): $(DEPSERVER_PARTS) $(DEPSERVER_PAGE) \
	$(wildcard examples/depserver/*.h)
$(DEPSERVER): $(STATIC)
	@mkdir -p $(@D)
	$(DEPSERVER_CC) -o $@ $(DEPSERVER_PARTS) $(STATIC) $(URCU_LIBS) $(DEPSERVER_LIBS)
$(DEPSERVER_PEER): bench/peers/ouro_malloc.c $(wildcard include/*.h include/ouro/*.h) $(BUILD)/flags
	@mkdir -p $(@D)
	$(DEPSERVER_CC) -o $@ $(DEPSERVER_PARTS) $< $(DEPSERVER_LIBS)

# Without libFuzzer a target replays the files that it is given.
FUZZ_CC     = $(CC) $(filter-out -MMD -MP,$(OUR_CPPFLAGS)) -Ilib -Iexamples/depserver \
	-DOURO_INTERNAL=1 -D_LGPL_SOURCE $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) $(LDFLAGS) \
	$(if $(FUZZ),-fsanitize=fuzzer)
FUZZ_MAIN   = $(if $(FUZZ),,tests/fuzz/driver.c)
$(BUILD)/fuzz/%: tests/fuzz/fuzz_%.c $(wildcard tests/fuzz/*.[ch]) $(STATIC)
	@mkdir -p $(@D)
	$(FUZZ_CC) -o $@ $< $(FUZZ_MAIN) $(FUZZ_WITH) $(STATIC) $(URCU_LIBS)
$(BUILD)/fuzz/program: private FUZZ_WITH := \
	$(patsubst %,tests/fuzz/%.c,cache containers crew keyed model place thing weakly)
$(BUILD)/fuzz/resp: private FUZZ_WITH := examples/depserver/resp.c examples/depserver/buffer.c
fuzz-build: $(BUILD)/fuzz/program $(BUILD)/fuzz/resp

tests-build: $(TEST_BINS)
stress-build: $(STRESS_BINS)
examples: $(EXAMPLE_BINS)

# ---- the README's two commands do all the set-up ----
## demo: the main job: depserver under load for 10 s, beside it on malloc (COMPARE=1: longer)
COMPARE ?=
DEMO_SHORT = BESIDE_ROUNDS=3 BESIDE_SECONDS=$$(echo $${DEMO_SECONDS:-10} | awk '{ print $$1 / 10 }')
demo: deps-demo
	$(MAKE) $(DEPSERVER) $(DEPSERVER_PEER)
	examples/depserver/demo.sh $(DEPSERVER)
	$(if $(COMPARE),,$(DEMO_SHORT)) examples/depserver/beside.sh $(DEPSERVER) $(DEPSERVER_PEER)

## check: every test, in the release and in the checked build; 4 minutes
check: deps-check
	@rm -f build/tally
	$(MAKE) check-one TALLY=build/tally
	$(MAKE) check-one TALLY=build/tally CHECKED=1
	$(MAKE) check-recycling TALLY=build/tally CHECKED=1
	@tests/tally.sh build/tally

# One variant, as chosen by CHECKED, TSAN, ASAN and CC.
check-one: all tests-build examples
	tests/run.sh $(BUILD) $(TALLY)

# Some programs of a checked build once more, with blocks that are used again at once, as in the
# shipped library.
RECYCLED := backlog cascade count death finalize heap leave memory object slot stale thread type verify watch
check-recycling: all tests-build
	OURO_RECYCLE=1 ONLY='$(RECYCLED)' tests/run.sh $(BUILD) $(TALLY)

## check-arm64: the tests, cross-compiled for arm64, under qemu-user, some with pages of 16 and 64 KiB; skipped where that is not installed
ARM64_ROOT := $(CURDIR)/build/arm64-root
ARM64_LIB  := $(ARM64_ROOT)/usr/lib/aarch64-linux-gnu
ARM64_CC   := aarch64-linux-gnu-gcc
ARM64_QEMU := qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=$(ARM64_LIB)
check-arm64: deps-arm64
	@if command -v $(ARM64_CC) qemu-aarch64 >/dev/null && [ -e $(ARM64_LIB)/libcmocka.so ]; then \
		$(MAKE) all tests-build $(ARM64_FLAGS) && \
		RUN='$(ARM64_QEMU)' ONLY='$(ARM64_TESTS)' tests/run.sh build/release-$(ARM64_CC) $(TALLY) && \
		RUN='$(ARM64_QEMU) -p 16384' ONLY='$(ARM64_PAGED)' tests/run.sh build/release-$(ARM64_CC) $(TALLY) && \
		RUN='$(ARM64_QEMU) -p 65536' ONLY='$(ARM64_PAGED)' tests/run.sh build/release-$(ARM64_CC) $(TALLY); \
	else echo 'skipped: check-arm64 needs $(ARM64_CC), qemu-aarch64 and the arm64 packages of liburcu and cmocka'; fi
ARM64_FLAGS = CC=$(ARM64_CC) LDFLAGS='-L$(ARM64_LIB) -Wl,-rpath-link,$(ARM64_LIB)' \
	CPPFLAGS='-DTEST_EMULATED=1 -I$(ARM64_ROOT)/usr/include -I$(ARM64_ROOT)/usr/include/aarch64-linux-gnu'
ARM64_TESTS := $(TESTS)
# What maps, gives back and counts memory.
ARM64_PAGED := collect faults heap memory object slot system thread traverse weak

## tsan: the tests and a short stress under ThreadSanitizer: gcc with checks, clang as shipped; FULL=1: clang with checks, too
tsan: deps-sanitize
	@rm -f build/tally
	$(MAKE) check-one TSAN=1 CC=gcc TALLY=build/tally
	$(if $(FULL),$(MAKE) check-one TSAN=1 CC=clang TALLY=build/tally)
	$(MAKE) check-one TSAN=1 CC=clang CHECKED=0 TALLY=build/tally
	@tests/tally.sh build/tally
	$(MAKE) stress TSAN=1 CC=gcc SECONDS=2
	$(if $(FULL),$(MAKE) stress TSAN=1 CC=clang SECONDS=2)
	$(MAKE) stress TSAN=1 CC=clang CHECKED=0 SECONDS=2

## asan: the tests and a short stress under AddressSanitizer and UBSan: a checked build, and the shipped library
asan: deps-build
	@rm -f build/tally
	$(MAKE) check-one ASAN=1 TALLY=build/tally
	$(MAKE) check-one ASAN=1 CHECKED=0 TALLY=build/tally
	@tests/tally.sh build/tally
	$(MAKE) stress ASAN=1 SECONDS=2
	$(MAKE) stress ASAN=1 CHECKED=0 SECONDS=2

## stress: each stress program, THREADS threads for SECONDS seconds with seed SEED (CHECKED=1 widens the races)
THREADS ?= 4
SECONDS ?= 10
SEED    ?= 1
stress: deps-build
	$(MAKE) stress-build
	stress/run.sh $(BUILD)/stress $(THREADS) $(SECONDS) $(SEED)

## fuzz: libFuzzer and AFL++ under the sanitizers, for SECONDS each: programs over the API, RESP
fuzz: deps-fuzz
	+MAKE='$(MAKE)' tests/fuzz/run.sh $(SECONDS)

## soak: everything at once for SECONDS (an hour); soak.csv and .svg; it fails if memory grows
soak: deps-build
	$(MAKE) $(BUILD)/stress/soak
	stress/soak.sh $(BUILD)/stress/soak $(THREADS) \
		$(if $(filter file,$(origin SECONDS)),3600,$(SECONDS)) $(SEED) $(BUILD)/soak

## models: spin checks the models of the protocols, and that it finds each mistake seeded into them; about 5 minutes
models: deps-models
	tests/models/run.sh

## mutants: plants mistakes in lib/, one at a time, and sees that a suite kills each; MUTANT=names for some; about 15 minutes
MUTANT ?=
mutants: deps-check
	tests/mutants/run.sh $(MUTANT)

## check-prometheus: a real Prometheus scrapes the metrics; skipped where there is none
check-prometheus: deps-build
	-@tests/deps.sh prometheus python3
	$(MAKE) all
	sh tests/package/prometheus.sh $(BUILD)

## check-browser: depserver's page in headless Chromium; skipped where there is none
check-browser: deps-demo
	-@tests/deps.sh chromium chromium-driver python3
	$(MAKE) $(DEPSERVER)
	sh examples/depserver/test_browser.sh $(DEPSERVER) $(PICTURE)

## check-viewers: memlab and the DevTools of Chromium read snapshots and traces; skipped where these are not
check-viewers: deps-build
	$(MAKE) all
	sh tests/package/viewers.sh $(BUILD)

## lint: what comments, folders and orders promise is so: the rules of tests/lint, and that each finds its planted mistakes
lint: deps-lint
	tests/lint/run.sh

## bench: Google Benchmark, every row beside its peer
bench: deps-bench
	$(MAKE) $(BENCH_BINS)
	bench/run.sh $(BUILD)/bench

## bench-peers: every row beside every peer that Debian packages, build/bench/report.html and .json, the table of bench/RESULTS.md
bench-peers: deps-cxx deps-peers
	$(MAKE) $(BENCH_BINS) peers-build
	bench/report.sh $(BUILD)/bench build/bench

## bench-compare: each row of BASE, a git revision, beside the work tree's, and whether it has changed (BENCH_FILTER)
BASE ?=
bench-compare: deps-bench
	@test -n '$(BASE)' || { echo 'usage: make bench-compare BASE=<git revision>' >&2; exit 2; }
	$(MAKE) $(BENCH_BINS)
	+MAKE='$(MAKE)' bench/compare.sh $(BUILD)/bench '$(BASE)'

## bench-pause: pauses, worst operations, memory beside CPython, Boehm and malloc; pictures in build/bench (LIVE, SECONDS)
LIVE  ?= 100000 1000000 10000000
GRAPH ?= cycles
RING  ?=
bench-pause: deps-build deps-pause
	$(MAKE) $(PAUSE_BINS)
	bench/pause.sh $(BUILD)/bench build/bench "$(LIVE)" --threads $(THREADS) --seconds $(SECONDS) --graph $(GRAPH) \
		$(if $(RING),--ring $(RING))

## bench-shapes: friendly shapes of garbage, adversaries, reading alone; BASE: beside it; SHAPES=adversary
bench-shapes: deps-build
	$(MAKE) $(SHAPE_BINS)
	+MAKE='$(MAKE)' CC='$(CC)' URCU_LIBS='$(URCU_LIBS)' bench/shapes.sh $(BUILD)/bench $(BASE)
	$(if $(SHAPES),,$(BUILD)/bench/read)
	$(if $(SHAPES),,$(BUILD)/bench/snapshot)

## bench-aims: what is to be reached, beside every peer, in one table: 12 minutes; QUICK=1: 2; RUNS
AIMS_BINS = $(patsubst %,$(BUILD)/bench/%,pause read peers/pause_boehm peers/pause_malloc \
	bench_counts bench_weak bench_alloc bench_cycles bench_trees bench_full)
bench-aims: deps-bench deps-peers
	$(MAKE) $(AIMS_BINS) peers-build
	bench/aims.sh $(BUILD)/bench

# ---- Debian packages ----
DEPS_BUILD    := gcc libc6-dev pkg-config liburcu-dev libcmocka-dev
DEPS_CHECK    := valgrind libuv1-dev libmicrohttpd-dev redis-tools python3-prometheus-client \
	gdb systemtap-sdt-dev abigail-tools google-perftools
DEPS_DEMO     := gcc libc6-dev pkg-config liburcu-dev libuv1-dev libmicrohttpd-dev \
	redis-tools
DEPS_CXX      := $(DEPS_BUILD) g++ libbenchmark-dev
DEPS_BENCH    := $(DEPS_CXX) libgc-dev libmimalloc-dev
DEPS_PEERS    := libgc-dev libmimalloc-dev libjemalloc2 libglib2.0-dev python3 php-cli nim \
	gnuplot-nox libuv1-dev libmicrohttpd-dev redis-tools
DEPS_PAUSE    := libgc-dev python3 gnuplot-nox
DEPS_SANITIZE := $(DEPS_BUILD) clang libclang-rt-14-dev
DEPS_FUZZ     := $(DEPS_SANITIZE) afl++
DEPS_ARM64    := gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
PACKAGES_ARM64 := liburcu-dev:arm64 liburcu8:arm64 libcmocka-dev:arm64 libcmocka0:arm64
DEPS_MODELS   := gcc libc6-dev spin
DEPS_LINT     := g++ clang-tidy
DEPS_INSTALLED := cmake meson
DEPS_DEB      := $(DEPS_BUILD) dpkg-dev debhelper fakeroot lintian debootstrap
DEPS_ABI      := $(DEPS_BUILD) abigail-tools
## deps: installs the Debian packages that are missing (or says which, where it may not)
deps:
	@tests/deps.sh $(sort $(DEPS_BUILD) $(DEPS_DEMO) $(DEPS_BENCH) $(DEPS_PAUSE) $(DEPS_SANITIZE) $(DEPS_MODELS))
	@$(MAKE) --no-print-directory deps-check deps-peers deps-lint
deps-build:
	@tests/deps.sh $(DEPS_BUILD)
# Without it tests are skipped, and say so.
deps-check: deps-build
	-@status=0; for package in $(DEPS_CHECK); do tests/deps.sh $$package || status=1; done; exit $$status
deps-demo:
	@tests/deps.sh $(DEPS_DEMO)
deps-cxx:
	@tests/deps.sh $(DEPS_CXX)
deps-bench:
	@tests/deps.sh $(DEPS_BENCH)
# Peers and pictures: what cannot be installed is skipped, and the others are not.
deps-peers:
	-@status=0; for package in $(DEPS_PEERS); do tests/deps.sh $$package || status=1; done; exit $$status
deps-pause:
	-@tests/deps.sh $(DEPS_PAUSE)
deps-sanitize:
	@tests/deps.sh $(DEPS_SANITIZE)
# Without AFL++ libFuzzer goes alone.
deps-fuzz:
	-@status=0; for package in $(DEPS_FUZZ); do \
		tests/deps.sh $$package || status=1; done; exit $$status
# Beside the packages of this machine's own architecture, not among them.
deps-arm64:
	-@tests/deps.sh $(DEPS_ARM64)
	-@[ -e $(ARM64_LIB)/libcmocka.so ] || { mkdir -p $(ARM64_ROOT) && cd $(ARM64_ROOT) && dpkg --add-architecture arm64 && \
		apt-get update -qq && apt-get download -qq $(PACKAGES_ARM64) && for d in *.deb; do dpkg -x $$d .; done; }
deps-models:
	@tests/deps.sh $(DEPS_MODELS)
# Without them rules are skipped, and say so.
deps-lint: deps-build
	-@tests/deps.sh $(DEPS_LINT)

## man: the manual pages, made of the headers' comments, in build/<variant>/man
man: $(BUILD)/man
$(BUILD)/man: $(wildcard lib/package/*.p[lm] include/*.h* include/ouro/*.h*)
	@rm -rf $@ && mkdir -p $@
	@if command -v perl >/dev/null; then perl lib/package/man.pl $@ $(VERSION); \
	else echo 'skipped: manual pages need perl'; fi
	@touch $@

# ---- installing: any variant, e.g. make install TSAN=1 PREFIX=dir ----
## install: library, headers and ouro.pc below DESTDIR and PREFIX; as root, without DESTDIR, the loader is told
LDCONFIG ?= ldconfig
to_lib     = "$(DESTDIR)$(libdir)"
to_include = "$(DESTDIR)$(includedir)"
to_share   = "$(DESTDIR)$(datadir)/ouro"
# Where gdb finds by itself what belongs to a library: below the library's own place.
to_gdb     = "$(DESTDIR)$(datadir)/gdb/auto-load$(libdir)"
to_man     = "$(DESTDIR)$(mandir)"
install: all $(BUILD)/man
	$(INSTALL) -d $(to_man)/man3 $(to_man)/man7
	for s in 3 7; do set -- $(BUILD)/man/man$$s/*; \
		[ ! -e "$$1" ] || cp -P "$$@" $(to_man)/man$$s/; done
	$(INSTALL) -d $(to_lib)/pkgconfig $(to_lib)/cmake/ouro $(to_include)/ouro \
		$(to_share) $(to_gdb)
	$(INSTALL) -m 644 include/ouro.h include/ouro.hpp $(to_include)/
	$(INSTALL) -m 644 $(wildcard include/ouro/*.h include/ouro/*.hpp) $(to_include)/ouro/
	$(INSTALL) -m 644 $(STATIC) $(to_lib)/
	$(INSTALL) -m 755 $(SHARED) $(to_lib)/
	ln -sf $(notdir $(SHARED)) $(to_lib)/libouro.so.$(SOVERSION)
	ln -sf libouro.so.$(SOVERSION) $(to_lib)/libouro.so
	$(INSTALL) -m 644 $(BUILD)/ouro.pc $(BUILD)/ouro-static.pc $(to_lib)/pkgconfig/
	$(INSTALL) -m 644 $(BUILD)/ouro-config.cmake $(BUILD)/ouro-config-version.cmake \
		$(to_lib)/cmake/ouro/
	$(INSTALL) -m 644 lib/inspect/ouro-gdb.py lib/package/ouro.supp $(to_share)/
	$(INSTALL) -m 644 lib/inspect/ouro-gdb.py $(to_gdb)/$(notdir $(SHARED))-gdb.py
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then $(LDCONFIG) || :; fi

## uninstall: takes away what install put there
uninstall:
	rm -f $(to_include)/ouro.h $(to_include)/ouro.hpp \
		$(patsubst include/%,$(to_include)/%,$(wildcard include/ouro/*.h include/ouro/*.hpp)) \
		$(to_lib)/libouro.a $(to_lib)/libouro.so $(to_lib)/libouro.so.$(SOVERSION) $(to_lib)/libouro.so.$(VERSION) \
		$(to_lib)/pkgconfig/ouro.pc $(to_lib)/pkgconfig/ouro-static.pc \
		$(to_lib)/cmake/ouro/ouro-config.cmake \
		$(to_lib)/cmake/ouro/ouro-config-version.cmake $(to_share)/ouro.supp \
		$(to_share)/ouro-gdb.py $(to_gdb)/$(notdir $(SHARED))-gdb.py
	rm -f $(to_man)/man3/ouro_*.3 $(to_man)/man3/ouro::*.3
	rm -f $(to_man)/man7/ouro.7 $(to_man)/man7/ouro_*.7 $(to_man)/man7/OURO_*.7
	-rmdir $(to_include)/ouro $(to_share) $(to_lib)/cmake/ouro $(to_lib)/cmake 2>/dev/null

## installcheck: installs into trees of its own; pkg-config, CMake, Meson build programs with it
installcheck: deps-build deps-cxx
	-@for package in $(DEPS_INSTALLED); do tests/deps.sh $$package; done
	tests/package/installcheck.sh $(BUILD)

## dist: build/ouro-VERSION.tar.gz, of which the same tree makes the same bytes
dist:
	@mkdir -p build
	lib/package/dist.sh build/ouro-$(VERSION).tar.gz
	@sha256sum build/ouro-$(VERSION).tar.gz

## deb: Debian packages in build/deb, tried in a fresh Debian; TEST=1, MAINTAINER='Name <mail>'
deb:
	@tests/deps.sh $(DEPS_DEB)
	lib/package/deb.sh $(VERSION)

## abi-check: what is linked with the last release goes on working with this library (abigail-tools)
abi-check: all
	-@tests/deps.sh $(DEPS_ABI)
	lib/package/abi.sh $(BUILD)
# What is to be compared with, where there is no tag of a release: to be done where a change of what
# was there is meant. What is only added needs nothing.
abi-store: all
	lib/package/abi.sh $(BUILD) store

## clean: removes build/
clean:
	rm -rf build

## help: this list
help:
	@sed -n 's/^## \([a-z-]*\): /  \1\t/p' Makefile | expand -t 16
	@printf '\n  CC=%s CFLAGS="%s" PREFIX=%s DESTDIR=%s; variants CHECKED=1 TSAN=1 ASAN=1 (CHECKED=0: these of the shipped library); WERROR=1 FRAME_POINTERS=1\n' \
		'$(CC)' '$(CFLAGS)' '$(PREFIX)' '$(DESTDIR)'

-include $(LIB_OBJS:.o=.d) $(TESTS:%=$(BUILD)/tests/deps/test_%.d) $(STRESS_BINS:=.d) $(BENCH_BINS:=.d) $(BUILD)/bench/memory.d $(EXAMPLE_BINS:=.d)
