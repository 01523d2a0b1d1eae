import { createMemoryLauncher } from '../../agent/executors/memory-launcher.ts';
import { createAgent } from '../../agent/loop/agent.ts';
import { createMemoryStore } from '../../agent/store/memory.ts';
import { createMemoryTransfers } from '../../agent/transfers/memory.ts';
import { createDpopProof } from '../../protocol/dpop.ts';
import { hex } from '../../protocol/encoding.ts';
import type { Capability, Report } from '../../protocol/generated/types.ts';
import { reportEvidence } from '../../protocol/report-evidence.ts';
import { createBrokerStage, STAGE, type BrokerStage, type Enrolled } from '../doubles/broker-stage.ts';
import { createRecorder, type Line } from './recorder.ts';
import { layOut } from './lay-out.ts';

const SEED = 2026;
const RUN_MS = 30_000;
const OUTPUT_BYTES = 20_480;
const AD = {
  Arch: 'X86_64',
  Cpus: 1,
  DiskMiB: 20_000,
  Isolation: 'bubblewrap',
  MemoryMiB: 2048,
  OpSys: 'LINUX',
};

/** The transcript of docs/protocol.md, as Markdown: one job from its adapter to the framework, and what its agent said. */
export async function transcribe(): Promise<string> {
  const recorder = createRecorder();
  const stage = await createBrokerStage({ seed: SEED, wrapCrypto: recorder.wrapCrypto });
  const enrolled = stage.enrol();
  const agent = agentOf(stage, enrolled);
  stage.submit(
    {},
    {
      command: './generate',
      arguments: ['--card', 'z.card', '--seed', '7'],
      inputs: [inputOf(stage, 'generate'), inputOf(stage, 'z.card')],
      requirements: 'other.OpSys == "LINUX" && other.MemoryMiB >= 512',
    },
  );
  const uploads = agent.uploads;
  await agent.start();
  await stage.clock.run(2 * RUN_MS);
  agent.drain();
  await stage.clock.run(RUN_MS);
  await stage.stop();
  return layOut(recorder.lines.filter(isShown), {
    evidence: evidenceOf(enrolled, recorder.lines),
    proof: proofOf(stage, enrolled, uploads),
  });
}

function agentOf(stage: BrokerStage, enrolled: Enrolled) {
  const runtime = stage.runtimeOf('agent');
  const uploads: Capability[] = [];
  const launcher = createMemoryLauncher({
    clock: stage.clock,
    script: () => ({
      afterMs: RUN_MS,
      ending: { kind: 'exited', code: 0 },
      usage: { cpuSeconds: 28.5, memoryMiB: 61, diskMiB: 1 },
    }),
  });
  const transfers = createMemoryTransfers({
    clock: stage.clock,
    delayMs: () => 200,
    get: async () => undefined,
    put: async (capability, { size, sha256 }) => {
      uploads.push(capability);
      const [, job = '', attempt = ''] = /attempts\/([^/]+)\/([^/]+)\//.exec(capability.url) ?? [];
      const ref = { job, attempt: Number(attempt) };
      await stage.storage.put(ref, capability.token, capability.name, { size, sha256 });
    },
  });
  const store = createMemoryStore({
    produce: (_attempt, output) => ({
      size: OUTPUT_BYTES,
      sha256: hex(runtime.crypto.sha256(new TextEncoder().encode(output.name))),
    }),
    progress: () => 0.5,
  });
  const bus = stage.network.bus('peer-1');
  const agent = createAgent(
    { runtime, bus, launcher, transfers, store, hostAd: () => AD },
    {
      keys: { session: enrolled.session, signing: enrolled.signing },
      installation: STAGE,
      certifier: stage.certifier.publicKey,
      identity: () => enrolled.identity,
      renewIdentity: async () => undefined,
      slots: 1,
      surroundings: { readOnly: [], hiddenPaths: [], path: '/bin', variables: {}, wrap: [], network: 'none' },
    },
  );
  return { start: () => agent.start(), drain: () => agent.drain(0), uploads };
}

function inputOf(stage: BrokerStage, name: string) {
  const bytes = new TextEncoder().encode(`the bytes of ${name}`);
  const sha256 = hex(stage.runtimeOf('agent').crypto.sha256(bytes));
  return { name, size: bytes.length, sha256, ...(name === 'generate' && { executable: true }) };
}

/** From the job on; what an adapter says of itself, and plain `ok`, is left out. */
function isShown({ atMs, message }: Line): boolean {
  const items = JSON.stringify(message['items'] ?? []);
  return atMs >= 1000 && !items.includes('"op":"available"') && !items.startsWith('[{"result":"ok"');
}

function evidenceOf(enrolled: Enrolled, lines: readonly Line[]): string {
  const report = lines.find(({ message }) => message['kind'] === 'report')?.message as Report | undefined;
  if (report === undefined) throw new Error('the agent reported nothing');
  return Buffer.from(reportEvidence(STAGE, enrolled.agent, report)).toString('utf8');
}

/** A proof for the upload, as the agent makes it for the Data Bridge. */
function proofOf(stage: BrokerStage, enrolled: Enrolled, uploads: readonly Capability[]) {
  const [capability] = uploads;
  if (capability === undefined) throw new Error('the agent uploaded nothing');
  const { crypto, random, clock } = stage.runtimeOf('broker');
  const request = { method: 'PUT', url: capability.url, token: capability.token, wallMs: clock.wallMs() };
  const proof = createDpopProof(crypto, random, enrolled.signing, { ...request, nonce: 'AAAAAAAAAAk4cP2x' });
  return { capability, proof, bytes: OUTPUT_BYTES };
}
