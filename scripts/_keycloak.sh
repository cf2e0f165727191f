# Sourced after _venv.sh and _maven.sh: `ensure_keycloak` puts a Keycloak for tests below ~/.cache/kompass and sets
# KOMPASS_TEST_KEYCLOAK to its folder, or takes the folder that this variable names already. Returns 1 and says why
# when it can't be had.

_keycloak_version=26.4.0
_keycloak_sum=1b6a11a2726ac8a8dc9c91d5fafe989a75ce4f1622d7f7b45c21d5bc16629c0a

ensure_keycloak() {
    keycloak_home=${KOMPASS_TEST_KEYCLOAK:-$(maven_cache)/keycloak-$_keycloak_version}
    command -v java >/dev/null 2>&1 || {
        echo "Keycloak needs Java 17 or newer (Debian: apt install openjdk-17-jre-headless)."
        return 1
    }
    ensure_from_maven "Keycloak $_keycloak_version" "$keycloak_home" _fetch_keycloak || return 1
    export KOMPASS_TEST_KEYCLOAK="$keycloak_home"
}

_fetch_keycloak() {
    keycloak_zip=$1/keycloak-quarkus-dist-$_keycloak_version.zip
    maven_dependency copy "-Dartifact=org.keycloak:keycloak-quarkus-dist:$_keycloak_version:zip" "-DoutputDirectory=$1" &&
        echo "$_keycloak_sum  $keycloak_zip" | sha256sum --check --quiet &&
        "$venv_python" -m zipfile -e "$keycloak_zip" "$1" &&
        mv "$1/keycloak-$_keycloak_version" "$1/whole" &&
        chmod +x "$1/whole/bin/kc.sh"
}
