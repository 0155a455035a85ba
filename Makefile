# SPDX-License-Identifier: Apache-2.0
# A thin door to Meson. `make help` says what there is.

SECONDS ?= 60
PREFIX ?= /usr/local
DESTDIR ?=
export DESTDIR

.PHONY: help run test demo lint bench build fuzz install setup

help:
	@echo 'make run      everything on loopback, until Ctrl-C'
	@echo 'make test     every test, sanitizers on'
	@echo 'make demo     the main job, shown and checked, in under a minute'
	@echo 'make lint     formatting, clang-tidy, include rules, documentation'
	@echo 'make bench    the benchmarks, as ratios'
	@echo 'make build    the optimised build alone'
	@echo 'make fuzz     the fuzzers, SECONDS=60 each'
	@echo 'make install  with DESTDIR and PREFIX'

setup:
	@tools/setup.sh build

build: setup
	@tools/build.sh build --prefix=$(PREFIX)

run: build
	@tools/setup.sh run
	@tools/run.sh

demo: build
	@tools/demo.sh

test:
	@tools/setup.sh build test
	@/usr/bin/python3 tools/test.py

lint:
	@tools/setup.sh build lint
	@tools/lint.sh

bench: build
	@tools/setup.sh build bench
	@/usr/bin/python3 bench/run.py

fuzz:
	@tools/setup.sh build fuzz
	@tools/fuzz.sh $(SECONDS)

install: build
	@meson install -C build --no-rebuild --quiet
