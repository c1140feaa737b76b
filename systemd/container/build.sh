#!/bin/sh
# Installs vcpd from a source tree into a virtual environment, every library by its hash.
#   build.sh SOURCE TARGET [EXTRA]     with an extra such as `dask`, its libraries come after them, the newest ones
set -eu
source=$1
target=$2
extra=${3:-}
python3 -m venv "$target"
"$target/bin/python" -m pip install --quiet --no-cache-dir --require-hashes --requirement "$source/requirements.lock"
wheels=$(mktemp -d)
copy=$(mktemp -d)
trap 'rm -rf "$wheels" "$copy"' EXIT
cp -R "$source/vcpd" "$source/setup.py" "$source/build_kernels.py" "$source/pyproject.toml" "$source/README.md" "$source/LICENSE" "$copy"
"$target/bin/python" -m pip wheel --quiet --no-cache-dir --no-deps --wheel-dir "$wheels" "$copy"
"$target/bin/python" -m pip install --quiet --no-cache-dir --no-deps "$wheels"/vcpd-*.whl
if [ -n "$extra" ]; then
    "$target/bin/python" -m pip install --quiet --no-cache-dir "$(echo "$wheels"/vcpd-*.whl)[$extra]"
fi
