#!/usr/bin/env bash
# Installs what the tests need and runs them; arguments go to pytest, and --long runs what CI leaves out. Needs root, as
# it installs packages and uses chroot.
set -euo pipefail

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
. "$repository/orthanc-config/install.sh"

# Debian 13 with its Orthanc and the plugin's Python packages are kept here for the next time.
export INVENTORY_TEST_CACHE="${INVENTORY_TEST_CACHE:-/var/cache/orthanc-inventory}"
chroot_folder="$INVENTORY_TEST_CACHE/trixie"
packages="$INVENTORY_TEST_CACHE/packages"

# Debian 13 with these packages, from where this machine has its own, by its own way to the network.
make_chroot() {
  local log mirror
  [ "$(cat "$INVENTORY_TEST_CACHE/trixie.complete" 2>/dev/null)" != "$*" ] || return 0
  echo "Making a chroot of Debian 13 with $*"
  log="$(mktemp)"
  mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -1)"
  rm -rf "$chroot_folder"
  mkdir -p "$INVENTORY_TEST_CACHE"
  if ! {
    debootstrap --variant=minbase trixie "$chroot_folder" "${mirror:-http://deb.debian.org/debian/}" &&
      cp /etc/resolv.conf "$chroot_folder/etc/" &&
      apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$chroot_folder/etc/apt/apt.conf.d/00network" &&
      forbid_services "$chroot_folder" &&
      chroot "$chroot_folder" apt-get -o Acquire::Retries=3 update &&
      DEBIAN_FRONTEND=noninteractive chroot "$chroot_folder" \
        apt-get -o Acquire::Retries=3 --yes --no-install-recommends install "$@"
  } >"$log" 2>&1; then
    tail -3 "$log" >&2
    fail "the chroot of Debian 13 cannot be made; is there a network? All it said: $log"
  fi
  rm -f "$log"
  echo "$*" >"$INVENTORY_TEST_CACHE/trixie.complete"
}

# The plugin's own dependencies in a folder that any Python can use: they hold no compiled code.
copy_packages() {
  local fingerprint log
  fingerprint="$(sha256sum <"$repository/setup.cfg")"
  log="$(mktemp)"
  [ "$(cat "$packages/complete" 2>/dev/null)" != "$fingerprint" ] || return 0
  rm -rf "$packages"
  # shellcheck disable=SC2046
  "$repository/.venv/bin/pip" install --disable-pip-version-check --target "$packages" $(requirements options install_requires) >"$log" 2>&1 ||
    fail "pip cannot install the plugin's dependencies; is there a network? All it said: $log"
  copy_extra analytics "$(requirements options.extras_require analytics)" >>"$log" 2>&1 &&
    copy_extra postgresql "$(requirements options.extras_require postgresql | sed 's/psycopg/psycopg[binary]/')" >>"$log" 2>&1 ||
    fail "pip cannot get the extras; is there a network? All it said: $log"
  rm -f "$log"
  echo "$fingerprint" >"$packages/complete"
}

# What the extra $1 needs, compiled for the Python of either Orthanc, in a folder of its own: servers have it only where a
# test says so.
copy_extra() {
  local version wheel wheels
  wheels="$(mktemp -d)"
  for version in 3.11 3.13; do
    "$repository/.venv/bin/pip" download --disable-pip-version-check --only-binary :all: \
      --python-version "$version" --dest "$wheels" "$2" || return
  done
  for wheel in "$wheels"/*.whl; do
    "$repository/.venv/bin/python" -m zipfile -e "$wheel" "$packages/$1" || return
  done
  rm -rf "$wheels"
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
  chromium
make_environment "[tests]"
# DCMTK 3.6.9 of Debian 13 knows the attributes of inventories, that of Debian 12 does not.
make_chroot orthanc orthanc-python orthanc-dicomweb orthanc-postgresql dcmtk
copy_packages

cd "$repository"
# Files of tests run side by side: they wait for Orthanc much of their time.
exec .venv/bin/python -m pytest --numprocesses "$(($(nproc) + 1))" --dist loadfile "$@"
