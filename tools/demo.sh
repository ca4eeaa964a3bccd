#!/usr/bin/env bash
# Builds the command, runs the demo, and loads what it wrote with Python. Usage: demo.sh PYTHON
set -euo pipefail
python=$1
# Built beside the Python module, so that both share the features of their dependencies, and Arrow.
cargo build --release --quiet -p feature-cli -p feature-py
target/release/featureplane demo --out demo-out --python "$python"
"$python" tools/check_demo.py demo-out
