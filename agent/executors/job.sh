# Last in every chain, already without privileges: from here on only what the job was given is left.
# usage: job.sh report|direct VARIABLES DIRECTORY COMMAND...
report=$1
left=$2
cd "$3" || exit 126
shift 3
while [ "$left" -gt 0 ]; do
  eval "pair=\$CO_PILOT_JOB_ENV_$left"
  set -- "$pair" "$@"
  left=$((left - 1))
done
if [ "$report" = report ]; then
  printf 'started\n' >&2
  exec 2>&3 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
fi
exec env -i -- "$@"
