#!/bin/sh
# A database that listens on no network. Who has its socket, and is the user it runs as or root, comes in without a password.
set -eu
umask 077
if [ ! -e /database/data ]; then
  rm -rf /database/making
  initdb --pgdata /database/making --username co-pilot --auth peer --encoding UTF8 --locale C.UTF-8 > /dev/null
  echo 'create database ledger' | postgres --single -D /database/making postgres > /dev/null
  echo 'local all all peer map=ours' > /database/making/pg_hba.conf
  printf 'ours co-pilot co-pilot\nours root co-pilot\n' > /database/making/pg_ident.conf
  mv /database/making /database/data
fi
exec postgres -D /database/data -c listen_addresses= -c unix_socket_directories=/run/postgresql
