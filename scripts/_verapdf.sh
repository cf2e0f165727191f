# Sourced after _maven.sh: `ensure_verapdf` puts veraPDF, which tells whether a PDF is one for the archive, below
# ~/.cache/kompass and sets KOMPASS_TEST_VERAPDF to the folder of its jars, or takes the folder that this variable
# names already. Returns 1 and says why when it can't be had.

_verapdf_version=1.28.2
_verapdf_sum=43d1bbb66d83c7b038394419d37d0664f8634a3abc3bbbb8ad85302f6f398e17

ensure_verapdf() {
    verapdf_home=${KOMPASS_TEST_VERAPDF:-$(maven_cache)/verapdf-$_verapdf_version}
    ensure_from_maven "veraPDF $_verapdf_version" "$verapdf_home" _fetch_verapdf || return 1
    export KOMPASS_TEST_VERAPDF="$verapdf_home"
}

_fetch_verapdf() {
    cat >"$1/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kompass</groupId><artifactId>verapdf</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies><dependency>
    <groupId>org.verapdf.apps</groupId><artifactId>greenfield-apps</artifactId><version>$_verapdf_version</version>
  </dependency></dependencies>
</project>
POM
    maven_dependency copy-dependencies -f "$1/pom.xml" -DincludeScope=runtime "-DoutputDirectory=$1/whole" || return 1
    [ "$(cd "$1/whole" && LC_ALL=C && sha256sum -- *.jar | sha256sum)" = "$_verapdf_sum  -" ] || {
        echo "The jars that Maven fetched are not those of veraPDF $_verapdf_version."
        return 1
    }
}
