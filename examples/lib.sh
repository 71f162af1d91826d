# shellcheck shell=sh
# lib.sh - what the examples share; sourced, never run
#
# An example runs in a network and a mount namespace of its own: the machine's links, routes and
# /run/netns stay untouched, and all that was made goes when the script ends, however it ends.

top=$(cd "$(dirname "$0")" && while [ ! -f CMakeLists.txt ] || [ ! -d libpodnet ]; do cd ..; done && pwd)

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
die() { echo "$0: $*" >&2; exit 1; }

# install ROLE... - the Debian packages of these roles that are not there yet
install_packages() {
	missing=
	for role in "$@"; do
		for package in $(sed -n "s/^$role //p" "$top/tests/packages"); do
			[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" = "ii " ] ||
				missing="$missing $package"
		done
	done
	[ -z "$missing" ] && return
	say "installing$missing"
	apt-get update -qq
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# find_netd - $NETD, or a build that is there, or a new one
find_netd() {
	[ -n "${NETD:-}" ] && return
	NETD=$top/build/examples/netd/netd
	export NETD
	[ -x "$NETD" ] && return
	say "building"
	cmake -S "$top" -B "$top/build/examples" -G Ninja -DPODNET_TESTS=OFF >/dev/null
	cmake --build "$top/build/examples" | tail -1
}

# find_kubectl - $KUBECTL, or an installed one, or Debian's, unpacked below build/
find_kubectl() {
	[ "$(id -u)" = 0 ] || return 0      # enter() says why not
	# not the function of that name
	[ -n "${KUBECTL:-}" ] || KUBECTL=$(unset -f kubectl; command -v kubectl) || KUBECTL=$top/build/kubectl/usr/bin/kubectl
	export KUBECTL
	[ -x "$KUBECTL" ] && return
	say "fetching kubectl"
	"$top/tests/lib/unpack" kubernetes-client kubectl "$top/build/kubectl"
	KUBECTL=$top/build/kubectl/usr/bin/kubectl
}

# enter "$@" - run the script again in namespaces of its own: lo up, a /run/netns that hides the host's
enter() {
	[ "$(id -u)" = 0 ] || die "needs root, for namespaces"
	if [ -n "${PODNET_INSIDE:-}" ]; then
		mount -t tmpfs tmpfs /run/netns
		mount --make-shared /run/netns
		open_tun
		ip link set lo up
		return
	fi
	install_packages build show
	find_netd
	mkdir -p /run/netns
	PODNET_INSIDE=$(mktemp -d)
	chmod 755 "$PODNET_INSIDE"      # netd is another user
	export PODNET_INSIDE
	status=0
	unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private "$0" "$@" || status=$?
	rm -rf "$PODNET_INSIDE"
	exit $status
}

# open_tun - /dev/net/tun for everybody, as udev makes it; netd, which is not root, makes TUN devices with it
open_tun() {
	[ "$(stat -c %a /dev/net/tun 2>/dev/null)" != 666 ] || return 0
	mkdir -p /dev/net
	mount -t tmpfs tmpfs /dev/net
	mknod -m 666 /dev/net/tun c 10 200
}

# make_node NAME ADDRESS/LEN... - a node beside others, in namespaces of its own on the bridge "lan"; then use NAME
make_node() {
	mkdir -p "$PODNET_INSIDE/$1"
	chmod 755 "$PODNET_INSIDE/$1"
	mkfifo "$PODNET_INSIDE/$1/begun"
	unshare --net --mount --propagation private sh -ec 'mount -t tmpfs tmpfs /run/netns
		mount --make-shared /run/netns
		ip link set lo up
		echo >"$1"
		exec sleep infinity' node "$PODNET_INSIDE/$1/begun" &
	echo $! >"$PODNET_INSIDE/$1/pid"
	holders="${holders:-} $!"
	read -r _ <"$PODNET_INSIDE/$1/begun"
	ip link show lan >/dev/null 2>&1 || ip link add lan up type bridge
	ip link add "$1" up master lan type veth peer name underlay netns $!
	use "$1"
	shift
	for address in "$@"; do
		$on ip addr add "$address" dev underlay
	done
	$on ip link set underlay up
}

# use NAME - what follows is about this node: start_netd, api, post, await, check, ping_from
use() {
	NODE=$1
	home=$PODNET_INSIDE/$1
	SOCKET=$home/run/netd.sock
	on="nsenter --target $(cat "$home/pid") --net --mount --root --"
}

# start_netd [flags] - a netd for this namespace, or for the node in use; stopped when the script ends
start_netd() {
	home=${home:-$PODNET_INSIDE}
	mkdir -p "$home/run" "$home/state"
	SOCKET=$home/run/netd.sock
	${on:-} "$NETD" --config /dev/null --state-dir "$home/state" --run-dir "$home/run" \
		--node-name "${NODE:-node1}" "$@" 2>"$home/netd.log" &
	netd_pid=$!
	netds="${netds:-} $netd_pid"
	homes="${homes:-} $home"
	trap end EXIT
	tries=0
	until curl -fs --unix-socket "$SOCKET" http://podnet/readyz >/dev/null; do
		tries=$((tries + 1))
		kill -0 $netd_pid 2>/dev/null && [ $tries -lt 200 ] ||
			die "netd does not answer: $(tail -3 "$home/netd.log")"
		sleep 0.05
	done
}

# end - what runs in the background; podnet-fwd outlives netd, and what ends it is a purge
end() {
	# shellcheck disable=SC2086
	kill $netds ${servers:-} 2>/dev/null || :
	for pid in $netds; do
		wait "$pid" 2>/dev/null || :
	done
	for home in $homes; do
		[ -S "$home/run/fwd.sock" ] || continue
		[ ! -f "$home/pid" ] || use "${home##*/}"
		${on:-} "$NETD" --config /dev/null --state-dir "$home/state" --run-dir "$home/run" \
			--purge >/dev/null 2>&1 || :
	done
	# shellcheck disable=SC2086
	kill ${holders:-} 2>/dev/null || :
}

# api METHOD PATH [BODY] - one call; the answer on stdout, failing on a refusal
api() {
	curl -sS --fail-with-body --unix-socket "$SOCKET" -X "$1" ${3:+--json "$3"} "http://podnet$2"
}

# kubectl ARGUMENTS - as the administrator; after start_netd $TLS
TLS="--listen 127.0.0.1:6443 --pki-dir ${PODNET_INSIDE:-}/pki --kubeconfig ${PODNET_INSIDE:-}/admin.kubeconfig
	--token-file ${PODNET_INSIDE:-}/tokens"
kubectl() {
	HOME=$PODNET_INSIDE "$KUBECTL" --kubeconfig "$PODNET_INSIDE/admin.kubeconfig" "$@"
}

# post PATH BODY - show a wish and make it
post() {
	printf 'POST %s\n  %s\n' "$1" "$2"
	api POST "$1" "$2" >"$PODNET_INSIDE/answer" || die "refused: $(cat "$PODNET_INSIDE/answer")"
}

# await PATH JQ - follow the object at PATH (collection/name) until the jq filter is true
await() {
	rm -f "$PODNET_INSIDE/watch"
	mkfifo "$PODNET_INSIDE/watch"
	curl -sN --max-time 10 --unix-socket "$SOCKET" \
		"http://podnet${1%/*}?watch=1&fieldSelector=metadata.name=${1##*/}" >"$PODNET_INSIDE/watch" &
	watcher=$!
	jq --unbuffered -c "select(.object | $2) | 1" <"$PODNET_INSIDE/watch" |
		{ head -n 1; kill $watcher 2>/dev/null; } | grep -q 1 ||
		die "$1 did not become $2: $(api GET "$1")"
}

# check WHAT COMMAND... - one connectivity check of the talk: PASSED or FAILED
failures=0
check() {
	what=$1
	shift
	if ${on:-} "$@" >/dev/null 2>&1; then
		printf '  %-52s PASSED\n' "$what"
	else
		printf '  %-52s FAILED\n' "$what"
		failures=$((failures + 1))
	fi
}

# the talk's check: one packet, one second to answer
ping_from() {   # NAMESPACE|node ADDRESS
	if [ "$1" = node ]; then
		check "node -> $2" ping -c 1 -W 1 "$2"
	else
		check "$1 -> $2" ip netns exec "$1" ping -c 1 -W 1 "$2"
	fi
}

# underlay ADDRESS/LEN - give the node an interface to the outside, as the talk's nodes have one
underlay() {
	ip link add underlay type veth peer name wire
	ip addr add "$1" dev underlay
	ip link set wire up
	ip link set underlay up
}
