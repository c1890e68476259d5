#!/bin/bash
# Stands in for the entry points of the official mysql and mariadb images, as far as Crossfade uses them: MYSQL_… or MARIADB_…
# ROOT_PASSWORD(_FILE), ALLOW_EMPTY_(ROOT_)PASSWORD, USER, PASSWORD(_FILE), and the .sql files of /docker-entrypoint-initdb.d.
set -euo pipefail
flavor=$(cat /etc/stand-in)
data=/var/lib/mysql
socket=/run/mysqld/mysqld.sock
mkdir -p /run/mysqld
secret() {
  local file="${flavor}_$1_FILE" plain="${flavor}_$1"
  if [ -n "${!file-}" ]; then cat "${!file}"; else printf %s "${!plain-}"; fi
}
ask() { MYSQL_PWD="$root_now" sql --no-defaults --user=root --socket="$socket" "$@"; }

[ "${1-}" = server ] && shift
case "${1-}" in '' | -*) ;; *) exec "$@" ;; esac

if [ ! -d "$data/mysql" ]; then
  root_password=$(secret ROOT_PASSWORD)
  allow_empty="${MYSQL_ALLOW_EMPTY_PASSWORD-}${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD-}"
  [ -n "$root_password$allow_empty" ] || { echo "stand-in: no ${flavor}_ROOT_PASSWORD and no leave to do without" >&2; exit 1; }
  initialise "$data"
  server --datadir="$data" --socket="$socket" --skip-networking "$@" &
  pid=$!
  root_now=
  for ((tenths = 0; ; tenths++)); do
    ask -e 'SELECT 1' >/dev/null 2>&1 && break
    kill -0 $pid && [ $tenths -lt 600 ] || { echo 'stand-in: the server for the first scripts does not start' >&2; exit 1; }
    sleep 0.1
  done
  user="${flavor}_USER"
  ask <<SQL
SET sql_log_bin = 0;
CREATE USER 'root'@'%' IDENTIFIED BY '$root_password';
GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;
${!user:+CREATE USER '${!user}'@'%' IDENTIFIED BY '$(secret PASSWORD)';}
ALTER USER 'root'@'localhost' IDENTIFIED BY '$root_password';
SQL
  root_now=$root_password
  for script in /docker-entrypoint-initdb.d/*.sql; do
    [ -e "$script" ] || continue
    ask <"$script"
  done
  kill -TERM $pid
  wait $pid || :
fi
unset MYSQL_PWD
exec server --datadir="$data" --socket="$socket" --port=3306 --bind-address='*' "$@"
