#!/bin/bash
set -eo pipefail
if [ "$1" = app ]; then
	if [ "$(id -u)" = 0 ]; then
		exec gosu app "$BASH_SOURCE" "$@"
	fi
	for script in /docker-entrypoint-init.d/*.sh; do
		[ -e "$script" ] && . "$script"
	done
	echo "app as $(id -un)"
	exit 0
fi
exec "$@"
