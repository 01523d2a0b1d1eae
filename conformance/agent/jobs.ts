import type {
  Attempt,
  Capability,
  Description,
  File,
  Lease,
  Output,
} from '../../protocol/generated/types.ts';
import { bytesOf, newId } from '../../protocol/encoding.ts';
import type { Random } from '../../protocol/runtime/runtime.ts';
import type { Storage } from './storage.ts';

/** A job as a case wants it. */
export interface JobWish {
  /** Left out: `sh`. */
  readonly command?: string;
  readonly arguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly inputs?: readonly {
    readonly name: string;
    readonly bytes: Uint8Array;
    readonly executable?: boolean;
  }[];
  readonly outputs?: readonly Output[];
  readonly limits?: Partial<Description['limits']>;
  readonly leaseSeconds?: number;
  readonly firstRenewSeconds?: number;
  /** False: the lease brings none, so that the agent has to ask. */
  readonly withCapabilities?: boolean;
}

const LIMITS: Description['limits'] = { wallSeconds: 120, memoryMiB: 128, diskMiB: 64 };
const LEASE_SECONDS = 120;
const FIRST_RENEW_SECONDS = 60;

/** A shell script as a job: `sh -c`. */
export function script(text: string, wish: JobWish = {}): JobWish {
  return { command: 'sh', arguments: ['-c', text], ...wish };
}

/** A lease of a new job, its inputs in storage. */
export function leaseOf(wish: JobWish, random: Random, storage: Storage): Lease {
  const attempt: Attempt = { job: newId(random), attempt: 1 };
  const inputs = (wish.inputs ?? []).map(({ name, bytes, executable }) => ({
    name,
    ...storage.addInput(bytes),
    ...(executable !== undefined && { executable }),
  }));
  const outputs = wish.outputs ?? [];
  const capabilities: readonly Capability[] =
    wish.withCapabilities === false
      ? []
      : [
          ...inputs.map((file) => storage.capability(attempt, 'get', file)),
          ...outputs.map(({ name }) => storage.capability(attempt, 'put', { name, sha256: '' })),
        ];
  return {
    ...attempt,
    queue: 'conformance',
    leaseSeconds: wish.leaseSeconds ?? LEASE_SECONDS,
    firstRenewSeconds: wish.firstRenewSeconds ?? FIRST_RENEW_SECONDS,
    description: {
      command: wish.command ?? 'sh',
      arguments: [...(wish.arguments ?? [])],
      environment: { ...wish.environment },
      inputs,
      outputs: [...outputs],
      limits: { ...LIMITS, ...wish.limits },
      requirements: '',
    },
    capabilities,
  };
}

/** Fresh capabilities for what an agent asks with `outputs`. */
export function capabilitiesFor(
  storage: Storage,
  attempt: Attempt,
  verb: Capability['verb'],
  files: readonly File[],
  lease: Lease | undefined,
): readonly Capability[] {
  return files.flatMap((file) => {
    if (verb === 'put') return [storage.capability(attempt, verb, file)];
    const input = lease?.description.inputs.find(({ name }) => name === file.name);
    return input === undefined ? [] : [storage.capability(attempt, verb, input)];
  });
}

/** Bytes that no other case has. */
export function uniqueBytes(random: Random, length = 64): Uint8Array {
  return bytesOf(Buffer.from(random.bytes(length)).toString('hex').slice(0, length));
}
