# Sourced by the scripts beside it: `ensure_from_maven TITLE FOLDER FETCH` makes FOLDER, unless it is there, by the
# function FETCH. That gets an empty folder, and leaves in it what FOLDER shall be, as `whole`: FOLDER is there wholly or
# not at all. Artifacts come from wherever this machine's Maven gets them. Returns 1 and says why when they can't be had.

maven_cache() {
    echo "${XDG_CACHE_HOME:-$HOME/.cache}/kompass"
}

ensure_from_maven() {
    [ -d "$2" ] && return
    command -v mvn >/dev/null 2>&1 || {
        echo "$1 is fetched with Maven, which is missing (Debian: apt install maven)."
        return 1
    }
    echo "Fetching $1 with Maven"
    maven_part=$(maven_cache)/part.$$
    mkdir -p "$maven_part"
    "$3" "$maven_part" && mv "$maven_part/whole" "$2"
    maven_status=$?
    rm -rf "$maven_part"
    [ $maven_status -eq 0 ] || echo "$1 could not be fetched; see the message above."
    return $maven_status
}

# GOAL and options of Maven's plugin for dependencies.
maven_dependency() {
    maven_goal=$1
    shift
    mvn -q -B "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:$maven_goal" "$@"
}
