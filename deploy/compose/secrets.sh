#!/bin/sh
# Makes the passwords that docker-compose.yml asks for, each in a file of its own; what is there already stays.
# The folder is closed to other users; the files in it are not, because each is seen in its container by a user of that image.
set -eu
folder="$(dirname "$0")/secrets"
mkdir -p -m 0700 "$folder"
umask 0133
for name in mysql_root mysql_crossfade postgres_admin postgres_crossfade redis; do
  [ -s "$folder/$name" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$folder/$name"
done
