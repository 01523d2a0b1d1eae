/** Prints that a double serves, and ends it on SIGTERM or when standard input ends. */
export function serveUntilEnded(ready: object, stop: () => Promise<void>): void {
  process.stdout.write(`${JSON.stringify({ event: 'ready', ...ready })}\n`);
  let isEnding = false;
  const end = (): void => {
    if (isEnding) return;
    isEnding = true;
    void stop().then(() => process.stdin.destroy());
  };
  process.once('SIGTERM', end);
  process.stdin.once('end', end);
  process.stdin.resume();
}

export const SIM_LFN = '/alice/cern.ch/user/v/volunteer/bin/sim.sh';

export const SIM_SCRIPT =
  '#!/bin/sh\necho "event $1"\nawk "BEGIN { srand($1); for (i = 0; i < 32; i++) print rand() }" >events.txt\n';

/** The description of one job of the campaign. */
export function simJdl(number: number): string {
  return [
    'Executable = "sim.sh";',
    `Arguments = "${number}";`,
    `OutputDir = "/alice/cern.ch/user/v/volunteer/out/${number}";`,
    'OutputArchive = {"results.zip:events.txt,stdout,stderr@disk=1"};',
    'TTL = 3600;',
  ].join('\n');
}
