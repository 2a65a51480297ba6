# Gleaner. `make run` and `make test` are all that a newcomer needs; see README.md.
export PATH := $(CURDIR)/target/debug:$(if $(CARGO_HOME),$(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

.PHONY: run build release image e2e test lint fmt bench clean-vm

## Build, start the agent with the sample pods on this machine, show the live view. Ctrl-C ends the pods and puts everything back.
run: build
	@scripts/run

## The debug build of everything.
build:
	@scripts/setup
	@cargo build --workspace

## The small release binary: target/release/gleaner
release:
	@scripts/setup
	@cargo build --release -p gleaner-agent
	@ls -l target/release/gleaner

## The container image, without a container engine: target/image/gleaner-VERSION.tar
image: release
	@scripts/image

## The whole way on the cluster that KUBECONFIG names; docs/install.md says what it does there.
e2e:
	@scripts/e2e

## Formatting, lints, every test here, then those in the virtual machine; ends with one line of totals.
test:
	@scripts/setup --tests
	@scripts/test

## Formatting and lints alone.
lint:
	@scripts/setup
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings

fmt:
	@cargo fmt --all

## Measures the budgets of SPECIFICATION.md.
bench:
	@scripts/setup
	@scripts/bench

## Forget the prepared virtual machine.
clean-vm:
	@rm -rf tests/vm/work
