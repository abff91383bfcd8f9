#!/usr/bin/env bash
# Two processes on this machine train together, one core each.
#
#     examples/launch/two_processes.sh --recipe=byol_digits --data=digits --workdir=runs/byol
#
# Words are those of `burn-tf pretrain`. WORKERS=N starts N processes, PYTHON=... another interpreter.
# What worker i prints goes through with "[i] " before each line. Ctrl-C stops all, saved.
set -euo pipefail

workers=${WORKERS:-2}
python=${PYTHON:-python}

ports=$("$python" - "$workers" <<'PROGRAM'
import socket, sys

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(one.getsockname()[1] for one in sockets))
PROGRAM
)
addresses=$(printf '"127.0.0.1:%s", ' $ports)

started=()
for ((i = 0; i < workers; i++)); do
  TF_CONFIG="{\"cluster\": {\"worker\": [${addresses%, }]}, \"task\": {\"type\": \"worker\", \"index\": $i}}" \
    "$python" -m burn_tf pretrain --strategy=multiworker "$@" \
    > >(sed -u "s/^/[$i] /") 2> >(sed -u "s/^/[$i] /" >&2) &
  started+=("$!")
done
trap 'kill -TERM "${started[@]}" 2>/dev/null' INT TERM

# All end alike; the first exit code that is not 0 is this script's.
code=0
for process in "${started[@]}"; do
  # A signal to this script ends `wait` before the process has ended.
  while true; do
    ended=0
    wait "$process" || ended=$?
    kill -0 "$process" 2>/dev/null || break
  done
  if [ "$code" = 0 ]; then code=$ended; fi
done
exit "$code"
