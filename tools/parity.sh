#!/usr/bin/env bash
# The parity gate over recorded files, or over the synthetic day when there are none.
# Usage: parity.sh PYTHON DATA [PACKETS]
set -euo pipefail
python=$1 data=$2 packets=${3:-3000}
cargo build --quiet -p feature-cli
shopt -s nullglob
inputs=("$data"/binance/*.gz "$data"/hftbacktest/usdm*.npz)
if ((${#inputs[@]} == 0)); then
  echo "parity: no recorded data in $data; the synthetic day is used"
  exec target/debug/featureplane demo --out target/parity-demo --minutes 2 --python "$python"
fi
exec target/debug/featureplane parity run --input "${inputs[@]}" --limit "$packets" \
  --paths kernel,batch,python,reference --python "$python"
