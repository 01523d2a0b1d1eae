/** Files the script and the adapter agree on. */
export const SCRIPT_NAME = 'co-pilot-alien.sh';
export const INPUTS_NAME = 'co-pilot-inputs.tar';
export const OUTPUTS_NAME = 'co-pilot-outputs.tar';
export const STATUS_NAME = 'co-pilot-status';
export const PATTERNS_NAME = 'co-pilot-patterns';

/** As long as a validation may take. */
const VALIDATION_SECONDS = 300;

/**
 * What runs in the virtual machine: the executable with its arguments, the validation after it, and one tar of what matches the patterns.
 * It ends with 0 whatever became of the job, so that the files of a job that failed come back too: what became of it is in a file. Names
 * and arguments are arguments of the script; no shell reads them.
 */
export const JOB_SCRIPT = `#!/bin/sh
# usage: ${SCRIPT_NAME} EXECUTABLE VALIDATION|- [ARGUMENT...]
executable=$1
validation=$2
shift 2
tar -xf ${INPUTS_NAME} || exit 71
rm -f ${INPUTS_NAME}
"./$executable" "$@" >stdout 2>stderr </dev/null
code=$?
times >resources 2>&1
verdict=none
if [ "$code" -eq 0 ] && [ "$validation" != - ]; then
  timeout -k 10 ${VALIDATION_SECONDS} "./$validation" >.alienValidation.trace 2>&1 </dev/null
  verdict=$?
  [ "$verdict" -eq 0 ] && : >.validated
fi
{
  printf 'exit=%s\\nvalidation=%s\\n' "$code" "$verdict"
  if [ -f .alienValidation.trace ]; then head -c 2000 .alienValidation.trace; fi
} >${STATUS_NAME}
set --
while IFS= read -r pattern; do
  # The adapter lets no pattern pass that has a space.
  for file in $pattern; do
    if [ -f "$file" ] && [ ! -h "$file" ]; then
      for known in "$@"; do
        [ "$known" = "$file" ] && continue 2
      done
      set -- "$@" "$file"
    fi
  done
done <${PATTERNS_NAME}
if [ $# -gt 0 ]; then
  tar -cf ${OUTPUTS_NAME} -- "$@" || exit 72
else
  : >${OUTPUTS_NAME}
fi
exit 0
`;

/** What the script wrote of the job; undefined where it is not the script's. */
export interface JobStatus {
  readonly exit: number;
  /** Undefined where nothing was validated. */
  readonly validation: number | undefined;
  /** The first 2000 bytes that the validation wrote. */
  readonly trace: string;
}

export function jobStatusIn(text: string): JobStatus | undefined {
  const [, exit, validation = '', trace = ''] =
    /^exit=([0-9]{1,3})\nvalidation=(none|[0-9]{1,3})\n([^]{0,4000})/.exec(text) ?? [];
  if (exit === undefined) return undefined;
  return {
    exit: Number(exit),
    validation: validation === 'none' ? undefined : Number(validation),
    trace: trace.replace(/[^\n\t -~]/g, '?'),
  };
}
