import { CoPilotError } from '../../../protocol/errors.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import type { FrameworkHttp } from '../kit/framework-http.ts';
import type { Central, LogLine, MatchAnswer, StatusAnswer } from './central.ts';
import { stateName } from './job-states.ts';
import { callRpc } from './json-rpc.ts';

export interface ClassicCentralOptions {
  readonly clock: Clock;
  readonly broker: FrameworkHttp;
  readonly manager: FrameworkHttp;
  readonly jobInfo: FrameworkHttp;
  /** Takes heartbeats and log lines one by one; without it the manager takes them in bunches. */
  readonly clusterMonitor?: FrameworkHttp;
  readonly user: string;
  /** The host's name, as advertised. */
  readonly host: string;
}

const DONE_STATES = /to (?:SAVED|SAVED_WARN|DONE|DONE_WARN)\b/;

/** The central services of AliEn as they spoke from 2012 to 2016: broker, job manager, job information, by JSON-RPC. */
export function createClassicCentral(options: ClassicCentralOptions): Central {
  const { clock, broker, manager, jobInfo, clusterMonitor, user, host } = options;

  const bunch = async (lines: readonly LogLine[]): Promise<void> => {
    const timestamp = Math.floor(clock.wallMs() / 1000);
    const entries = lines.map(({ job, tag, text }) => ({ jobId: job.id, tag, procinfo: text, timestamp }));
    if ((await callRpc(manager, 'SetProcInfoBunch', [host, entries])) !== 1)
      throw notDone('SetProcInfoBunch');
  };

  return {
    savedState: 'SAVED',
    async match(siteAd, ce) {
      return matchIn(await callRpc(broker, 'getJobAgent', [user, host, siteAd, '']), ce);
    },
    async setStatus(job, { from = '%', to, detail = '' }) {
      const result = await callRpc(manager, 'changeStatusCommand', [
        job.id,
        job.token,
        from,
        to,
        job.ce,
        detail,
        host,
        '',
      ]);
      return statusIn(result);
    },
    async write(lines) {
      if (clusterMonitor === undefined) return bunch(lines);
      for (const { job, tag, text } of lines) {
        if (tag === 'proc') await callRpc(clusterMonitor, 'SetProcInfo', [job.id, text]);
        else await callRpc(clusterMonitor, 'putJobLog', [job.id, tag, text]);
      }
    },
    async offer(siteAd, slots) {
      const result = await callRpc(broker, 'offerAgent', [user, host, siteAd, slots]);
      const count = Number(Array.isArray(result) ? result[0] : result);
      if (!Number.isInteger(count)) throw notDone('offerAgent');
      return Math.max(0, Math.min(count, slots));
    },
    async census(jobs) {
      const result = await callRpc(jobInfo, 'getJobInfo', [user, ...jobs.map(({ id }) => id)]);
      if (typeof result !== 'object' || result === null || Array.isArray(result)) throw notDone('getJobInfo');
      const counts = Object.entries(result).map(
        ([state, count]) => [stateName(state), Number(count)] as const,
      );
      return new Map(counts);
    },
    async isSaved(job, marker) {
      const traces = [
        await callRpc(jobInfo, 'getTrace', [job.id, 'trace']),
        await callRpc(jobInfo, 'getTrace', [job.id]),
      ];
      const [trace, states] = traces.map((text) => (typeof text === 'string' ? text : ''));
      return (trace ?? '').includes(marker) && DONE_STATES.test((states ?? '').split(marker).at(-1) ?? '');
    },
  };
}

function matchIn(result: unknown, ce: string): MatchAnswer {
  const execute =
    typeof result === 'object' && result !== null && 'execute' in result ? result.execute : undefined;
  if (!Array.isArray(execute)) throw notDone('getJobAgent');
  const [first, ...rest] = execute as readonly unknown[];
  const words = rest.filter((word) => typeof word === 'string').map((word) => word.slice(0, 200));
  switch (typeof first === 'number' ? String(first) : first) {
    case '-3':
      return { kind: 'install', packages: words.slice(0, 64) };
    case '-2':
    case '-1':
    case '0':
      return { kind: 'none', why: words[0] ?? 'no job' };
    default:
      return jobIn(first, ce);
  }
}

function jobIn(value: unknown, ce: string): MatchAnswer {
  if (typeof value !== 'object' || value === null) throw notDone('getJobAgent');
  const fields = new Map<string, unknown>(Object.entries(value));
  const number = fields.get('queueid');
  const id = typeof number === 'number' ? String(number) : number;
  const [token, jdl, user] = ['token', 'jdl', 'user'].map((name) => fields.get(name));
  const isJob =
    isText(id, /^[1-9][0-9]{0,18}$/) &&
    isText(token, /^[!-~]{1,256}$/) &&
    isText(jdl, /^[^]{1,1048576}$/) &&
    isText(user, /^[A-Za-z0-9._-]{1,64}$/);
  if (!isJob) throw notDone('getJobAgent');
  return { kind: 'job', job: { id, token, user, ce }, jdl };
}

function isText(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value);
}

/** A list that the service returns may come as the list or, of `(-1, text)`, as the text alone. */
function statusIn(result: unknown): StatusAnswer {
  if (result === 1 || result === '1') return 'ok';
  const text = typeof result === 'string' ? result : textIn(result);
  if (text === undefined) throw notDone('changeStatusCommand');
  return /validating the token/i.test(text) ? 'over' : 'refused';
}

function textIn(result: unknown): string | undefined {
  if (!Array.isArray(result) || Number(result[0]) !== -1) return undefined;
  const [, text] = result as readonly unknown[];
  return typeof text === 'string' ? text : '';
}

function notDone(method: string): CoPilotError {
  return new CoPilotError('UNREACHABLE', `AliEn answers ${method} with something else`);
}
