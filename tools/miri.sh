#!/usr/bin/env bash
# Miri over what threads and processes share: views of frames, the seqlock, mapped words, the frame ring. docs/decisions/0019-miri-and-loom.md says what is left out.
set -euo pipefail
has_miri() { cargo +nightly miri --version >/dev/null 2>&1; }
if ! has_miri && [ -n "${FEATUREPLANE_REQUIRE_TOOLS:-}" ]; then
  # Of the nightly toolchain that is there, if there is one.
  rustup component add --toolchain nightly miri rust-src ||
    rustup toolchain install nightly --no-self-update --profile minimal --component miri,rust-src || true
fi
if ! has_miri; then
  echo "SKIPPED: no Miri (rustup toolchain install nightly --component miri,rust-src)"
  exit
fi
miri() { cargo +nightly miri test --quiet --target-dir target/miri "$@"; }

export MIRIFLAGS=-Zmiri-strict-provenance
miri -p feature-kernel --test golden_frames
miri -p feature-runtime --lib -- frame_ring latest::
# Other schedules find other races.
MIRIFLAGS="$MIRIFLAGS -Zmiri-many-seeds=0..2" miri -p feature-runtime --test latest -- never_sees_half
# A gate that cannot fail is none: words that are read after their mapping must be found.
if said=$(MIRIFLAGS="$MIRIFLAGS -Zmiri-env-set=FEATUREPLANE_PLANTED=1" miri -p feature-runtime --lib -- latest::region 2>&1); then
  echo "miri.sh: the planted defect was not found" >&2
  exit 1
fi
grep -q "Undefined Behavior" <<<"$said"
