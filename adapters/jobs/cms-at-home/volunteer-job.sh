#!/bin/sh
# Runs a job of CMS@home as the volunteers' client does: in a fresh directory, what it says in two files, all of it in one archive.
set -u
umask 077
mkdir run || exit 1
mv job.sh run/ && cd run || exit 1
chmod 755 job.sh
./job.sh > job.stdout 2> job.stderr
code=$?
echo "exitcode=$code" >> jobdata
cd .. || exit 1
tar czf output.tgz -C run . || exit 1
exit 0
