# Sourced by the scripts beside it: `ensure_keycloak` puts a Keycloak for tests below ~/.cache/kompass and sets
# KOMPASS_TEST_KEYCLOAK to its folder, or takes the folder that this variable names already. It comes as a Maven
# artifact, from wherever this machine's Maven gets artifacts. Returns 1 and says why when it can't be had.

_keycloak_version=26.4.0
_keycloak_sum=1b6a11a2726ac8a8dc9c91d5fafe989a75ce4f1622d7f7b45c21d5bc16629c0a

ensure_keycloak() {
    keycloak_cache=${XDG_CACHE_HOME:-$HOME/.cache}/kompass
    keycloak_home=${KOMPASS_TEST_KEYCLOAK:-$keycloak_cache/keycloak-$_keycloak_version}
    command -v java >/dev/null 2>&1 || {
        echo "Keycloak needs Java 17 or newer (Debian: apt install openjdk-17-jre-headless)."
        return 1
    }
    if [ ! -f "$keycloak_home/bin/kc.sh" ]; then
        command -v mvn >/dev/null 2>&1 || {
            echo "Keycloak is fetched with Maven, which is missing (Debian: apt install maven)."
            return 1
        }
        echo "Fetching Keycloak $_keycloak_version with Maven"
        keycloak_part=$keycloak_cache/part.$$
        mkdir -p "$keycloak_part"
        _fetch_keycloak && mv "$keycloak_part/keycloak-$_keycloak_version" "$keycloak_home"
        keycloak_status=$?
        rm -rf "$keycloak_part"
        if [ $keycloak_status -ne 0 ]; then
            echo "Keycloak could not be fetched; see the message above."
            return 1
        fi
    fi
    export KOMPASS_TEST_KEYCLOAK="$keycloak_home"
}

_fetch_keycloak() {
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
        "-Dartifact=org.keycloak:keycloak-quarkus-dist:$_keycloak_version:zip" "-DoutputDirectory=$keycloak_part" &&
        echo "$_keycloak_sum  $keycloak_part/keycloak-quarkus-dist-$_keycloak_version.zip" | sha256sum --check --quiet &&
        "$venv_python" -m zipfile -e "$keycloak_part/keycloak-quarkus-dist-$_keycloak_version.zip" "$keycloak_part" &&
        chmod +x "$keycloak_part/keycloak-$_keycloak_version/bin/kc.sh"
}
