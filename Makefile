# What a contributor types. Each target says what it needs; `make test` and `make demo` install nothing silently.
CARGO ?= cargo
PROFILE_DIR := target/release
.DEFAULT_GOAL := help
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
.PHONY: help build setup-root demo test test-vm test-initramfs vm vm-all vm-cuts test-peers soak fuzz lint deny doc man completions bench peers clean-demo

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

build: ## the command, optimised: target/release/store
	$(CARGO) build --release --bin store

setup-root: ## the program for initramfs, static and small: target/$HOST/initramfs/store-setup-root
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --profile initramfs --target $(HOST) -p sealstone-setup-root
	@ls -l target/$(HOST)/initramfs/store-setup-root

demo: ## a real Debian image: import, deploy, boot entry; then an update, with sizes and times
	tests/tools/demo

test: ## every test; installs the Debian tools that act as oracles first
	tests/tools/install
	@tests/tools/fetch-forky target/tools/composefs composefs mkcomposefs composefs-info \
	  || echo "C composefs cannot be had: its tests will say that they skip"
	@tests/tools/fetch-forky target/tools/skopeo skopeo skopeo \
	  || echo "a current skopeo cannot be had: its tests will say that they skip"
	@tests/tools/fetch-forky target/tools/ukify systemd-ukify,systemd-boot-efi,python3 ukify \
	  || echo "ukify cannot be had: its test will say that it skips"
	@export SEALSTONE_COMPOSEFS=$(CURDIR)/target/tools/composefs SEALSTONE_SKOPEO=$(CURDIR)/target/tools/skopeo \
	  SEALSTONE_UKIFY=$(CURDIR)/target/tools/ukify; \
	if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  $(CARGO) nextest run --workspace && $(CARGO) test --workspace --doc; \
	else $(CARGO) test --workspace; fi

test-vm: ## kernel fs-verity and vfat paths, in a small QEMU guest with Debian's kernel
	tests/vm/run

test-initramfs: setup-root ## boots an initramfs of each kind in contrib/ in QEMU (root, mmdebstrap, 1 GB of disk)
	tests/vm/hooks target/vm/hooks
	SEALSTONE_INITRAMFS=$(CURDIR)/target/vm/hooks $(CARGO) test -p sealstone-setup-root --test boot -- --test-threads 1 --nocapture

# Of the whole workspace, so that what is built is what `make test` builds.
VM_PROOFS := $(CARGO) test --workspace --test vm -- --test-threads=1 --nocapture
vm: setup-root ## install, boot, update, roll back, fall back, cut the power, in emulated machines with OVMF (docs/proof.md)
	tests/tools/install
	tests/vm/ready
	SEALSTONE_VM_PROOFS=1 $(VM_PROOFS)

vm-all: setup-root ## the same, and what takes too long for each build: systemd, UKIs, Secure Boot, composefs-rs' initramfs program
	tests/tools/install
	tests/vm/ready
	tests/tools/composefs-setup-root
	SEALSTONE_VM_PROOFS=all $(VM_PROOFS)

vm-cuts: setup-root ## fifty power cuts in updates, each followed by a boot; about half an hour
	tests/tools/install
	tests/vm/ready
	SEALSTONE_VM_PROOFS=1 SEALSTONE_VM_CUTS=50 $(VM_PROOFS) power_cut

test-peers: ## image ids against the crate composefs-oci; builds it, in the workspace of benches/peers (libssl-dev, zlib1g-dev)
	$(CARGO) test --manifest-path benches/peers/Cargo.toml -p composefs-oci-driver

soak: ## the power-cut and many-process tests with far more states
	SEALSTONE_SOAK=1 $(CARGO) test --workspace -- power_cut many_processes state_machine

fuzz: ## each fuzz target for a minute (needs nightly and cargo-fuzz); SECONDS_EACH=60
	fuzz/run $(or $(SECONDS_EACH),60)

lint: ## rustfmt, clippy (pedantic, warnings are errors), lock files that say what the manifests say
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	for workspace in fuzz benches/peers; do \
	  $(CARGO) metadata --locked --format-version 1 --manifest-path $$workspace/Cargo.toml > /dev/null || exit 1; \
	done

deny: ## licences, sources and banned crates (needs cargo-deny)
	$(CARGO) deny check bans licenses sources

doc: ## the API documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

man: build ## man pages into target/man
	$(PROFILE_DIR)/store man target/man
	cp contrib/man/* target/man/

completions: build ## shell completions into target/completions
	@mkdir -p target/completions
	$(PROFILE_DIR)/store completions bash > target/completions/store.bash
	$(PROFILE_DIR)/store completions zsh > target/completions/_store
	$(PROFILE_DIR)/store completions fish > target/completions/store.fish

bench: ## criterion micro-benchmarks, compared with the committed baseline
	benches/compare

peers: ## the whole-path benchmark against peers (root, 14 GB of disk; see benches/peers/README.md)
	benches/peers/run corpus
	benches/peers/run run
	benches/peers/run table
	benches/peers/run chart

clean-demo: ## remove what make demo made
	rm -rf target/demo
