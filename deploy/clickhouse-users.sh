# Runs clickhouse-users.sql on the ClickHouse of compose.yaml: each user gets the password in its address, /run/secrets/clickhouse_ROLE.
set -eu
SECRETS=${SECRETS:-/run/secrets}

hash_of() {
    password=$(sed -nE 's|^https?://firstcall_'"$1"':([[:alnum:]]+)@.*|\1|p' "$SECRETS/clickhouse_$1")
    if [ -z "$password" ]; then
        echo "clickhouse_$1 holds no address of its user; write http://firstcall_$1:PASSWORD@clickhouse:8123/firstcall into it, the password of letters and digits" >&2
        exit 2
    fi
    printf %s "$password" | sha256sum | cut -d ' ' -f 1
}

migrator=$(hash_of migrator)
writer=$(hash_of writer)
reader=$(hash_of reader)
exec clickhouse-client --host clickhouse --multiquery \
    --param_migrator_hash="$migrator" --param_writer_hash="$writer" --param_reader_hash="$reader" < "$(dirname "$0")/clickhouse-users.sql"
