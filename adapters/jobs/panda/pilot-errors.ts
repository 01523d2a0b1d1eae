/** Error codes of the PanDA pilot that we report (pilot3, `errorcodes.py`), with the sentence that goes with each. */
export const PILOT_ERRORS = {
  noLocalSpace: { code: 1098, text: 'Not enough local space' },
  stageInFailed: { code: 1099, text: 'Failed to stage in file' },
  noStorage: { code: 1133, text: 'No storage for the output' },
  stageOutFailed: { code: 1137, text: 'Failed to stage out file' },
  killedByServer: { code: 1144, text: 'This job was killed by panda server' },
  transformationFailed: { code: 1149, text: 'Transform could not be downloaded' },
  missingOutput: { code: 1165, text: 'Local output file is missing' },
  inputChecksum: { code: 1171, text: 'Input file has a wrong checksum' },
  outputChecksum: { code: 1172, text: 'Output file has a wrong checksum' },
  emptyOutput: { code: 1191, text: 'Zero-sized output file' },
  terminated: { code: 1201, text: 'Job killed by signal: SIGTERM' },
  outOfMemory: { code: 1212, text: 'Payload ran out of memory' },
  outOfTime: { code: 1213, text: 'Reached maximum batch system time limit' },
  payloadFailed: { code: 1305, text: 'Failed to execute payload' },
  agentLost: { code: 1379, text: 'Job was preempted' },
} as const satisfies Readonly<Record<string, PilotError>>;

export interface PilotError {
  readonly code: number;
  readonly text: string;
}
