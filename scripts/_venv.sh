# Sourced by the scripts beside it: `ensure_venv` makes .venv hold exactly what requirements.lock says, and
# "$venv_python" is its interpreter. A second call costs a few milliseconds: a stamp remembers what was installed.

fail() {
    printf '\n%s\n' "$*" >&2
    exit 1
}

# Same answer on every platform, needs no Python: this runs before every start.
_wanted_stamp() {
    printf '%s %s' "$PWD" "$(cat requirements.lock pyproject.toml | cksum)"
}

_in_range() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

_find_python() {
    if [ -n "${PYTHON:-}" ]; then
        _in_range "$PYTHON" || fail "PYTHON=$PYTHON is not a Python from 3.11 to 3.13. Unset it or name another one."
        echo "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if _in_range "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "No Python from 3.11 to 3.13 found on PATH.
Install one (Debian: apt install python3 python3-venv; macOS: brew install python@3.13) or name it: PYTHON=/path/to/python3.12 $0"
}

ensure_venv() {
    venv_python=.venv/bin/python
    stamp_file=.venv/.installed
    wanted=$(_wanted_stamp)
    if [ -f "$stamp_file" ] && [ "$(cat "$stamp_file")" = "$wanted" ] && [ -x "$venv_python" ]; then
        return
    fi

    if ! { [ -x "$venv_python" ] && _in_range "$venv_python"; }; then
        python=$(_find_python) || exit 1
        "$python" -c 'import venv, ensurepip' 2>/dev/null ||
            fail "$("$python" --version) lacks the venv module. Debian and Ubuntu: apt install python3-venv"
        echo "Creating .venv with $("$python" --version)"
        "$python" -m venv --clear .venv ||
            fail "The virtual environment could not be created. Remove .venv and try again; see the message above."
    fi

    echo "Installing packages from requirements.lock"
    "$venv_python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock ||
        fail "The packages could not be installed; see the message above.
Without access to the Python Package Index name a mirror: PIP_INDEX_URL=… $0"
    "$venv_python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ||
        fail "The project itself could not be installed; see the message above."
    printf '%s' "$wanted" >"$stamp_file"
}
