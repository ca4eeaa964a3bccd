#!/usr/bin/env bash
# Programs that tests run, for a machine with apt: Chromium and strace are installed if they are absent; Prometheus is unpacked
# into a folder, since its package would start a server. `tools/programs.sh FOLDER`; then PROMETHEUS and PROMTOOL name FOLDER/usr/bin/...
set -euo pipefail
folder=$1

missing=()
for program in chromium strace; do
  command -v "$program" >/dev/null || missing+=("$program")
done
if [ ${#missing[@]} -eq 0 ] && [ -x "$folder/usr/bin/promtool" ]; then
  exit
fi
apt-get update -qq
if [ ${#missing[@]} -gt 0 ]; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
mkdir -p "$folder"
cd "$folder"
# Without a user of its own for downloads apt would have to be able to write here.
apt-get -o APT::Sandbox::User=root download -qq prometheus
dpkg -x prometheus_*.deb .
rm prometheus_*.deb
