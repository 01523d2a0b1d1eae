import { expect, pause } from '../expectation.ts';
import type { AgentCase } from './agent-case.ts';
import { holds, succeeds } from './deeds.ts';
import { script } from './jobs.ts';

/** B: the WebSocket binding. */
export const busCases: readonly AgentCase[] = [
  {
    id: 'AGT-B-001',
    title: 'connects by plain RFC 6455: no subprotocol, no extension, no credentials',
    requirements: ['B-5'],
    level: 'full',
    start: 'cold',
    async run(stage) {
      await stage.start();
      await stage.session();
      const heads = stage.gate.upgrades.join('\n').toLowerCase();
      for (const name of ['sec-websocket-protocol', 'sec-websocket-extensions', 'authorization', 'cookie'])
        expect(!heads.includes(`${name}:`), `it connected with ${name}`);
    },
  },
  {
    id: 'AGT-B-002',
    title: 'answers pings',
    requirements: ['B-10'],
    level: 'core',
    pingEveryMs: 1000,
    start: 'spent',
    async run(stage) {
      await stage.parked();
      const { connectedMs } = stage.gate;
      const before = connectedMs.length;
      await stage.never(() => (connectedMs.length > before ? 'it had to connect anew' : undefined), 4000);
      await stage.proves();
    },
  },
  {
    id: 'AGT-B-003',
    title: 'connects again soon when its connection is lost, and ever later while it cannot',
    requirements: ['B-12'],
    level: 'robust',
    start: 'spent',
    withinSeconds: 60,
    async run(stage) {
      await stage.parked();
      const { gate } = stage;
      const before = gate.connectedMs.length;
      const fromMs = performance.now();
      gate.cut();
      const atMs = await stage.until('a new connection', () => gate.connectedMs[before], 10_000);
      expect(atMs - fromMs < stage.ms(3000), `it connected again after ${Math.round(atMs - fromMs)} ms`);
      await stage.proves();
    },
  },
  {
    id: 'AGT-B-004',
    title: 'finds the broker again after it was away for some seconds, and goes on',
    requirements: ['B-12', 'M-12'],
    level: 'full',
    start: 'spent',
    withinSeconds: 60,
    async run(stage) {
      await stage.parked();
      const old = stage.line;
      stage.gate.refuse(true);
      stage.gate.cut();
      await pause(3000, stage.signal);
      stage.gate.refuse(false);
      await stage.until('a new session', () => (stage.line === old ? undefined : true), 30_000);
      await stage.proves();
    },
  },
  {
    id: 'AGT-B-005',
    title: 'gives up a connection on which nothing came for 75 s',
    requirements: ['B-10'],
    level: 'robust',
    start: 'spent',
    withinSeconds: 130,
    async run(stage) {
      await stage.parked();
      const before = stage.gate.connectedMs.length;
      stage.gate.hold();
      await stage.until('a new connection', () => stage.gate.connectedMs[before], 110_000);
    },
  },
  {
    id: 'AGT-B-006',
    title: 'moves to the next address in the middle of a job when its connection is lost, and stays there',
    requirements: ['B-22', 'W-1', 'M-12'],
    level: 'full',
    hasTwoUrls: true,
    start: 'spent',
    needs: ['moving'],
    withinSeconds: 90,
    async run(stage) {
      const { gate, otherGate } = stage;
      await stage.parked();
      expect(otherGate.connectedMs.length === 0, 'it did not begin with the first address alone');
      const before = stage.line;
      const lease = await holds(stage, script('sleep 5'));
      gate.refuse(true);
      gate.cut();
      await stage.until('a connection to the other address', () => otherGate.connectedMs[0], 20_000);
      gate.refuse(false);
      const connections = gate.connectedMs.length;
      await stage.until('a new session', () => (stage.line === before ? undefined : true), 20_000);
      expect(stage.line.hello.start === before.hello.start, 'it came there under another start id');
      await succeeds(stage, lease);
      const wentBack = (): string | undefined =>
        gate.connectedMs.length > connections ? 'it went back, though it was served' : undefined;
      await stage.never(wentBack, 3000);
      await stage.proves();
      expect(otherGate.openConnections === 1, 'it is not on one bus');
    },
  },
];
