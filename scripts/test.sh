#!/usr/bin/env bash
# Every test, in parts of which a few run at the same time: most tests wait for sockets and clocks, not for the processor.
# Arguments are pytest's, for all parts. What a part says is shown when it has ended, one after another.
# SPREADBOARD_TEST_PARTS: how many at a time. Times are promised, so more than the machine can carry makes tests fail:
# what failed among the others is run once more, alone, when all parts have ended, and the last line names such parts.
set -uo pipefail
shopt -s globstar nullglob
cd "$(dirname "$0")/.."
mkdir -p build
at_once=${SPREADBOARD_TEST_PARTS:-3}
[[ "$at_once" =~ ^[1-9][0-9]?$ ]] || { echo "SPREADBOARD_TEST_PARTS is '$at_once'; it must be a number from 1 to 99." && exit 2; }

declare -A files=() taken=()
part() { # name, files: those that no part before has
  local file
  for file in "${@:2}"; do
    [ -n "${taken[$file]:-}" ] || files[$1]+=" $file"
    taken[$file]=$1
  done
}
part conformance tests/conformance/test_*.py
part drills tests/{killtest,system}/test_*.py tests/dashboard/test_{postgres,recording}.py
part deployments tests/dashboard/test_{scaled,serve}.py
part faults tests/feeds/test_{faults,alpaca_engine,krakenfutures_engine,lmex_engine}.py
part live tests/feeds/test_{*engine*,alarm,polled,recorder,renewal,replay,skew,together}.py
part simulators tests/feeds/test_{*simulator*,ccxt*}.py
part browser tests/browser/test_*.py
part accounts tests/feeds/test_{*account*,*follower*,*ledger,*bills,*bookings,*income,*_log,*wallet,limits}.py
part feeds tests/feeds/**/test_*.py # these two take what is left: no test is forgotten
part others tests/**/test_*.py

# In this order they begin, the long ones first. The patient ones hardly wait, and promise no times: one after another
# they take what the others leave of the processor, beside them.
names=(simulators faults live deployments browser conformance drills)
patient=(accounts feeds others)
[ "$((${#names[@]} + ${#patient[@]}))" = "${#files[@]}" ] || { echo "A part is in no order, or has no file." && exit 2; }

declare -A name_of=() began_s=()
arguments=("$@")
running=0
failed=""
trap 'kill "${!name_of[@]}" 2>/dev/null; exit 130' INT TERM
begin() { # name, niceness
  # shellcheck disable=SC2086
  nice -n "$2" .venv/bin/python -m pytest ${files[$1]} -o "cache_dir=.pytest_cache/$1" "${arguments[@]}" \
    >"build/test-$1.log" 2>&1 &
  name_of[$!]=$1
  began_s[$1]=$SECONDS
}
begin_patient() {
  [ "${#patient[@]}" -gt 0 ] || return 0
  begin "${patient[0]}" 5
  patient=("${patient[@]:1}")
}
end_one() {
  local pid name code=0
  wait -n -p pid "${!name_of[@]}" || code=$?
  name=${name_of[$pid]}
  unset "name_of[$pid]"
  case " ${names[*]} " in
    *" $name "*) running=$((running - 1)) ;;
    *) begin_patient ;;
  esac
  echo "== $name: $((SECONDS - began_s[$name])) s =="
  cat "build/test-$name.log"
  [ "$code" = 0 ] || failed+=" $name"
}
begin_patient
for name in "${names[@]}"; do
  while [ "$running" -ge "$at_once" ]; do end_one; done
  begin "$name" 0
  running=$((running + 1))
done
while [ "${#name_of[@]}" -gt 0 ]; do end_one; done
echo "All parts: $SECONDS s. Failed:${failed:- none}"

still="" alone=""
for name in $failed; do
  echo "== $name: what failed, alone =="
  # shellcheck disable=SC2086
  if .venv/bin/python -m pytest ${files[$name]} -o "cache_dir=.pytest_cache/$name" --last-failed \
    --last-failed-no-failures none "${arguments[@]}" >"build/test-$name-alone.log" 2>&1; then
    alone+=" $name"
  else
    still+=" $name"
  fi
  cat "build/test-$name-alone.log"
done
[ -z "$failed" ] || echo "All parts: $SECONDS s. Failed:${still:- none}. Passed only when alone:${alone:- none}"
[ -z "$still" ]
