#!/usr/bin/env bash
# Times the extraction of a synthetic hour with the profile that is shipped.
set -euo pipefail
cargo build --quiet --profile dist -p feature-cli
exec target/dist/featureplane demo --out target/bench --minutes 60
