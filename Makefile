# The front door. `make help` says what is behind it; CMake (CMakePresets.json) does the building.
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=
PYTHON := /usr/bin/python3
RELEASE := build/release
ASAN := build/asan
TSAN := build/tsan

.NOTPARALLEL:

.PHONY: all
all: $(RELEASE)/build.ninja  ## release build of the programs in build/release/bin
	ninja -j$(JOBS) -C $(RELEASE) programs

$(RELEASE)/build.ninja:
	@packaging/deps.sh check
	cmake --preset release

$(ASAN)/build.ninja:
	@packaging/deps.sh check
	cmake --preset asan

$(TSAN)/build.ninja:
	@packaging/deps.sh check
	cmake --preset tsan

.PHONY: deps
deps:  ## install what building and testing need, from the distribution
	@packaging/deps.sh install

.PHONY: test
test: deps  ## unit tests, integration on this host, cgroup v2 part in a VM (as root)
	@$(MAKE) --no-print-directory $(RELEASE)/build.ninja
	ninja -j$(JOBS) -C $(RELEASE)
	$(PYTHON) integration/suite.py --build $(RELEASE)

.PHONY: asan
asan: deps  ## the unit and integration suites under AddressSanitizer and UBSan (as root)
	@$(MAKE) --no-print-directory $(ASAN)/build.ninja
	ninja -j$(JOBS) -C $(ASAN)
	$(PYTHON) integration/suite.py --build $(ASAN) --without vm --without systemd --without selinux

# The programs with threads are coracled and coracle-image. `coracle` and the shim have one thread
# for ever, and make containers by clone3(2): in a process that TSan watches, its own thread may
# hold a lock then, for which the new process waits for ever. So coracled meets the release's.
# setarch -R: more than 28 random bits of an address (vm.mmap_rnd_bits) are too many for it.
.PHONY: tsan
tsan: deps all  ## all unit tests, and what has threads, under ThreadSanitizer (as root)
	@$(MAKE) --no-print-directory $(TSAN)/build.ninja
	ninja -j$(JOBS) -C $(TSAN)
	cp $(RELEASE)/bin/coracle $(RELEASE)/bin/coracle-shim $(TSAN)/bin
	setarch -R $(PYTHON) integration/suite.py --build $(TSAN) --without vm --without systemd \
	  --without selinux --suites integration/cri integration/image

.PHONY: demo
demo: deps all  ## a bundle, then a pod from a registry on loopback, with crictl (as root)
	$(PYTHON) integration/demo/demo.py $(RELEASE)

.PHONY: conformance
conformance: deps all  ## the checklist and runtime-tools, beside runc and crun (as root)
	integration/conformance/run $(abspath $(RELEASE))

.PHONY: install
install: all  ## install below DESTDIR and PREFIX (/usr/local)
	DESTDIR=$(DESTDIR) cmake --install $(RELEASE) --prefix $(PREFIX)

.PHONY: tidy
tidy: $(RELEASE)/build.ninja  ## layering, sizes and format, then clang-tidy over every source
	$(PYTHON) tests/tidy/tidy.py
	ninja -j$(JOBS) -C $(RELEASE)
	run-clang-tidy -quiet -p $(RELEASE) '$(CURDIR)/src/.*'

.PHONY: docs
docs: all  ## write docs/CONTAINER_SETUP.md anew
	tests/tidy/docs_fresh.sh $(RELEASE)/bin/coracle --write

.PHONY: format
format:  ## clang-format every source in place
	git ls-files '*.h' '*.cc' | xargs clang-format -i

.PHONY: bench
bench: deps all  ## time coracle beside crun, runc and a floor; writes README.md (as root)
	ninja -j$(JOBS) -C $(RELEASE) bench_programs
	bench/run $(RELEASE) $(ALSO)

.PHONY: fuzz deb
fuzz deb:
	@echo "make $@: does not exist yet"

.PHONY: clean
clean:  ## remove the build folder
	rm -rf build

.PHONY: help
help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*##/make \1\t/' | expand -t 20
