#!/usr/bin/env bash
# The parity gate over recorded files, or over the synthetic day when there are none.
# Usage: parity.sh PYTHON DATA
set -euo pipefail
python=$1 data=$2
# Built beside the Python module, so that both share the features of their dependencies, and Arrow.
cargo build --quiet -p feature-cli -p feature-py
command=target/debug/featureplane
if [[ ! -d $data/binance ]]; then
  echo "skipped: no recorded data in $data; the synthetic day is used"
  exec "$command" demo --out target/parity-demo --minutes 2 --python "$python"
fi
b=$data/binance
# Days of one connection are one stream.
tapes=("$b/usdm_btcusdt_20240718.gz+$b/usdm_btcusdt_20240719.gz" "$b/usdm_btcusdt_20240808.gz"
  "$b/cm_btcusd_perp_20240808.gz" "$b/spot_btcusdt_20240808.gz+$b/spot_btcusdt_20240809.gz"
  "$data/hftbacktest/usdm_btcusdt_20240808.npz")
# Every column of every family, which the scalar reference takes its time for: side by side, and
# the first packets of each recording.
"$command" parity run --python "$python" --report target/parity_every_column.html \
  --set parity/tests/every_column.json --limit 8000 --input "${tapes[@]}" >target/parity_every_column.txt 2>&1 &
every_column=$!
"$command" parity run --python "$python" --report target/parity.html \
  --set core_v1 lob_shared_v1 lob_shared_v3 --input "${tapes[@]}"
wait "$every_column" || { cat target/parity_every_column.txt; exit 1; }
cat target/parity_every_column.txt
