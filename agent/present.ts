import type { AgentEvent } from './loop/events.ts';
import type { Attempt as IsolationAttempt } from './executors/detect-isolation.ts';

/** What happens before there is a loop. */
export type StartEvent =
  | { readonly kind: 'isolation'; readonly method: string }
  | { readonly kind: 'enrolled'; readonly installation: string }
  | { readonly kind: 'ended'; readonly code: number; readonly reason: string };

export type PresentedEvent = AgentEvent | StartEvent;

/** One line for people; undefined for what is said often and seldom asked for. */
export function lineOf(event: PresentedEvent): string | undefined {
  switch (event.kind) {
    case 'isolation':
      return `jobs run in isolation: ${event.method}`;
    case 'enrolled':
      return `enrolled at ${event.installation}`;
    case 'link':
      return event.state === 'up' ? 'connected to the broker' : 'connecting to the broker';
    case 'draining':
      return event.reason === undefined ? 'taking no new work' : `taking no new work: ${plain(event.reason)}`;
    case 'ended':
      return event.reason;
    case 'attempt':
      return `${nameOf(event)} ${event.end}${event.reason === '' ? '' : `: ${plain(event.reason)}`}`;
    case 'slot':
      return slotLine(event);
  }
}

function slotLine(event: Extract<PresentedEvent, { kind: 'slot' }>): string | undefined {
  if (!('job' in event)) {
    return event.reason === undefined
      ? undefined
      : `slot ${event.slot}: ${event.phase} (${plain(event.reason)})`;
  }
  if (event.phase !== 'running' || event.progress > 0) return undefined;
  return `slot ${event.slot}: running ${nameOf(event)}`;
}

function nameOf({ job, attempt }: { readonly job: string; readonly attempt: number }): string {
  return `job ${job.slice(0, 8)} attempt ${attempt}`;
}

/** What the broker wrote goes to a terminal: no control characters. */
function plain(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}

/** What a person can do where no isolation works. */
export function noIsolationText(attempts: readonly IsolationAttempt[], command: string): string {
  return [
    'No way to isolate jobs works here:',
    ...attempts.map(({ method, reason }) => `  ${method}: ${plain(reason)}`),
    'Install bubblewrap:',
    '  sudo apt-get install bubblewrap',
    'or run without isolation:',
    `  ${command}`,
    'which lets every job read what you can read, this agent\u2019s key included, and end your other programs. Do that only where you would run the jobs yourself.',
  ].join('\n');
}

/** The command as it was given, without the secret, with isolation chosen away. */
export function sameCommand(): string {
  const words = process.argv.slice(2).map(shellWord);
  return ['co-pilot', ...words, '--isolation', 'none'].join(' ');
}

function shellWord(word: string): string {
  if (word.includes('cpc1.')) return word.replace(/cpc1\..*/, '$CODE');
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
