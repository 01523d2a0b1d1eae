#!/bin/sh
# Root's supervisor of one job under a uid of its own: refuses where that uid could read what must stay hidden, ends
# everything of that uid when the job ends, and also when the agent dies (which arrives here as SIGTERM).
# usage: uid.sh UID [HIDDEN_PATH]... -- COMMAND...
set -eu
uid=$1
shift

as_job() {
  setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"
}

processes() {
  grep -l "^Uid:[[:space:]]*$uid[[:space:]]" /proc/[0-9]*/status 2>/dev/null || :
}

# Both ways, since a job may keep forking and may hide from one of them; bounded, the agent counts what is left.
end_all() {
  tries=100
  while [ "$tries" -gt 0 ] && [ -n "$(processes)" ]; do
    # Sent by the job's uid to all it may signal; by root it would be the whole machine.
    as_job /bin/sh -c '[ "$(id -u)" = "$1" ] && [ "$1" -gt 0 ] && kill -s KILL -- -1' sh "$uid" 2>/dev/null || :
    for entry in $(processes); do
      process=${entry%/status}
      kill -s KILL "${process#/proc/}" 2>/dev/null || :
    done
    tries=$((tries - 1))
  done
}

if [ -n "$(processes)" ]; then
  echo "the uid $uid already has processes" >&2
  exit 1
fi
while [ "$1" != -- ]; do
  if as_job /bin/sh -c '[ -r "$1" ] || [ -w "$1" ] || { [ -d "$1" ] && [ -x "$1" ]; }' sh "$1"; then
    echo "the uid $uid could reach $1" >&2
    exit 1
  fi
  shift
done
shift

trap 'trap "" TERM; end_all; exit 143' TERM
# A shell gives background commands an empty standard input unless told otherwise.
exec 9<&0
as_job "$@" <&9 9<&- &
job=$!
set +e
wait "$job"
status=$?
trap '' TERM
end_all
exit "$status"
