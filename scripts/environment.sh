# What the scripts here share. To be sourced by bash, with `set -euo pipefail` and $root, the checkout.
: "${root:?is to name the checkout}"

# Make sure that Debian packages are installed: install those that are missing when root, else say how.
#   need_debian PACKAGE...
need_debian() {
    local package state missing=()
    if ! command -v dpkg-query >/dev/null; then
        echo "This is no Debian; what these packages hold must be here already: $*" >&2
        return
    fi
    for package in "$@"; do
        state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
        [[ $state == installed ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        echo "Some Debian packages are missing. Please run this, and then me again:" >&2
        echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    echo "Installing ${missing[*]} ..." >&2
    # A fresh machine has no lists yet, and old lists name packages that are gone.
    apt-get -qq -o Acquire::Retries=3 update
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
        install --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# Make a virtual environment with what a lock file names and miauflixd itself, unless it is current.
#   python_environment LOCKFILE VENV [PYTHON]
python_environment() {
    local lock=$1 venv=$2 python=${3:-python3} stamp current
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "Python 3.11 or newer is needed; this is $("$python" --version)" >&2
        exit 1
    }
    # All that makes an environment another one. It cannot be moved, so its place is part of it.
    stamp=$(
        {
            "$python" -c 'import sys; print(sys.version, sys.base_prefix)'
            echo "$venv"
            cat "$lock" "$root/pyproject.toml"
        } | sha256sum
    )
    current=$(cat "$venv/.made-from" 2>/dev/null || true)
    [[ $stamp != "$current" ]] || return 0
    echo "Making the Python environment $venv ..." >&2
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip --quiet --disable-pip-version-check install \
        --require-hashes --requirement "$lock"
    # What builds it is in the lock file, so nothing is fetched that has no hash there.
    "$venv/bin/python" -m pip --quiet --disable-pip-version-check install \
        --no-deps --no-build-isolation --editable "$root"
    # Last: whatever is interrupted before is made anew the next time.
    echo "$stamp" >"$venv/.made-from"
}
