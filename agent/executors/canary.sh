# A job that tries what no job may do; ends well only where all of it failed and a job's own rights work.
# usage: canary.sh SECRET_FILE WORK_DIRECTORY METHOD NEEDED_PATH...
secret=$1
work=$2
method=$3
shift 3

fail() {
  echo "$1" >&2
  exit 1
}

cat "$secret" >/dev/null 2>&1 && fail 'a private file of the agent can be read'
[ "$PWD" = "$work" ] || fail 'the work directory is not at its place'
(: >canary-wrote) || fail 'the work directory cannot be written'
(: >/dev/null) || fail '/dev/null does not work'
for path in "$@"; do
  [ -r "$path" ] || fail "a path the job needs cannot be read: $path"
done
while read -r field value _; do
  case ${field%:}=$value in
  NoNewPrivs=0) fail 'the job could gain privileges' ;;
  CapEff=*[!0]* | CapPrm=*[!0]* | CapBnd=*[!0]*) fail "the job has capabilities: $field $value" ;;
  esac
done </proc/self/status || fail '/proc does not work'
if [ "$method" != uid ]; then
  (: >/etc/canary) 2>/dev/null && fail '/etc can be written'
  unshare --user true 2>/dev/null && fail 'the job could make a user namespace'
fi
exit 0
