#!/bin/sh
# Stands where gWMS-CMSRunAnalysis.sh and cmscp.sh stand on the grid: it lays out what the wrapper reads, runs the wrapper, and gives the
# outputs the names that CRAB knows. It moves nothing over the network: the outputs are files of the job.
set -u
umask 077

fail() {
  echo "crab-job: $1" >&2
  exit "$2"
}

printf '%s' "$COPILOT_INPUT_ARGS" > input_args.json
printf '%s' "$COPILOT_JOB_AD" > .job.ad
_CONDOR_JOB_AD="$PWD/.job.ad"
export _CONDOR_JOB_AD
HOME=${HOME:-$PWD}
export HOME

# A made-up input file without lumi sections, in the two archives that the wrapper looks into.
printf '["MCFakeFile"]' > "job_input_file_list_$CRAB_Id.txt"
printf '{}' > "job_lumis_$CRAB_Id.json"
tar czf input_files.tar.gz "job_input_file_list_$CRAB_Id.txt" || fail "tar failed" 1
tar czf run_and_lumis.tar.gz "job_lumis_$CRAB_Id.json" || fail "tar failed" 1
rm -f "job_input_file_list_$CRAB_Id.txt" "job_lumis_$CRAB_Id.json"

outputs=$COPILOT_OUTPUT_FILES
log=$COPILOT_LOG_FILE
unset COPILOT_INPUT_ARGS COPILOT_JOB_AD COPILOT_OUTPUT_FILES COPILOT_LOG_FILE

tar xzf CMSRunAnalysis.tar.gz || fail 'the wrapper cannot be unpacked' 1
[ -f CMSRunAnalysis.sh ] || fail 'the wrapper has no CMSRunAnalysis.sh' 1

rm -f jobReport.json
sh ./CMSRunAnalysis.sh "$@"
status=$?
echo "$status" > wrapper-status.txt

# As on the grid: files move only where all went well.
if [ "$status" -eq 0 ]; then
  for pair in $outputs; do
    from=${pair%%=*}
    to=${pair#*=}
    [ -f "$from" ] && mv "$from" "$to"
  done
fi
if [ -n "$log" ]; then
  set --
  for file in cmsRun-stdout.log FrameworkJobReport.xml jobReport.json; do
    [ -f "$file" ] && set -- "$@" "$file"
  done
  [ "$#" -gt 0 ] && tar czf "$log" "$@"
fi

# The report says what became of the job, whatever the code: without one the code has to do.
if [ -s jobReport.json ]; then exit 0; fi
if [ "$status" -eq 0 ]; then exit 1; fi
exit "$status"
