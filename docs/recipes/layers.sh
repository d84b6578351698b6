#!/bin/sh
# Start a stand-in, call it as a client does, and stop it: exits with 0 if every reply was as expected.
set -eu

project='{"name": "Spring", "timezone": "Europe/Lisbon"}'

start() {
    folder=$(mktemp -d)
    : >"$folder/log" # looked into before the shell behind the & may have made it
    standin=
    trap stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    layers-stand-in --ephemeral >"$folder/log" 2>&1 &
    standin=$!
    until url=$(sed -n 's/.*listens on \(http:[^ ,]*\).*/\1/p' "$folder/log") && [ -n "$url" ]; do
        kill -0 "$standin" 2>/dev/null || { cat "$folder/log"; exit 1; }
        sleep 0.1
    done
    curl -fsS "$url/_standin/health" >/dev/null
}

stop() {
    if [ -n "$standin" ]; then kill "$standin" 2>/dev/null && wait "$standin" || :; fi
    rm -rf "$folder"
}

# standin METHOD PATH [CURL OPTION...]; layers, with the organization's key, likewise
standin() { method=$1 path=$2; shift 2; curl -fsS -X "$method" "$url/_standin$path" "$@"; }
layers() { method=$1 path=$2; shift 2; curl -sS -X "$method" "$url/v1$path" -H "X-Api-Key: $key" "$@"; }

field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
expect() { case $2 in *"$1"*) ;; *) echo "No $1 in: $2" >&2; exit 1 ;; esac; }

start

echo "An organization of its own"
made=$(standin POST /organizations)
organization=$(echo "$made" | field organizationId) key=$(echo "$made" | field apiKey)
expect '"items":[]' "$(layers GET /projects)"

echo "A call that is told to wait"
standin POST /faults -o /dev/null -d '{"organizationId": "'"$organization"'", "match": {"operation": "createProject"},
    "times": 1, "answer": {"code": "RATE_LIMITED", "retryAfter": 7}}'
refused=$(layers POST /projects -i -d "$project")
expect "HTTP/1.1 429" "$refused"
expect "Retry-After: 7" "$refused"

echo "A call whose reply is lost, made again and done once"
standin POST /faults -o /dev/null -d '{"organizationId": "'"$organization"'", "match": {"operation": "createProject"},
    "times": 1, "answer": {"loseReplyAfterEffect": true}}'
layers POST /projects -H "Idempotency-Key: spring-1" -d "$project" 2>/dev/null && exit 1
again=$(layers POST /projects -i -H "Idempotency-Key: spring-1" -d "$project")
expect "Idempotent-Replayed: true" "$again"
project_id=$(echo "$again" | field id)

echo "A job that is over when its time is up"
standin PUT /clock -o /dev/null -d '{"organizationId": "'"$organization"'", "mode": "frozen"}'
job=$(layers POST "/projects/$project_id/influencers" -d '{"name": "Rui"}' | field jobId)
expect '"status":"running"' "$(layers GET "/jobs/$job")"
standin PUT /clock -o /dev/null -d '{"organizationId": "'"$organization"'", "advance": "PT2S"}'
expect '"status":"completed"' "$(layers GET "/jobs/$job")"

echo "All as it should be."
