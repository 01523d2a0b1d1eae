import type { JobRow } from '../core/state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { Capability, Description, File, Grant, Lease, Output } from '../../protocol/generated/types.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import type { AnswerBody, AskBody } from '../../protocol/session/trusted-link.ts';
import { signGrant, thumbprint } from '../../protocol/tokens.ts';
import type { Caller } from './agent-sessions.ts';
import type { AttemptsUnderWay } from './attempts-under-way.ts';
import type { BrokerConfiguration, QueueConfiguration } from './configuration.ts';
import { parseDescription } from './description.ts';
import type { Troubles } from './troubles.ts';
import { unexpectedAnswer } from './unexpected-answer.ts';

export interface LeaseAnswerOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerConfiguration;
  readonly ledger: Ledger;
  readonly underWay: AttemptsUnderWay;
  readonly ask: (service: string, body: AskBody, deadlineMs?: number) => Promise<AnswerBody>;
  readonly troubles?: Troubles;
}

/** What one message may ask storage for. */
export interface Wanted {
  readonly get: Grant['get'];
  readonly put: Grant['put'];
  /** Bytes of all uploads together. */
  readonly totalBytes: number;
}

export interface LeaseAnswers {
  /** The lease of a live attempt as the agent gets it, capabilities minted afresh. */
  lease(caller: Caller, job: JobRow, attempt: number, description: Description): Promise<Lease>;
  /** The same from the ledger's row, undefined where the attempt is not this agent's or not live any more. */
  leaseAgain(caller: Caller, job: string, attempt: number): Promise<Lease | undefined>;
  /** Capabilities for a live attempt; empty where the storage adapter does not answer in time. */
  mint(caller: Caller, job: JobRow, attempt: number, wanted: Wanted): Promise<readonly Capability[]>;
  describe(job: string): Promise<Description | undefined>;
}

const CAPABILITY_SECONDS = 900;
const MINT_DEADLINE_MS = 5_000;
const MAX_FILES = 16;
const MEBIBYTE = 1024 * 1024;

/** Builds leases: the description from the ledger, the grant signed here, the capabilities minted by the storage adapter. */
export function createLeaseAnswers(options: LeaseAnswerOptions): LeaseAnswers {
  const { runtime, configuration, ledger, underWay, ask } = options;
  const queues = new Map(configuration.queues.map((queue) => [queue.name, queue]));
  const { crypto, clock, log } = runtime;

  async function mint(
    caller: Caller,
    job: JobRow,
    attempt: number,
    wanted: Wanted,
  ): Promise<readonly Capability[]> {
    const queue = queues.get(job.queue);
    if (queue === undefined || wanted.get.length + wanted.put.length === 0) return [];
    const grant = signGrant(crypto, configuration.keys.grant, claims(caller, job, attempt, wanted, queue));
    try {
      const answer = await ask(queue.storageAdapter, { op: 'grant', grant }, MINT_DEADLINE_MS);
      if (answer.result === 'capabilities') {
        options.troubles?.went(job.id, 'grant');
        return answer.capabilities;
      }
      options.troubles?.failed(job.id, 'grant', unexpectedAnswer(answer));
      log.warn({ job: job.id, attempt, answer }, 'the storage adapter minted nothing');
    } catch (caught) {
      options.troubles?.failed(job.id, 'grant', caught);
      log.warn(
        { job: job.id, attempt, errorCode: toCoPilotError(caught).code },
        'the storage adapter did not answer',
      );
    }
    return []; // the agent asks for them with `outputs`
  }

  function claims(
    caller: Caller,
    job: JobRow,
    attempt: number,
    wanted: Wanted,
    queue: QueueConfiguration,
  ): Grant {
    const now = Math.floor(clock.wallMs() / 1000);
    return {
      iss: configuration.instance,
      job: job.id,
      attempt,
      jkt: thumbprint(crypto, caller.signingKey.raw),
      get: wanted.get,
      put: wanted.put,
      totalBytes: wanted.totalBytes,
      iat: now,
      exp: now + Math.max(1, Math.min(CAPABILITY_SECONDS, Math.ceil(queue.leaseMs / 1000))),
    };
  }

  async function lease(
    caller: Caller,
    job: JobRow,
    attempt: number,
    description: Description,
  ): Promise<Lease> {
    underWay.note({ job: job.id, attempt, agent: caller.agent, queue: job.queue }, description);
    const queue = queues.get(job.queue);
    return {
      job: job.id,
      attempt,
      queue: job.queue,
      leaseSeconds: (queue?.leaseMs ?? 0) / 1000,
      firstRenewSeconds: (queue?.firstRenewMs ?? 0) / 1000,
      description,
      capabilities: await mint(caller, job, attempt, wantedBy(description)),
    };
  }

  return {
    lease,
    mint,
    async leaseAgain(caller, id, number) {
      const stored = await ledger.job(id);
      const attempt = stored?.job.attempts.find((entry) => entry.number === number);
      if (stored === undefined || attempt?.agent !== caller.agent || attempt.state !== 'live')
        return undefined;
      return lease(caller, stored.job, number, parseDescription(stored.description));
    },
    async describe(job) {
      const stored = await ledger.job(job);
      return stored && parseDescription(stored.description);
    },
  };
}

/** Inputs, and the outputs declared: up to 16 of each go with the lease. */
function wantedBy(description: Description): Wanted {
  const put = description.outputs
    .slice(0, MAX_FILES)
    .map((output) => ({ name: output.name, maxBytes: boundOf(output, description) }));
  return { get: description.inputs, put, totalBytes: totalOf(put, description) };
}

function boundOf(output: Pick<Output, 'maxBytes'>, description: Description): number {
  return output.maxBytes ?? description.limits.diskMiB * MEBIBYTE;
}

/** Never more than the job may have on its disk. */
function totalOf(put: Wanted['put'], description: Description): number {
  const sum = put.reduce((total, file) => total + file.maxBytes, 0);
  return Math.min(sum, description.limits.diskMiB * MEBIBYTE);
}

/** What an `outputs` message asks for: inputs again by name, or uploads whose size and digest are pinned. */
export function wantedFiles(description: Description, verb: 'get' | 'put', files: readonly File[]): Wanted {
  if (verb === 'get') {
    const names = new Set(files.map((file) => file.name));
    return { get: description.inputs.filter((input) => names.has(input.name)), put: [], totalBytes: 0 };
  }
  const bounds = new Map(description.outputs.map((output) => [output.name, boundOf(output, description)]));
  const put = files
    .map((file) => ({ name: file.name, maxBytes: file.size, sha256: file.sha256 }))
    .filter((file) => file.maxBytes <= (bounds.get(file.name) ?? description.limits.diskMiB * MEBIBYTE));
  return { get: [], put, totalBytes: totalOf(put, description) };
}
