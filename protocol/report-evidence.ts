import type { Exit, Report } from './generated/types.ts';
import { bytesOf } from './encoding.ts';

/**
 * The bytes an agent signs with its Ed25519 key over a report, so that the report stays evidence after the session is gone.
 * Line by line: a label, the installation, the agent, the job, the attempt, the exit, then one line per file. No field can
 * hold a line break or a tab, so two different reports never give the same bytes.
 */
export function reportEvidence(
  installation: string,
  agent: string,
  report: Pick<Report, 'job' | 'attempt' | 'exit' | 'manifest'>,
): Uint8Array {
  const files = report.manifest.map((file) => `${file.name}\t${file.size}\t${file.sha256}\n`);
  const head = [
    'co-pilot-report-1',
    installation,
    agent,
    report.job,
    String(report.attempt),
    exitLine(report.exit),
  ];
  return bytesOf(`${head.join('\n')}\n${files.join('')}`);
}

function exitLine(exit: Exit): string {
  switch (exit.kind) {
    case 'exited':
      return `exited\t${exit.code}`;
    case 'signalled':
      return `signalled\t${exit.signal}`;
    case 'limit':
      return `limit\t${exit.limit}`;
    case 'failed':
      return `failed\t${JSON.stringify(exit.reason)}`;
  }
}
