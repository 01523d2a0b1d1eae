import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTransfers } from '../../agent/transfers/http-transfers.ts';
import type { Capability, File, Lease, Report, Reported, Welcome } from '../../protocol/generated/types.ts';
import type { BrokerMessage } from '../../protocol/messages.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import type { Enrolled } from './broker-stage.ts';
import { eventually } from './eventually.ts';
import type { RawAgent } from './raw-agent.ts';

/** What an agent may say, without the slot and counter that `ask` gives it. */
export interface Words {
  readonly kind: string;
  readonly slot?: number;
  readonly counter?: number;
  readonly [field: string]: unknown;
}

/** A raw agent that counts, waits for answers and moves files; every word is still the test's. */
export interface LiveAgent {
  readonly raw: RawAgent;
  readonly enrolled: Enrolled;
  readonly id: string;
  readonly welcome: Welcome;
  /** The next counter of a slot. */
  count(slot?: number): number;
  /** Says it in slot 1 (0 for `renew`) under the next counter, unless it names its own, and waits for what is answered to it. */
  ask(words: Words, withinMs?: number): Promise<BrokerMessage>;
  /** Asks for a job until there is one. */
  takeJob(slot?: number): Promise<Lease>;
  upload(lease: Pick<Lease, 'capabilities'>, name: string, bytes: Uint8Array): Promise<File>;
  /** A right report of success over this manifest, with a right signature; `change` comes after the signing. */
  report(lease: Pick<Lease, 'job' | 'attempt'>, manifest: readonly File[], change?: Partial<Report>): Words;
  /** Takes a job, uploads what it declares and reports it, as an honest agent does. */
  work(slot?: number): Promise<Reported>;
  vanish(): Promise<void>;
}

const ANSWER_MS = 10_000;
const JOB_MS = 15_000;
const AD = { OpSys: 'LINUX', Cpus: 1 };

export function liveAgentOf(raw: RawAgent, runtime: Runtime, welcome: Welcome): LiveAgent {
  const counters = new Map(welcome.slots.map(({ slot, counter }) => [slot, counter]));
  const transfers = createTransfers({ ...runtime, key: raw.enrolled.signing });

  function count(slot = 1): number {
    const next = (counters.get(slot) ?? 0) + 1;
    counters.set(slot, next);
    return next;
  }

  async function ask(words: Words, withinMs = ANSWER_MS): Promise<BrokerMessage> {
    const slot = words.slot ?? (words.kind === 'renew' ? 0 : 1);
    const counter = words.counter ?? count(slot);
    raw.say({ ...words, slot, counter });
    return eventually(`an answer to ${words.kind}`, () => takeAnswer(slot, counter), withinMs);
  }

  function takeAnswer(slot: number, counter: number): BrokerMessage | undefined {
    const at = raw.heard.findIndex(
      (message) => 'counter' in message && message.slot === slot && message.counter === counter,
    );
    return at < 0 ? undefined : raw.heard.splice(at, 1)[0];
  }

  async function takeJob(slot = 1): Promise<Lease> {
    const answer = await ask({ kind: 'request', slot, ...REQUEST }, JOB_MS);
    if (answer.kind === 'job') return answer.lease;
    throw new Error(`no job came but ${JSON.stringify(answer)}`);
  }

  async function upload({ capabilities }: Pick<Lease, 'capabilities'>, name: string, bytes: Uint8Array) {
    const directory = await mkdtemp(join(tmpdir(), 'co-pilot-upload-'));
    try {
      const path = join(directory, 'file');
      await writeFile(path, bytes);
      const file = { name, size: bytes.length, sha256: sha256Of(bytes) };
      await transfers.upload(path, capabilityFor(capabilities, name), file, AbortSignal.timeout(ANSWER_MS));
      return file;
    } finally {
      await rm(directory, { recursive: true });
    }
  }

  function report(
    { job, attempt }: Pick<Lease, 'job' | 'attempt'>,
    manifest: readonly File[],
    change: Partial<Report> = {},
  ): Words {
    const said = { job, attempt, exit: { kind: 'exited' as const, code: 0 }, manifest: [...manifest] };
    const signature = raw.sign(said);
    return { kind: 'report', ...said, usage: USAGE, logTail: '', seen: [], signature, ...change };
  }

  async function work(slot = 1): Promise<Reported> {
    const lease = await takeJob(slot);
    const bytes = new TextEncoder().encode(`events of ${lease.job}, attempt ${lease.attempt}`);
    const files: File[] = [];
    for (const { name } of lease.description.outputs) files.push(await upload(lease, name, bytes));
    const answer = await ask({ ...report(lease, files), slot });
    if (answer.kind === 'reported') return answer;
    throw new Error(`the report was answered ${JSON.stringify(answer)}`);
  }

  return {
    raw,
    enrolled: raw.enrolled,
    id: raw.enrolled.agent,
    welcome,
    count,
    ask,
    takeJob,
    upload,
    report,
    work,
    vanish: () => raw.vanish(),
  };
}

const REQUEST = { ad: AD, seen: [] };
const USAGE = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 1, diskMiB: 1 };

function capabilityFor(capabilities: readonly Capability[], name: string): Capability {
  const found = capabilities.find((capability) => capability.verb === 'put' && capability.name === name);
  if (found === undefined) throw new Error(`there is no capability to put ${name}`);
  return found;
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
