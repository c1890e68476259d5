#!/bin/sh
# Stands in for the entry point of the official node image: an option or an unknown word is for Node, a program is run.
set -eu
case "${1-}" in
  '') exec node ;;
  -*) exec node "$@" ;;
esac
command -v "$1" >/dev/null || exec node "$@"
exec "$@"
