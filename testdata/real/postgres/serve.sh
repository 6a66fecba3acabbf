#!/bin/sh
# Makes a cluster with what init.sql says, then asks it the question that it was given, or serves.
set -eu
bin=/usr/lib/postgresql/15/bin
data=${PGDATA:-/tmp/cluster}
$bin/initdb -D "$data" -A trust >/dev/null
$bin/pg_ctl -D "$data" -o "-k /tmp -c listen_addresses=" -w start >/dev/null
psql -h /tmp -q -f /docker-entrypoint-initdb.d/init.sql postgres
if [ $# -gt 0 ]; then
  psql -h /tmp -At -c "$1" postgres
  exec $bin/pg_ctl -D "$data" -m fast stop >/dev/null
fi
$bin/pg_ctl -D "$data" -m fast stop >/dev/null
exec $bin/postgres -D "$data"
