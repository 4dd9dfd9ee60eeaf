# What `begin` and `renew` do alike. Sourced by both, in this folder.
# shellcheck shell=bash

own=${0##*/}
vagt=$(command -v vagt || echo ../../target/release/vagt)

# The programs that the script needs.
need() {
    for program in "$@"; do
        command -v "$program" >/dev/null || { echo "$own: $program is missing" >&2; exit 1; }
    done
}

# `vagt ca init` or `issue`, for the names and addresses given and for `mosquitto`, by which the service reaches the broker.
authority() {
    local command=$1 names=()
    shift
    for host in "$@"; do [ "$host" = mosquitto ] || names+=(--name "$host"); done
    config=$(mktemp --suffix .toml)
    trap 'rm -f "$config"' EXIT
    printf 'data = "%s"\n' "$PWD" > "$config"
    "$vagt" ca "$command" "${names[@]}" --name mosquitto --config "$config"
}

# Each file to the account of the container that reads it.
give() {
    if [ "$(id -u)" = 0 ]; then
        chown -R 10001:10001 authority secret/store_password
        chown 1883:1883 secret/broker_*.crt secret/broker_*.key secret/broker_accounts
        chown 10001:10001 secret/broker_password
        chown 472:0 secret/grafana_password secret/reader_password
    else
        echo "$own: not root: see to it that the containers' accounts can read their files (vagt 10001, mosquitto 1883, grafana 472)" >&2
    fi
}
