/** The name under which the wrapper is an input of a job. */
export const WRAPPER_NAME = 'co-pilot-payload.sh';

/**
 * Runs a payload and leaves its log, as PanDA wants one from each job: `co-pilot-payload.sh LOG PROGRAM ARGUMENTS…`. What the payload
 * prints is in the log, and the end of it goes on to the agent. It ends with the payload's exit code.
 */
export const PAYLOAD_WRAPPER = `#!/bin/sh
log=$1
shift
folder=tarball_PandaJob
mkdir "$folder" || exit 126
"$@" >"$folder/payload.stdout" 2>"$folder/payload.stderr" </dev/null
code=$?
tail -c 1024 "$folder/payload.stdout"
tail -c 1024 "$folder/payload.stderr" >&2
if [ -f jobReport.json ]; then cp jobReport.json "$folder/"; fi
tar -czf "$log" "$folder" && rm -rf "$folder"
exit "$code"
`;
