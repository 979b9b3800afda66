#!/usr/bin/env bash
# Starts Orthanc with the inventory plugin, fills an empty archive with demo studies and makes a first inventory.
set -euo pipefail

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
. "$repository/orthanc-config/install.sh"

usage="Usage: orthanc-config/start.sh [--check]

Installs what is missing, starts Orthanc with the inventory plugin, fills an empty archive with demo studies, makes the
first inventory, and runs until Ctrl-C.

  --check   make an inventory, compare it with the archive, stop; exit status 0 only if it is COMPLETE and right

Environment:
  INVENTORY_HTTP_PORT   port of Orthanc's web server (8042)
  INVENTORY_DICOM_PORT  port of Orthanc's DICOM server (4242)
  INVENTORY_DATA        folder of the archive, which is kept (data)"

check=""
for argument in "$@"; do
  case "$argument" in
    --check) check=--check ;;
    --help | -h) echo "$usage"; exit ;;
    *) fail "unknown argument $argument; allowed: --check, --help" ;;
  esac
done

export INVENTORY_HTTP_PORT="${INVENTORY_HTTP_PORT:-8042}" INVENTORY_DICOM_PORT="${INVENTORY_DICOM_PORT:-4242}"
export INVENTORY_DATA="${INVENTORY_DATA:-$repository/data}"
for variable in INVENTORY_HTTP_PORT INVENTORY_DICOM_PORT; do
  port="${!variable}"
  [[ "$port" =~ ^[1-9][0-9]{0,4}$ ]] && [ "$port" -le 65535 ] || fail "$variable is no port: allowed is a number from 1 to 65535"
  ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || fail "port $port is taken; choose another one by $variable"
done
[ "$INVENTORY_HTTP_PORT" != "$INVENTORY_DICOM_PORT" ] || fail "INVENTORY_HTTP_PORT and INVENTORY_DICOM_PORT must differ"
case "$INVENTORY_DATA" in *[\"\\\$]*) fail 'INVENTORY_DATA must not hold ", \ or $' ;; esac
mkdir -p "$INVENTORY_DATA" 2>/dev/null && [ -w "$INVENTORY_DATA" ] || fail "INVENTORY_DATA: cannot write into $INVENTORY_DATA"
INVENTORY_DATA="$(cd "$INVENTORY_DATA" && pwd)"

orthanc=""
finish() {
  allow_services
  [ -z "$orthanc" ] || { kill "$orthanc" && wait "$orthanc"; } 2>/dev/null || true
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

install_packages orthanc orthanc-python python3-venv
make_environment ""

cd "$repository"
log="$INVENTORY_DATA/orthanc.log"
PYTHONPATH="$(site_packages)" Orthanc orthanc-config >"$log" 2>&1 &
orthanc=$!
export PYTHONPATH=orthanc-config
if ! .venv/bin/python -m demo $check --process "$orthanc"; then
  fail "it did not succeed; the log of Orthanc is $log"
fi
[ -z "$check" ] || exit 0

trap 'echo; echo "Stopping"; exit 0' INT TERM
echo "Ctrl-C stops Orthanc; its log is $log"
wait "$orthanc" || true
orthanc=""
fail "Orthanc has stopped by itself; its log is $log"
