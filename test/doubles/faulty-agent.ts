import { createDecipheriv } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { enrol } from '../../agent/enrol.ts';
import { codeWay } from '../../agent/enrolment-way.ts';
import type { Membership } from '../../agent/enrol.ts';
import type { Launcher } from '../../agent/executors/launcher.ts';
import { createProcessLauncher } from '../../agent/executors/process-launcher.ts';
import type { PostJson } from '../../agent/http-json.ts';
import { createAgent } from '../../agent/loop/agent.ts';
import { Asks } from '../../agent/loop/asks.ts';
import { Holding } from '../../agent/loop/holding.ts';
import { Renewals } from '../../agent/loop/renewals.ts';
import { Verdicts } from '../../agent/loop/verdicts.ts';
import { loadMembership, openKeys, saveMembership } from '../../agent/store/agent-files.ts';
import { openDiskStore } from '../../agent/store/disk.ts';
import { createTransfers } from '../../agent/transfers/http-transfers.ts';
import type { Transfers } from '../../agent/transfers/transfers.ts';
import { createWebSocketClient } from '../../protocol/bindings/websocket-client.ts';
import { bytesOf, fromBase64url } from '../../protocol/encoding.ts';
import { decodeEnrolmentCode } from '../../protocol/enrolment.ts';
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import type { Crypto, Runtime } from '../../protocol/runtime/runtime.ts';
import { ReplayWindow } from '../../protocol/session/replay-window.ts';
import { silentLog } from './silent-log.ts';

/** Every way in which this agent can be wrong; without one it is as right as ours. */
const FAULTS = {
  none: 'right in everything',
  'acts-on-replays': 'takes a frame however often it comes',
  'asks-too-soon': 'does not wait as long as it is told',
  'believes-anybody': 'takes any signature for right',
  'deaf-to-cancel': 'goes on with a job that it is told to cancel',
  'follows-redirects': 'goes wherever the enrolment sends it',
  'forgets-verdicts': 'never names a verdict as seen',
  'hasty-report': 'reports files that it never uploads',
  'ignores-tags': 'opens frames without a look at their tags',
  'keeps-its-start': 'names the same start id whenever it is started',
  'low-counters': 'counts from one whatever the welcome says',
  'never-renews': 'leaves its leases to themselves',
  'open-environment': 'gives jobs its own environment',
  'shows-its-code': 'writes its code into its output',
  'takes-any-input': 'uses an input whatever its digest',
  'wrong-signature': 'signs its reports wrongly',
} as const;

type Fault = keyof typeof FAULTS;

function isFault(text: string): text is Fault {
  return Object.hasOwn(FAULTS, text);
}

const TAG_BYTES = 16;
const START_BYTES = 16;

function faultyCrypto(crypto: Crypto, fault: Fault): Crypto {
  const keys = new WeakMap<object, Uint8Array>();
  return {
    ...crypto,
    verify: (key, data, signature) => fault === 'believes-anybody' || crypto.verify(key, data, signature),
    sign(key, data) {
      const signature = crypto.sign(key, data);
      const isReport = Buffer.from(data).toString('latin1').startsWith('co-pilot-report-1');
      if (fault === 'wrong-signature' && isReport) signature[0] = (signature[0] ?? 0) ^ 1;
      return signature;
    },
    importSealKey(raw) {
      const key = crypto.importSealKey(raw);
      keys.set(key, new Uint8Array(raw));
      return key;
    },
    open(key, nonce, associated, sealed) {
      const opened = crypto.open(key, nonce, associated, sealed);
      const raw = keys.get(key);
      // Only frames have no associated data: handshakes stay sound, or nothing would work at all.
      if (opened !== undefined || fault !== 'ignores-tags' || raw === undefined || associated.length > 0)
        return opened;
      const decipher = createDecipheriv('aes-256-gcm', raw, nonce, { authTagLength: TAG_BYTES });
      return new Uint8Array(decipher.update(sealed.subarray(0, Math.max(0, sealed.length - TAG_BYTES))));
    },
  };
}

function faultyRuntime(fault: Fault): Runtime {
  const runtime = createNodeRuntime(silentLog);
  const { clock, random } = runtime;
  let isFirst = true;
  return {
    ...runtime,
    crypto: faultyCrypto(runtime.crypto, fault),
    clock: {
      ...clock,
      schedule: (delayMs, action) =>
        clock.schedule(
          fault === 'asks-too-soon' && delayMs >= 2000 && delayMs <= 2600 ? delayMs / 2 : delayMs,
          action,
        ),
    },
    random: {
      bytes(length) {
        // The first id of an agent's life is that of its start.
        const isStart = isFirst && length === START_BYTES;
        if (isStart) isFirst = false;
        return fault === 'keeps-its-start' && isStart
          ? new Uint8Array(START_BYTES).fill(7)
          : random.bytes(length);
      },
    },
  };
}

/** Changes what our loop does, in this process alone. */
function spoilLoop(fault: Fault): void {
  switch (fault) {
    case 'acts-on-replays':
      ReplayWindow.prototype.isFresh = () => true;
      return;
    case 'low-counters':
      Asks.prototype.resume = function resume() {
        // The slots of the welcome are not looked at.
      };
      return;
    case 'never-renews':
      Renewals.prototype.renewAnything = () => undefined;
      return;
    case 'deaf-to-cancel':
      Holding.prototype.stop = () => undefined;
      return;
    case 'forgets-verdicts':
      Verdicts.prototype.toName = () => [];
      return;
    default:
  }
}

function faultyTransfers(transfers: Transfers, fault: Fault): Transfers {
  return {
    async upload(...args) {
      if (fault !== 'hasty-report') await transfers.upload(...args);
    },
    async download(capability, target, facts, signal, onProgress) {
      try {
        await transfers.download(capability, target, facts, signal, onProgress);
      } catch (caught) {
        if (fault !== 'takes-any-input') throw caught;
        await writeFile(target, 'whatever');
      }
    },
  };
}

function faultyLauncher(launcher: Launcher, fault: Fault): Launcher {
  return {
    launch: (spec) =>
      launcher.launch(
        fault === 'open-environment'
          ? { ...spec, environment: { ...plain(process.env), ...spec.environment } }
          : spec,
      ),
  };
}

function plain(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
}

const follow: PostJson = async (url, body, signal) => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  });
  return { status: response.status, body: await response.json() };
};

async function member(
  directory: string,
  codeFile: string,
  fault: Fault,
  runtime: Runtime,
): Promise<Membership> {
  const kept = await loadMembership(directory);
  if (kept !== undefined) return kept;
  const code = (await readFile(codeFile, 'utf8')).trim();
  if (fault === 'shows-its-code') console.log(Buffer.from(decodeEnrolmentCode(code).secret).toString());
  const keys = await openKeys(directory, runtime.crypto);
  const membership = await enrol(codeWay(decodeEnrolmentCode(code)), {
    keys,
    crypto: runtime.crypto,
    post: follow,
    nowMs: () => runtime.clock.wallMs(),
    signal: AbortSignal.timeout(20_000),
  });
  await saveMembership(directory, membership);
  return membership;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      fault: { type: 'string', default: 'none' },
      directory: { type: 'string', default: '.' },
      'code-file': { type: 'string', default: 'code' },
    },
  });
  const { fault } = values;
  if (!isFault(fault))
    throw new Error(`there is no fault ${fault}; there are ${Object.keys(FAULTS).join(', ')}`);
  spoilLoop(fault);
  const directory = resolve(values.directory);
  await mkdir(directory, { recursive: true });
  const runtime = faultyRuntime(fault);
  const membership = await member(directory, values['code-file'], fault, runtime);
  const keys = await openKeys(directory, runtime.crypto);
  const agent = createAgent(
    {
      runtime,
      bus: createWebSocketClient({ ...runtime, url: membership.bus[0] ?? '' }),
      launcher: faultyLauncher(createProcessLauncher('none', runtime), fault),
      transfers: faultyTransfers(createTransfers({ ...runtime, key: keys.signing }), fault),
      store: await openDiskStore({ directory, isPassable: false }),
      hostAd: () => ({ OpSys: 'LINUX', Cpus: 1, MemoryMiB: 1024, DiskMiB: 1024 }),
    },
    {
      keys,
      installation: membership.installation,
      certifier: runtime.crypto.importPublic('ed25519', fromBase64url(membership.certifier) ?? bytesOf('')),
      identity: () => membership.identity,
      renewIdentity: () => Promise.resolve(),
      slots: 1,
      surroundings: {
        readOnly: [],
        hiddenPaths: [],
        path: '/usr/local/bin:/usr/bin:/bin',
        variables: {},
        wrap: [],
        network: 'host',
      },
    },
  );
  process.on('SIGTERM', () => agent.drain(0));
  await agent.start();
  await agent.ended;
}

await main();
