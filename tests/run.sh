#!/usr/bin/env bash
# Installs what the tests need and runs them; arguments go to pytest, and --long runs what CI leaves out. Needs root, as
# it installs packages and uses chroot.
set -euo pipefail

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
. "$repository/orthanc-config/install.sh"

# Debian 13 and sid with their Orthancs, and the plugin's Python packages, are kept here for the next time.
export INVENTORY_TEST_CACHE="${INVENTORY_TEST_CACHE:-/var/cache/orthanc-inventory}"
packages="$INVENTORY_TEST_CACHE/packages"

# A chroot of the Debian suite $1 with the packages that follow, from where this machine has its own, by its own way to the
# network. Without a complete one it says in one line what went wrong, and the status tells.
make_chroot() {
  local suite="$1" folder="$INVENTORY_TEST_CACHE/$1" log mirror
  local complete="$folder.complete"
  shift
  [ "$(cat "$complete" 2>/dev/null)" != "$*" ] || return 0
  echo "Making a chroot of Debian $suite with $*"
  log="$(mktemp)"
  mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -1)"
  rm -rf "$folder" "$complete"
  mkdir -p "$INVENTORY_TEST_CACHE"
  if ! {
    debootstrap --variant=minbase "$suite" "$folder" "${mirror:-http://deb.debian.org/debian/}" &&
      cp /etc/resolv.conf "$folder/etc/" &&
      apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$folder/etc/apt/apt.conf.d/00network" &&
      forbid_services "$folder" &&
      chroot "$folder" apt-get -o Acquire::Retries=3 -o Acquire::Check-Valid-Until=false update &&
      DEBIAN_FRONTEND=noninteractive chroot "$folder" \
        apt-get -o Acquire::Retries=3 --yes --no-install-recommends install "$@"
  } >"$log" 2>&1; then
    echo "$(basename "$0"): the chroot of Debian $suite cannot be made ($(grep '^E:' "$log" | head -1)); all it said: $log" >&2
    return 1
  fi
  rm -f "$log"
  echo "$*" >"$complete"
}

# The plugin's own dependencies in a folder that any Python can use: they hold no compiled code.
copy_packages() {
  local log
  [ "$(cat "$packages/complete" 2>/dev/null)" != "$(fingerprint)" ] || return 0
  log="$(mktemp)"
  rm -rf "$packages"
  # shellcheck disable=SC2046
  "$repository/.venv/bin/pip" install --disable-pip-version-check --target "$packages" $(requirements options install_requires) >"$log" 2>&1 ||
    fail "pip cannot install the plugin's dependencies; is there a network? All it said: $log"
  copy_extra analytics "$(requirements options.extras_require analytics)" >>"$log" 2>&1 &&
    copy_extra postgresql "$(requirements options.extras_require postgresql | sed 's/psycopg/psycopg[binary]/')" >>"$log" 2>&1 ||
    fail "pip cannot get the extras; is there a network? All it said: $log"
  rm -f "$log"
  # Without that of sid if it was given up.
  fingerprint >"$packages/complete"
}

fingerprint() {
  echo "$(sha256sum <"$repository/setup.cfg") $(pythons | xargs)"
}

# What the extra $1 needs, compiled for the Python of each Orthanc, in a folder of its own: servers have it only where a
# test says so.
copy_extra() {
  local version wheel wheels
  wheels="$(mktemp -d)"
  for version in $(pythons); do
    "$repository/.venv/bin/pip" download --disable-pip-version-check --only-binary :all: \
      --python-version "$version" --dest "$wheels" "$2" || give_up_sid "$version" || return
  done
  for wheel in "$wheels"/*.whl; do
    "$repository/.venv/bin/python" -m zipfile -e "$wheel" "$packages/$1" || return
  done
  rm -rf "$wheels"
}

# The versions of Python that the Orthancs embed, such as 3.13.
pythons() {
  { python_of ""; python_of "$INVENTORY_TEST_CACHE/trixie"; python_of "$INVENTORY_TEST_CACHE/sid"; } | sort --unique
}

python_of() {
  # There may be no such system.
  { find "$1"/usr/lib/*/ -maxdepth 1 -name 'libpython3.*.so.1.0' -printf '%f\n' 2>/dev/null || true; } |
    sed 's/libpython//; s/\.so.*//'
}

# Its Python may be too new for what others compile. Fails if it is the Python of another Orthanc.
give_up_sid() {
  { python_of ""; python_of "$INVENTORY_TEST_CACHE/trixie"; } | grep -qxF "$1" && return 1
  rm -rf "$INVENTORY_TEST_CACHE/sid" "$INVENTORY_TEST_CACHE/sid.complete"
}

requirements() {
  "$repository/.venv/bin/python" -c '
import configparser, sys
file = configparser.ConfigParser()
file.read(sys.argv[1])
print(file[sys.argv[2]][sys.argv[3]].strip())' "$repository/setup.cfg" "$@"
}

[ "$(id -u)" = 0 ] || fail "run this as root: it installs packages and starts Orthanc in a chroot"
install_packages orthanc orthanc-python orthanc-dicomweb orthanc-postgresql postgresql python3-venv dcmtk debootstrap curl jq openssl \
  chromium libfaketime
make_environment "[tests]"
# DCMTK 3.6.9 of Debian 13 knows the attributes of inventories, that of Debian 12 does not.
make_chroot trixie orthanc orthanc-python orthanc-dicomweb orthanc-postgresql dcmtk &
trixie=$!
# Sid moves, and at times it cannot be installed: then its tests are skipped.
make_chroot sid orthanc orthanc-python orthanc-dicomweb orthanc-postgresql || true
wait "$trixie"
copy_packages
[ -e "$INVENTORY_TEST_CACHE/sid.complete" ] || echo "Tests on the Orthanc of Debian sid are skipped" >&2

cd "$repository"
# Files of tests run side by side: they wait for Orthanc much of their time.
# A process that has ended, for its test hung, is not begun anew: it would run into the same test again.
exec .venv/bin/python -m pytest --numprocesses "$(($(nproc) + 1))" --dist loadfile --max-worker-restart 0 "$@"
