#!/usr/bin/env bash
# Builds the command, runs the demo, and loads what it wrote with Python. Usage: demo.sh PYTHON
set -euo pipefail
python=$1
cargo build --release --quiet -p feature-cli
target/release/featureplane demo --out demo-out --python "$python"
"$python" tools/check_demo.py demo-out
