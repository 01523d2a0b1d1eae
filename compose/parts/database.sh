#!/bin/sh
# A database that listens on no network. Whoever has its socket, and is the user it runs as, may come in without a password.
set -eu
umask 077
if [ ! -e /database/data ]; then
  rm -rf /database/making
  initdb --pgdata /database/making --username co-pilot --auth peer --encoding UTF8 --locale C.UTF-8 > /dev/null
  echo 'create database ledger' | postgres --single -D /database/making postgres > /dev/null
  mv /database/making /database/data
fi
exec postgres -D /database/data -c listen_addresses= -c unix_socket_directories=/run/postgresql
