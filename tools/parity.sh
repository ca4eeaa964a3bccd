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
# Feeds of orders, which the Python package cannot be fed with packet by packet.
orders=("$data/dbn/glbx_ESM4_mbo_20240508_2s.dbn.zst" "$data/bitstamp_l3/2015-05-01_part1.log.zst")
# Every column of every family over every packet, which the scalar reference takes its time for:
# two halves side by side.
every_column() {
  local name=$1 paths=$2
  shift 2
  "$command" parity run --python "$python" --report "target/$name.html" --paths "$paths" \
    --set parity/tests/every_column.json --input "$@" >"target/$name.txt" 2>&1 || touch "target/$name.failed"
}
rm -f target/parity_columns_*
all=kernel,batch,python,reference
every_column parity_columns_1 "$all" "${tapes[0]}" "${tapes[1]}" "${tapes[3]}" &
every_column parity_columns_2 "$all" "${tapes[2]}" "${tapes[4]}"
every_column parity_columns_orders kernel,batch,reference "${orders[@]}"
wait
cat target/parity_columns_*.txt
if compgen -G "target/parity_columns_*.failed" >/dev/null; then exit 1; fi
"$command" parity run --paths kernel --set lob_shared_v1 --synthetic-events 100000000 | tail -1
"$command" parity run --python "$python" --report target/parity.html \
  --set core_v1 lob_shared_v1 lob_shared_v3 --input "${tapes[@]}"
