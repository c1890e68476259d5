#!/bin/bash
# Stands in for the entry point of the official postgres image, as far as Crossfade uses it: POSTGRES_PASSWORD(_FILE),
# POSTGRES_HOST_AUTH_METHOD, POSTGRES_DB, and the .sql files of /docker-entrypoint-initdb.d.
set -euo pipefail
data=/var/lib/postgresql/data
if [ "$(id -u)" = 0 ]; then
  chown postgres: "$data"
  chmod 0700 "$data"
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
case "${1-}" in '') set -- postgres ;; -*) set -- postgres "$@" ;; postgres) ;; *) exec "$@" ;; esac

if [ ! -s "$data/PG_VERSION" ]; then
  password=${POSTGRES_PASSWORD-}
  [ -z "${POSTGRES_PASSWORD_FILE-}" ] || password=$(cat "$POSTGRES_PASSWORD_FILE")
  method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  [ -n "$password" ] || [ "$method" = trust ] || { echo 'stand-in: no POSTGRES_PASSWORD and no trust' >&2; exit 1; }
  initdb -D "$data" -U postgres -A trust -E UTF8 --no-locale --no-instructions
  pg_ctl -D "$data" -o "-c listen_addresses=" -w start
  [ -z "$password" ] || printf "ALTER ROLE postgres PASSWORD '%s'" "$password" | psql -v ON_ERROR_STOP=1 -q -U postgres
  [ "${POSTGRES_DB:-postgres}" = postgres ] || createdb -U postgres "$POSTGRES_DB"
  for script in /docker-entrypoint-initdb.d/*.sql; do
    [ -e "$script" ] || continue
    psql -v ON_ERROR_STOP=1 -q -U postgres -d "${POSTGRES_DB:-postgres}" -f "$script"
  done
  pg_ctl -D "$data" -m fast -w stop
  echo "host all all all $method" >>"$data/pg_hba.conf"
fi
exec "$@" -D "$data" -c 'listen_addresses=*'
