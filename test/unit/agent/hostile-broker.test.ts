import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytesOf } from '../../../protocol/encoding.ts';
import type { Lease } from '../../../protocol/generated/types.ts';
import { DAY_SECONDS } from '../../doubles/scripted-broker.ts';
import { DIGEST, jobId, lease, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await setStage();
});

afterEach(async () => {
  await stage.broker.stop();
});

describe('whoever runs the bus cannot play broker', () => {
  it('with a certificate of another certifier', async () => {
    stage.broker.manners.certifier = stage.runtime.crypto.generate('ed25519');
    await stage.start();
    expect(await stage.next(60_000)).toBeUndefined();
    expect(stage.broker.starts).toEqual([]);
  });

  it('with the real broker’s certificate and a key of its own', async () => {
    stage.broker.manners.certifiedKey = stage.runtime.crypto.generate('x25519').publicKey.raw;
    await stage.start();
    expect(await stage.next(60_000)).toBeUndefined();
    expect(stage.broker.starts).toEqual([]);
  });

  it('with a certificate for another installation', async () => {
    stage.broker.manners.installation = 'another';
    await stage.start();
    expect(await stage.next(60_000)).toBeUndefined();
  });

  it('with a certificate that has expired', async () => {
    stage.broker.manners.certificateAgeSeconds = DAY_SECONDS + 62;
    await stage.start();
    expect(await stage.next(60_000)).toBeUndefined();
    expect(stage.broker.starts).toEqual([]);
  });

  it('though one within the minute that clocks may differ by is believed', async () => {
    stage.broker.manners.certificateAgeSeconds = DAY_SECONDS + 30;
    await stage.start();
    await stage.hears('request');
  });

  it('by speaking only versions nobody here speaks', async () => {
    stage.broker.manners.versions = [999];
    await stage.start();
    expect(await stage.next(60_000)).toBeUndefined();
  });

  it('and the agent goes on once the real one answers', async () => {
    stage.broker.manners.certifier = stage.runtime.crypto.generate('ed25519');
    await stage.start();
    await stage.clock.run(30_000);
    stage.broker.manners.certifier = stage.cast.certifier;
    expect(await stage.hears('request', 60_000)).toMatchObject({ counter: 1 });
  });
});

/** A lease as no schema allows it, for the wire. */
function twisted(change: object, description: object): object {
  const whole = lease(0);
  return { ...whole, ...change, description: { ...whole.description, ...description } };
}

describe('a broker that was taken over cannot make the agent', () => {
  const input = { name: 'in', size: 1, sha256: DIGEST };

  it.each<[string, object]>([
    [
      'write outside the work directory by an input’s name',
      twisted({}, { inputs: [{ ...input, name: '../../key' }] }),
    ],
    ['write to an absolute path', twisted({}, { inputs: [{ ...input, name: '/etc/cron.d/x' }] })],
    ['write a hidden file', twisted({}, { inputs: [{ ...input, name: '.bashrc' }] })],
    [
      'read outside the work directory by an output’s name',
      twisted({}, { outputs: [{ name: 'a/../../key' }] }),
    ],
    ['name a directory by the job', twisted({ job: '../../../../../../../../etc/x' }, {})],
    ['name a directory by the attempt', twisted({ attempt: '../1' }, {})],
    ['hold a lease for ever', twisted({ leaseSeconds: 1e12 }, {})],
    ['keep a lease of no time', twisted({ leaseSeconds: 0 }, {})],
    ['run without limits', twisted({}, { limits: {} })],
    [
      'take more inputs than are allowed',
      twisted({}, { inputs: Array.from({ length: 17 }, (_, n) => ({ ...input, name: `in${n}` })) }),
    ],
    ['put NUL into an argument', twisted({}, { arguments: ['a\0b'] })],
    ['put a line break into an environment name', twisted({}, { environment: { 'A\nB': 'c' } })],
  ])('%s', async (_what, given) => {
    await stage.start();
    const { slot, counter } = await stage.hears('request');
    stage.broker.sayRaw(bytesOf(JSON.stringify({ kind: 'job', slot, counter, lease: given, verdicts: [] })));
    await stage.clock.run(2_000);
    expect(stage.launched).toEqual([]);
    expect(stage.store.places.size).toBe(0);
    // It still listens.
    stage.gives({ kind: 'request', slot, counter, ad: {}, seen: [] }, lease(1));
    expect(await stage.hears('report')).toMatchObject({ job: jobId(1) });
  });

  it.each<[string, Partial<Lease['description']>]>([
    ['run a program by a path of the host', { command: '/usr/bin/env' }],
    ['run a program by a path that climbs', { command: '../../agent/main.ts' }],
    ['run a file that is no input', { command: './other' }],
    ['pass an option for a program', { command: '--version' }],
  ])('%s', async (_what, description) => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, description));
    expect(await stage.hears('report')).toMatchObject({ exit: { kind: 'failed' }, manifest: [] });
    expect(stage.launched).toEqual([]);
  });

  it.each<[string, Partial<Lease['description']['limits']>]>([
    ['more memory than the host has', { memoryMiB: 16_777_216 }],
    ['more disk than the host has', { diskMiB: 16_777_216 }],
  ])('take on %s: the lease is given back', async (_what, limits) => {
    await stage.start();
    const whole = { wallSeconds: 10, memoryMiB: 64, diskMiB: 64, ...limits };
    stage.gives(await stage.hears('request'), lease(0, {}, { limits: whole }));
    expect(await stage.hears('release')).toMatchObject({ reason: 'unable' });
    expect(stage.launched).toEqual([]);
  });

  it.each<[string, Uint8Array]>([
    ['bytes that are no text', new Uint8Array([0xff, 0xfe])],
    ['text that is no JSON', bytesOf('{')],
    ['a kind nobody knows', bytesOf('{"kind":"hello-there"}')],
    ['a message meant for brokers', bytesOf('{"kind":"request","slot":1,"counter":1,"ad":{},"seen":[]}')],
    ['deeply nested JSON', bytesOf('['.repeat(15_000) + ']'.repeat(15_000))],
    ['a prototype in disguise', bytesOf('{"kind":"__proto__"}')],
    ['an unknown field', bytesOf('{"kind":"notice","command":"drain","force":true}')],
  ])('fall over by %s', async (_what, bytes) => {
    await stage.start();
    const request = await stage.hears('request');
    stage.broker.sayRaw(bytes);
    stage.gives(request, lease(0));
    expect(await stage.hears('report')).toMatchObject({ job: jobId(0) });
    expect(stage.ends).toEqual([]);
  });

  it('keep files by a verdict that never comes, or drop a running job’s files unnoticed', async () => {
    stage.scripts.set('long', { afterMs: 600_000, ending: { kind: 'exited', code: 0 } });
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, { command: 'long' }));
    const { counter } = await stage.hears('renew', 40_000);
    const verdict = { job: jobId(0), attempt: 1, verdict: 'committed', reason: '' } as const;
    stage.broker.say({
      kind: 'renewed',
      slot: 0,
      counter,
      leases: [{ job: jobId(0), attempt: 1, order: 'continue', leaseSeconds: 900 }],
      verdicts: [verdict],
    });
    await stage.hears('request');
    expect(stage.launcher.running).toBe(0);
    expect(stage.store.places.size).toBe(0);
    expect(stage.events).toContainEqual(expect.objectContaining({ kind: 'attempt', end: 'lost' }));
  });

  it('ask in a loop, however often it says that there is nothing and to ask again at once', async () => {
    await stage.start();
    const beganMs = stage.clock.monotonicMs();
    for (let turn = 0; turn < 20; turn++) stage.hasNone(await stage.hears('request'), 0);
    expect(stage.clock.monotonicMs() - beganMs).toBeGreaterThanOrEqual(19 * 50);
  });

  it('crash it by a word on an attempt it never had', async () => {
    await stage.start();
    const { slot, counter } = await stage.hears('request');
    const verdict = { job: jobId(9), attempt: 9, verdict: 'committed', reason: '' } as const;
    stage.broker.say({
      kind: 'none',
      slot,
      counter,
      none: { reason: 'no-work', retryAfterSeconds: 1 },
      verdicts: [verdict],
    });
    expect(await stage.hears('request')).toMatchObject({ seen: [{ job: jobId(9), attempt: 9 }] });
  });
});
