import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AGENT_EXIT } from '../../agent/exit-codes.ts';
import { runAgent } from '../../agent/main.ts';
import { askBroker } from '../../cli/connection.ts';
import type { Ports } from '../../cli/bus-server.ts';
import { busServer } from '../../cli/bus-servers.ts';
import { expectShape } from '../doubles/command-shape.ts';
import { runCommand } from '../doubles/command-in-process.ts';
import { eventuallyTrue } from '../doubles/eventually.ts';
import { freePort } from '../doubles/free-port.ts';
import { type LiveBroker, openLiveBroker } from '../doubles/live-broker.ts';
import { LACKS_EJABBERD } from '../doubles/locked-ejabberd.ts';
import { LACKS_PROSODY } from '../doubles/locked-prosody.ts';
import { LACKS_RABBIT } from '../doubles/locked-rabbitmq.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { startEjabberd } from '../servers/ejabberd.ts';
import { startProsody } from '../servers/prosody.ts';
import { startRabbit } from '../servers/rabbitmq.ts';

const AGENTS = 3;
const JOBS = 24;
const BEFORE_THE_KILL = 6;

interface Killable {
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

interface Case {
  readonly kind: string;
  readonly lacks: boolean;
  readonly begin: (
    folder: string,
    files: Readonly<Record<string, string>>,
    ports: Ports,
  ) => Promise<Killable>;
}

const SERVERS: readonly Case[] = [
  {
    kind: 'rabbitmq',
    lacks: LACKS_RABBIT,
    begin: (folder, files, { bus }) => startRabbit(folder, () => files, bus),
  },
  {
    kind: 'prosody',
    lacks: LACKS_PROSODY,
    begin: (folder, files, ports) => startProsody(folder, () => files, ports),
  },
  {
    kind: 'ejabberd',
    lacks: LACKS_EJABBERD,
    begin: (folder, files, ports) => startEjabberd(folder, () => files, ports),
  },
];

for (const { kind, lacks, begin } of SERVERS)
  describe.skipIf(lacks)(`an installation on ${kind} (left out where it is not installed)`, () => {
    let directory: string;
    let flags: readonly string[];
    let server: Killable;
    let broker: LiveBroker;
    const hurry = new AbortController();
    const agents: Promise<number>[] = [];

    beforeAll(async () => {
      directory = await temporaryDirectory('server-restart');
      const setup = await busServer(kind, 'a server');
      const ports: Record<string, number> = {};
      for (const name of setup.portNames) ports[name] = await freePort();
      flags = setup.settings(ports);
      broker = await openLiveBroker({
        busServer: {
          flags,
          async start(installation) {
            const folder = join(directory, 'node');
            server = await begin(folder, setup.files(installation, folder), ports);
          },
        },
      });
    });

    afterAll(async () => {
      hurry.abort();
      await Promise.all(agents);
      await broker.close();
      await server.stop();
      await removeDirectory(directory);
    });

    function run(
      name: string,
      signal: AbortSignal,
      code?: string,
      write: (line: string) => void = () => undefined,
    ): Promise<number> {
      return runAgent({
        directory: join(directory, name),
        slots: 1,
        isolation: 'none',
        drainSeconds: 0,
        json: true,
        logLevel: 'error',
        signal,
        hurry: signal,
        write,
        ...(code !== undefined && { code }),
      });
    }

    it('loses no job and commits none twice when the server is killed under load', async () => {
      const jobs = Array.from({ length: JOBS }, (_, at) =>
        broker.submit({ command: 'sh', arguments: ['-c', `echo ${at} > events.dat; sleep 0.1`] }),
      );
      for (let at = 0; at < AGENTS; at++)
        agents.push(run(`agent-${at}`, hurry.signal, await broker.newCode()));
      const ended = () => jobs.filter((job) => (broker.framework.record(job)?.told ?? 0) > 0).length;
      await eventuallyTrue('some jobs to end', () => ended() >= BEFORE_THE_KILL, 120_000);
      await server.kill();
      expect(ended()).toBeLessThan(JOBS);
      await server.start();
      await eventuallyTrue('all jobs to end', () => ended() === JOBS, 240_000);
      for (const job of jobs) {
        expect(broker.framework.record(job)?.progress.state).toBe('finished');
        const { job: row } = await broker.job(job);
        expect(row.attempts.filter(({ state }) => state === 'committed')).toHaveLength(1);
      }
    });

    it('tells an agent that was revoked while it was away, which the bus lets in no more', async () => {
      const leaving = new AbortController();
      const events: string[] = [];
      const away = run('away', leaving.signal, await broker.newCode(), (line) => void events.push(line));
      await eventuallyTrue('it to be connected', () => events.some((line) => line.includes('"up"')), 20_000);
      leaving.abort();
      expect(await away).toBe(AGENT_EXIT.drained);
      const { agents: known } = await askBroker<{ readonly agents: readonly { readonly agent: string }[] }>(
        broker.directory,
        'GET',
        '/v1/agents',
      );
      for (const { agent } of known) await askBroker(broker.directory, 'POST', `/v1/agents/${agent}/revoke`);
      expect(await run('away', new AbortController().signal)).toBe(AGENT_EXIT.revoked);
      // Those that were there heard it over the bus.
      expect(await Promise.all(agents)).toEqual(agents.map(() => AGENT_EXIT.revoked));
    });

    it('is found locked down by the command that checks it', async () => {
      const file = join(broker.directory, 'co-pilot.yaml');
      const bus = flags.map((flag) => flag.replace('bus.', '').replace('=', ': ')).join(', ');
      await writeFile(file, `bus: { ${bus} }\n`, { mode: 0o600 });
      const { code, out } = await runCommand(['bus', 'check', '--data', broker.directory]);
      expect(out).toMatch(/ attempts, nothing leaks$/m);
      expect(out).not.toMatch(/LEAK|BROKEN/);
      expect(code).toBe(0);
      const { out: json } = await runCommand(['bus', 'check', '--data', broker.directory, '--json']);
      expectShape('busCheck', JSON.parse(json));
    });
  });
