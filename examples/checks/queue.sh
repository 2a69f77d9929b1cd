#!/bin/sh
# Says how long the queue of a broker is, in the way of Nagios plugins: 0 is well,
# 1 a warning, 2 critical. The token is in QUEUE_TOKEN.
while [ $# -gt 1 ]; do
	case $1 in
	--host) host=$2 ;;
	--port) port=$2 ;;
	--most) most=$2 ;;
	esac
	shift 2
done
length=$(curl -fsS -m "$RHUMB_TIMEOUT" -H "Authorization: Bearer $QUEUE_TOKEN" "http://$host:$port/length") || exit 2
echo "$length waiting"
[ "$length" -le "$most" ] || exit 1
