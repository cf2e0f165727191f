#!/bin/sh
# Run once, by the image's own start, while the volume is empty: a login and a database for each who needs one.
# psql reads the passwords itself: on its command line everybody could.
set -eu
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set secrets="${KOMPASS_SECRETS:-/run/secrets}" <<'SQL'
\set ask 'cat ' :secrets '/journal_password'
\set journal `:ask`
\set ask 'cat ' :secrets '/readstore_password'
\set readstore `:ask`
\set ask 'cat ' :secrets '/keycloak_db_password'
\set keycloak `:ask`
CREATE ROLE journal LOGIN PASSWORD :'journal';
CREATE ROLE kompass_sink LOGIN CREATEROLE PASSWORD :'readstore';
CREATE ROLE keycloak LOGIN PASSWORD :'keycloak';
CREATE DATABASE journal OWNER journal;
CREATE DATABASE readstore OWNER kompass_sink;
CREATE DATABASE keycloak OWNER keycloak;
REVOKE ALL ON DATABASE journal, readstore, keycloak, postgres, template1 FROM PUBLIC;
\connect readstore
REVOKE ALL ON FUNCTION lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea) FROM PUBLIC;
-- People get logins for their tools here; what each may read is decided within.
GRANT CONNECT ON DATABASE readstore TO PUBLIC;
SQL
