# What start.sh and tests/run.sh install: Debian packages, and a virtual environment for the embedded interpreter.

export PATH="$PATH:/usr/sbin:/sbin"

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# apt must not start Orthanc's service, which would take the ports: policy-rc.d forbids it while the function runs.
# $1 is the root of the system, "" for this one.
forbid_services() {
  local policy="$1/usr/sbin/policy-rc.d"
  [ -e "$policy" ] && return
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  temporary_policy="$policy"
}

allow_services() {
  [ -z "${temporary_policy:-}" ] || rm -f "$temporary_policy"
  temporary_policy=""
}

missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

# Installs the Debian packages that are missing; an installation that was cut off is finished first.
install_packages() {
  command -v apt-get >/dev/null || fail "this needs Debian 12 or later: there is no apt-get"
  local missing log
  missing="$(missing_packages "$@" | xargs)"
  [ -n "$missing" ] || return 0
  [ "$(id -u)" = 0 ] || fail "these Debian packages are missing, run this as root once to install them: $missing"
  echo "Installing $missing"
  log="$(mktemp)"
  forbid_services ""
  export DEBIAN_FRONTEND=noninteractive
  if ! {
    dpkg --configure -a --force-confold &&
      apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update &&
      apt-get -o DPkg::Lock::Timeout=300 --yes --fix-broken install &&
      # shellcheck disable=SC2086
      apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 --yes --no-install-recommends install $missing
  } >"$log" 2>&1; then
    allow_services
    fail "apt cannot install $missing ($(grep '^E:' "$log" | head -1)); is there a network? All it said: $log"
  fi
  allow_services
  rm -f "$log"
}

# Makes .venv with this project and the extras named in $1, such as "[tests]". Debian's own Python makes it, as Orthanc
# embeds that one. Done once, and again when setup.cfg or Python has changed or the last time was cut off.
make_environment() {
  local environment="$repository/.venv" fingerprint log
  fingerprint="$(/usr/bin/python3 --version) $(sha256sum <"$repository/setup.cfg")"
  # What was installed with more extras has all that fewer of them need.
  grep -qsF "$1 $fingerprint" "$environment/complete" && return
  echo "Installing Python packages into .venv"
  log="$(mktemp)"
  rm -f "$environment/complete"
  if ! {
    /usr/bin/python3 -m venv --clear "$environment" &&
      "$environment/bin/pip" install --disable-pip-version-check --editable "$repository$1"
  } >"$log" 2>&1; then
    fail "pip cannot install orthanc-inventory$1 ($(grep '^ERROR:' "$log" | tail -1)); is there a network? All it said: $log"
  fi
  rm -f "$log"
  { [ -z "$1" ] || echo " $fingerprint"; echo "$1 $fingerprint"; } >"$environment/complete"
}

site_packages() {
  "$repository/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])'
}
