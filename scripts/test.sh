#!/usr/bin/env bash
# Every test, in parts that run at the same time: most of them wait for sockets and clocks, not for the processor.
# Arguments are pytest's, for all parts. What a part says is shown when it has ended, one after another.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
parts=(
  "tests/feeds --ignore-glob=tests/feeds/test_*simulat* --ignore-glob=tests/feeds/test_*ccxt* --ignore-glob=tests/feeds/test_*_engine.py --ignore=tests/feeds/test_faults.py"
  "tests --ignore=tests/feeds --ignore=tests/conformance"
  "tests/feeds/test_faults.py $(echo tests/feeds/test_*simulat*.py tests/feeds/test_*ccxt*.py tests/feeds/test_*_engine.py)"
  "tests/conformance"
)
pids=()
failed=0
trap 'kill "${pids[@]}" 2>/dev/null; exit 130' INT TERM
begin() {
  # shellcheck disable=SC2086
  .venv/bin/python -m pytest ${parts[$1]} -o cache_dir=.pytest_cache/$1 "${@:2}" >"build/test-$1.log" 2>&1 &
  pids[$1]=$!
}
end() {
  wait "${pids[$1]}" || failed=1
  cat "build/test-$1.log"
}
begin 0 "$@"; begin 1 "$@"; end 0; end 1   # two at a time: times are promised, and two cores are common
begin 2 "$@"; begin 3 "$@"; end 2; end 3
exit "$failed"
