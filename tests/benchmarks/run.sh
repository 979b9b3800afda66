#!/usr/bin/env bash
# Prints a table of ratios: the plugin against the raw rates of Orthanc and against pydicom. Takes half an hour, the
# first time longer, as archives are filled; they are kept for the next time. Arguments: numbers of instances (20000 100000).
set -euo pipefail
repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
"$repository/tests/run.sh" --collect-only >/dev/null  # installs what is missing
cd "$repository"
exec .venv/bin/python -m tests.benchmarks "$@"
