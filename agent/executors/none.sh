#!/bin/sh
# No isolation: limits the shell knows, and an end of the process group when the agent is gone. Needs nothing but a POSIX shell.
# usage: none.sh PARENT_PID OPEN_FILES BLOCKS CPU_SECONDS|- COMMAND...
set -eu
parent=$1
ulimit -c 0
ulimit -n "$2"
ulimit -f "$3"
[ "$4" = - ] || ulimit -t "$4"
shift 4

# A shell gives background commands an empty standard input unless told otherwise.
exec 9<&0
(
  exec </dev/null >/dev/null 2>&1 3>&- 9<&-
  while kill -0 "$parent"; do sleep 1; done
  kill -s KILL 0
) &
watcher=$!
"$@" <&9 9<&- &
job=$!
set +e
wait "$job"
status=$?
kill -s KILL "$watcher" 2>/dev/null
exit "$status"
