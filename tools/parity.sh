#!/usr/bin/env bash
# The parity gate over recorded files, or over the synthetic day when there are none.
# Usage: parity.sh PYTHON DATA
set -euo pipefail
python=$1 data=$2
# Events that the Python reference must have seen with equal bits, over all runs here.
at_least=${AT_LEAST:-5000000}
# Built beside the Python module, so that both share the features of their dependencies, and Arrow.
cargo build --quiet -p feature-cli -p feature-py
command=target/debug/featureplane
if [[ ! -d $data/binance ]]; then
  echo "skipped: no recorded data in $data; the synthetic day is used"
  exec "$command" demo --out target/parity-demo --minutes 2 --python "$python"
fi
out=target/parity
rm -rf "$out" && mkdir -p "$out"
b=$data/binance goog=$data/lobster/GOOG_2012-06-21_34200000_57600000
# Days of one connection are one stream.
tapes=("$b/cm_btcusd_perp_20240808.gz" "$b/usdm_btcusdt_20240808.gz" "$data/hftbacktest/usdm_btcusdt_20240808.npz"
  "$b/spot_btcusdt_20240808.gz+$b/spot_btcusdt_20240809.gz" "$b/usdm_btcusdt_20240718.gz+$b/usdm_btcusdt_20240719.gz")
# Every recording of which a book can be made, but LOBSTER's of fewer levels, whose books are part of those of ten;
# where a file holds several symbols, the busiest follows after a comma. The longest are cut, at the packets after an @: the
# scalar reference takes 10 ms for a frame of every column.
recordings=("${goog}_message_10.csv.zst+${goog}_orderbook_10.csv.zst@6000" "${tapes[@]}"
  "$data/dbn/glbx_ESU4_mbp-1_20240701T2358_4min.dbn.zst"
  "$data/bybit/2024-12-01_XRPUSDT_ob500.data.zip" "$data/tardis/binance-futures_book_snapshot_25_BTCUSDT.csv"
  "$data/cryptofeed/KRAKEN.jsonl.zst,XMR/USD" "$data/cryptofeed/OKX.jsonl.zst,BTC-USDT"
  "$data/cryptofeed/BITGET.jsonl.zst,mc:UNIUSDT" "$data/cryptofeed_v1/FTX_2021-04-17.ws32.txt.zst,XRP/USD"
  "$data/cryptofeed_v1/OKCOIN_2021-07-22.ws1.inflated.txt.zst,LTC-USD")
# Feeds of orders.
orders=("$data/bitstamp_l3/2015-05-01_part1.log.zst" "$data/bitfinex_l3/tBTCUSD_R0_first20001.ndjson.zst@6000"
  "$data/dbn/glbx_ESM4_mbo_20240508_2s.dbn.zst" "${goog}_message_1.csv.zst@6000")
# Every column of every family over every packet, which the scalar reference takes its time for: one process a core.
every_column() {
  local name=$1 input=${2%@*} limit='' symbol=''
  [[ $2 == *@* ]] && limit=${2##*@}
  [[ $input == *,* ]] && symbol=${input##*,} input=${input%,*}
  "$command" parity run --python "$python" --report "$out/$name.html" --paths "$all" ${symbol:+--symbol "$symbol"} ${limit:+--limit "$limit"} \
    --set parity/tests/every_column.json --input "$input" >"$out/$name.txt" 2>&1 || touch "$out/$name.failed"
}
all=kernel,batch,python,reference
started=0
for recording in "${recordings[@]}" "${orders[@]}"; do
  while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n || true; done
  started=$((started + 1))
  every_column "$(printf 'columns_%02d' "$started")" "$recording" &
done
wait
cat "$out"/columns_*.txt
if compgen -G "$out/*.failed" >/dev/null; then exit 1; fi
"$command" parity run --paths kernel --set lob_shared_v1 --synthetic-events 100000000 | tail -1
"$command" parity run --python "$python" --report target/parity.html \
  --set core_v1 lob_shared_v1 lob_shared_v3 --input "${tapes[@]}" | tee "$out/sets.txt"
seen=$(($(sed -n 's/^parity: .* tapes, \([0-9,]*\) events, 0 differing bits$/\1/p' "$out"/columns_*.txt "$out/sets.txt" |
  tr -d , | paste -sd+)))
echo "reference: $seen events with equal bits, $at_least wanted"
((seen >= at_least))
