import { makeArchive } from './archive.ts';

/**
 * Stands in for CMSRunAnalysis.sh and what it starts: reads what the wrapper reads where it reads it, "simulates" the events it is
 * told to, and leaves a report as CMSRunAnalysis.py does. `$CRAB_DOUBLE_EXIT` is the code that it ends with.
 */
const SCRIPT = `#!/bin/bash
exec 2>&1
code=\${CRAB_DOUBLE_EXIT:-0}
say() { sed -n "s/^$1 = //p" "$_CONDOR_JOB_AD" | tr -d '"'; }
id=$(say CRAB_Id)
[ "--jobId=$id" = "$1" ] || { echo "job id $1 is not the ad's $id"; code=50113; }
grep -q '"CRAB_Id":"'"$id"'"' input_args.json || { echo 'no arguments for this job'; code=50113; }
tar xzf run_and_lumis.tar.gz "job_lumis_$id.json" || code=50113
tar xzf input_files.tar.gz "job_input_file_list_$id.txt" || code=50113
tar xmf sandbox.tar.gz || code=10042
first=$(sed 's/.*"firstEvent":"\\([0-9]*\\)".*/\\1/' input_args.json)
last=$(sed 's/.*"lastEvent":"\\([0-9]*\\)".*/\\1/' input_args.json)
events=$((last - first))
echo "simulating $events events from $first on $(say CRAB_JobSW), $SCRAM_ARCH" | tee cmsRun-stdout.log
echo '<FrameworkJobReport></FrameworkJobReport>' > FrameworkJobReport.xml
outputs=
if [ "$code" -eq 0 ]; then
  for pair in $(say CRAB_localOutputFiles | tr -d ','); do
    name=\${pair%%=*}
    i=$first
    while [ "$i" -lt "$last" ]; do echo "event $i"; i=$((i + 1)); done > "$name"
    outputs="$outputs,{\\"pfn\\":\\"$name\\",\\"fileName\\":\\"$name\\",\\"events\\":$events,\\"output_module_class\\":\\"PoolOutputModule\\",\\"runs\\":{\\"1\\":{\\"1\\":$events}}}"
  done
  acronym=OK
else
  acronym=FAILED
fi
cat > jobReport.json <<END
{"exitAcronym":"$acronym","exitCode":$code,"exitMsg":"$acronym","jobExitCode":$code,"executed_site":"$(say JOB_CMSSite)",
 "steps":{"cmsRun":{"errors":[],"output":{"out":[\${outputs#,}]},"performance":{"cpu":{"TotalJobTime":"1.0","TotalJobCPU":"0.5"}}}}}
END
echo "$code" > jobReport.exitCode.txt
exit $((code & 255))
`;

/** `CMSRunAnalysis.tar.gz` for jobs that need neither CMSSW nor Python. */
export function makeWrapper(): Buffer {
  return makeArchive([{ name: 'CMSRunAnalysis.sh', content: SCRIPT, mode: 0o755 }]);
}
