#!/bin/sh
# Makes the secrets of compose.yaml, once.
set -eu
cd "$(dirname "$0")"
if [ -e secrets ]; then
	echo "secrets/ is there already: nothing was changed" >&2
	exit 1
fi
umask 077
mkdir -p secrets runs
openssl rand -hex 24 >secrets/database_password
openssl rand -hex 24 >secrets/greenwave_token
printf '{"host": "database", "port": 5432, "database": "greenwave", "user": "greenwave", "password": "%s", "sslmode": "disable"}\n' \
	"$(cat secrets/database_password)" >secrets/database_config.json
# The container's user (10001) must read the files; on this machine the folder keeps
# others from them.
chmod 700 secrets && chmod 644 secrets/* && chmod 755 runs
echo "secrets/ is made. The token for the dashboard is in secrets/greenwave_token"
