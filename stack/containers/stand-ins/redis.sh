#!/bin/sh
# Stands in for the entry point of the official redis image: an option is for the server, and root becomes redis.
set -eu
case "${1-}" in '' | -*) set -- redis-server "$@" ;; esac
cd /data
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  chown redis: /data
  exec setpriv --reuid=redis --regid=redis --init-groups "$@"
fi
exec "$@"
