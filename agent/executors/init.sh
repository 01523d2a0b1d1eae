# The first process inside bwrap. bwrap's own would end with the job and leave its descendants a moment longer; this one
# is waited for by bwrap, and the kernel lets it end only after everything else in its namespace.
# usage: init.sh root|user COMMAND...
if [ "$1" = root ]; then
  # bwrap may cover parts of /proc that another uid cannot write anyway; an agent in here could then mount no /proc for its jobs.
  for path in /proc/sys /proc/sysrq-trigger /proc/irq /proc/bus; do
    umount "$path" 2>/dev/null || :
  done
fi
shift
"$@"
exit $?
