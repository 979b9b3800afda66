#!/usr/bin/env bash
# Prints a table of what the plugin takes, against the raw rates of Orthanc and against pydicom: see README.md and --help.
# Without arguments it takes an hour; the first time longer, as archives are filled, which are kept.
set -euo pipefail
repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
"$repository/tests/run.sh" --collect-only >/dev/null  # installs what is missing
cd "$repository"
exec .venv/bin/python -m tests.benchmarks "$@"
