# Sourced by the scripts beside it: `ensure_verapdf` puts veraPDF, which tells whether a PDF is one for the archive,
# below ~/.cache/kompass and sets KOMPASS_TEST_VERAPDF to the folder of its jars, or takes the folder that this variable
# names already. They come from wherever this machine's Maven gets artifacts. Returns 1 and says why when they can't be had.

_verapdf_version=1.28.2
_verapdf_sum=43d1bbb66d83c7b038394419d37d0664f8634a3abc3bbbb8ad85302f6f398e17

ensure_verapdf() {
    verapdf_cache=${XDG_CACHE_HOME:-$HOME/.cache}/kompass
    verapdf_home=${KOMPASS_TEST_VERAPDF:-$verapdf_cache/verapdf-$_verapdf_version}
    if [ ! -d "$verapdf_home" ]; then
        command -v mvn >/dev/null 2>&1 || {
            echo "veraPDF is fetched with Maven, which is missing (Debian: apt install maven)."
            return 1
        }
        echo "Fetching veraPDF $_verapdf_version with Maven"
        verapdf_part=$verapdf_cache/verapdf-part.$$
        mkdir -p "$verapdf_part"
        _fetch_verapdf && mv "$verapdf_part/jars" "$verapdf_home"
        verapdf_status=$?
        rm -rf "$verapdf_part"
        if [ $verapdf_status -ne 0 ]; then
            echo "veraPDF could not be fetched; see the message above."
            return 1
        fi
    fi
    export KOMPASS_TEST_VERAPDF="$verapdf_home"
}

_fetch_verapdf() {
    cat >"$verapdf_part/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kompass</groupId><artifactId>verapdf</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies><dependency>
    <groupId>org.verapdf.apps</groupId><artifactId>greenfield-apps</artifactId><version>$_verapdf_version</version>
  </dependency></dependencies>
</project>
POM
    mvn -q -B -f "$verapdf_part/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DincludeScope=runtime "-DoutputDirectory=$verapdf_part/jars" || return 1
    [ "$(cd "$verapdf_part/jars" && LC_ALL=C && sha256sum -- *.jar | sha256sum)" = "$_verapdf_sum  -" ] || {
        echo "The jars that Maven fetched are not those of veraPDF $_verapdf_version."
        return 1
    }
}
