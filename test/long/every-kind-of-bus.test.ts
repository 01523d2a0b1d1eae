import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runAgent } from '../../agent/main.ts';
import { busServer } from '../../cli/bus-servers.ts';
import { runCommand } from '../doubles/command-in-process.ts';
import { eventuallyTrue } from '../doubles/eventually.ts';
import { freePort } from '../doubles/free-port.ts';
import { type LiveBroker, openLiveBroker } from '../doubles/live-broker.ts';
import { LACKS_PROSODY } from '../doubles/locked-prosody.ts';
import { LACKS_RABBIT } from '../doubles/locked-rabbitmq.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { startProsody } from '../servers/prosody.ts';
import { startRabbit } from '../servers/rabbitmq.ts';

interface Killable {
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

describe.skipIf(LACKS_RABBIT || LACKS_PROSODY)(
  'Prosody, RabbitMQ and the embedded bus in one list (left out where one is not installed)',
  () => {
    let directory: string;
    let broker: LiveBroker;
    const servers: Record<string, Killable> = {};
    const hurry = new AbortController();
    let agent: Promise<number>;

    beforeAll(async () => {
      directory = await temporaryDirectory('every-bus');
      const port = {
        prosody: await freePort(),
        component: await freePort(),
        rabbitmq: await freePort(),
        management: await freePort(),
        askedByProsody: await freePort(),
        askedByRabbit: await freePort(),
      };
      const [prosody, rabbit] = await Promise.all([
        busServer('prosody', 'a server'),
        busServer('rabbitmq', 'a server'),
      ]);
      broker = await openLiveBroker({
        busServer: {
          file: `bus:
  - { kind: prosody, url: 'xmpp://127.0.0.1:${port.prosody}', componentPort: ${port.component}, accessPort: ${port.askedByProsody} }
  - { kind: rabbitmq, url: 'amqp://127.0.0.1:${port.rabbitmq}', managementUrl: 'http://127.0.0.1:${port.management}', accessPort: ${port.askedByRabbit} }
  - { kind: websocket }
`,
          async start(installation) {
            const [one, other] = [join(directory, 'prosody'), join(directory, 'rabbitmq')];
            const ports = { bus: port.prosody, component: port.component };
            servers['prosody'] = await startProsody(one, () => prosody.files(installation, one), ports);
            const files = () => rabbit.files(installation, other);
            servers['rabbitmq'] = await startRabbit(other, files, port.rabbitmq);
          },
        },
      });
    });

    afterAll(async () => {
      hurry.abort();
      await agent;
      await broker.close();
      for (const server of Object.values(servers)) await server.stop();
      await removeDirectory(directory);
    });

    async function runsAJob(): Promise<void> {
      const job = broker.submit({ command: 'sh', arguments: ['-c', 'echo one > events.dat'] });
      await eventuallyTrue('a job to end', () => (broker.framework.record(job)?.told ?? 0) > 0, 60_000);
      expect(broker.framework.record(job)?.progress.state).toBe('finished');
    }

    it('has both servers found locked down, each by its name', async () => {
      const { code, out } = await runCommand(['bus', 'check', '--data', broker.directory]);
      expect(out).toMatch(/^ok +prosody: /m);
      expect(out).toMatch(/^ok +rabbitmq: /m);
      expect(out).toMatch(/ attempts, nothing leaks$/m);
      expect(code).toBe(0);
    });

    it('runs jobs on whichever of them are left', async () => {
      agent = runAgent({
        directory: join(directory, 'agent'),
        code: await broker.newCode(),
        slots: 1,
        isolation: 'none',
        drainSeconds: 0,
        json: true,
        logLevel: 'error',
        signal: hurry.signal,
        hurry: hurry.signal,
        write: () => undefined,
      });
      await runsAJob();
      await servers['prosody']?.kill();
      await runsAJob();
      await servers['rabbitmq']?.kill();
      await runsAJob();
      await servers['prosody']?.start();
      await servers['rabbitmq']?.start();
      await runsAJob();
    });
  },
);
