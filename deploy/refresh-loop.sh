#!/bin/sh
# compose.yaml's refresh job: brings the store to what the catalogue says, tells Redis, waits, again.
# A refresh that fails leaves what is live, shows in the metrics file, and is tried at the next turn.
#   REFRESH_SECONDS   between two beginnings of the wait; ONCE=1 ends after one turn
#   STORE, SHOP       folders; REDIS_URL: empty for none
set -u
STORE=${STORE:-/store} SHOP=${SHOP:-/shop}
trap 'exit 0' TERM INT

turn() {
    ellm refresh --bundle "$SHOP/bundle" --items "$SHOP/items.parquet" --store "$STORE" \
        --metrics-file "$STORE/metrics/refresh.prom" || return
    test -z "${REDIS_URL:-}" \
        || ellm redis load --redis "$REDIS_URL" --store "$STORE" --announce --prune --live
}

while :; do
    turn
    outcome=$?
    test -z "${ONCE:-}" || exit "$outcome"
    sleep "${REFRESH_SECONDS:-3600}" & # a signal ends a wait in the background, not one in front
    wait $!
done
