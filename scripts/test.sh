#!/usr/bin/env bash
# Every test, in parts that run at the same time: most of them wait for sockets and clocks, not for the processor.
# Arguments are pytest's, for all parts. What a part says is shown when it has ended, one after another.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
parts=(
  "tests/feeds --ignore-glob=*/tests/feeds/test_*simulat* --ignore-glob=*/tests/feeds/test_*ccxt* --ignore=tests/feeds/test_faults.py"
  "tests/feeds/test_faults.py $(echo tests/feeds/test_*simulat*.py tests/feeds/test_*ccxt*.py)"
  "tests --ignore=tests/feeds"
)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null' INT TERM
for i in "${!parts[@]}"; do
  # shellcheck disable=SC2086
  .venv/bin/python -m pytest ${parts[$i]} -o cache_dir=.pytest_cache/$i "$@" >"build/test-$i.log" 2>&1 &
  pids+=($!)
done
failed=0
for i in "${!parts[@]}"; do
  wait "${pids[$i]}" || failed=1
  cat "build/test-$i.log"
done
exit "$failed"
