#!/usr/bin/env bash
# A second machine's worth of isolation: every node has a network namespace, an address and a cable of its own.
#
#   run.sh MESH30K NETNS_HELPER      (both are paths of binaries; needs root and iproute2)
#
#   nodes 1, 2 and 3   find each other by the bootstrap address of node 1 alone and certify blocks
#   node 4             joins hundreds of blocks later and begins with a certified snapshot
#   node 3             is cut off while blocks go on, returns and catches up
#
# Addresses exist only in the namespaces made here. All waiting is done by the helper, with deadlines.
set -euo pipefail

mesh30k=$1
helper=$2
api=http://127.0.0.1:7400
tag=mesh30k-$$
switch=$tag-switch
work=$(mktemp -d)
pids=()

say() { printf 'netns: %s\n' "$*"; }
die() { say "$*"; exit 1; }
in_node() { ip netns exec "$tag-$1" "${@:2}"; }

cleanup() {
    local status=$? pid number
    trap - EXIT INT TERM
    { for pid in "${pids[@]}"; do kill -KILL "$pid" || true; done; wait || true; } 2>/dev/null
    if [ "$status" -ne 0 ]; then
        for number in 1 2 3 4; do
            [ -f "$work/node-$number/log" ] || continue
            say "node $number, the end of its log:"
            tail -n 25 "$work/node-$number/log"
        done
    fi
    for number in 1 2 3 4; do ip netns del "$tag-$number" 2>/dev/null || true; done
    ip netns del "$switch" 2>/dev/null || true
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ip netns add "$switch"
ip -n "$switch" link add bridge type bridge
ip -n "$switch" link set bridge up
for number in 1 2 3 4; do
    ip netns add "$tag-$number"
    ip -n "$tag-$number" link set lo up
    ip -n "$switch" link add "port-$number" type veth peer name cable netns "$tag-$number"
    ip -n "$switch" link set "port-$number" master bridge up
    ip -n "$tag-$number" address add "10.30.0.$number/24" dev cable
    ip -n "$tag-$number" link set cable up
done
"$helper" layout "$work"

start() {
    ip netns exec "$tag-$1" "$mesh30k" node run --config "$work/node-$1/config.toml" >"$work/node-$1/log" 2>&1 &
    pids+=("$!")
}

# level NUMBER HEIGHT SECONDS: waits until the node has that block; its id goes to standard output.
level() { in_node "$1" "$helper" level "$api" "$2" "$3"; }

# same NUMBER HEIGHT SECONDS: the node's block at that height is node 1's.
same() {
    local own first
    own=$(level "$1" "$2" "$3")
    first=$(level 1 "$2" 10)
    [ "$own" = "$first" ] || die "block $2 of node $1 is $own, of node 1 it is $first"
}

for number in 1 2 3; do start "$number"; done
for number in 1 2 3; do level "$number" 1 90 >/dev/null; done
say "nodes 1, 2 and 3 found each other by one bootstrap address"

height=$(in_node 1 "$helper" pay "$api" 300 180)
start 4
# A node shows no block that lies before its snapshot, so one more block is made to be compared.
level 4 "$height" 90 >/dev/null
grep -q 'state synced from a certified snapshot' "$work/node-4/log" || die "node 4 did not begin with a snapshot"
height=$(in_node 1 "$helper" pay "$api" 1 30)
same 4 "$height" 30
say "node 4 joined at block $height by a certified snapshot"

cut_at=$(in_node 3 "$helper" height "$api")
ip -n "$switch" link set port-3 down
height=$(in_node 1 "$helper" pay "$api" 20 60)
stood_at=$(in_node 3 "$helper" height "$api")
[ "$stood_at" -lt "$height" ] || die "node 3 was cut off at block $cut_at and still got to $stood_at of $height"
same 2 "$height" 30
ip -n "$switch" link set port-3 up
same 3 "$height" 90
say "node 3 was cut off at block $stood_at, the others went on to $height, it returned and caught up"
