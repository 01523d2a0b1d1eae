import { describe, expect, it } from 'vitest';
import type { AgentRow } from '../../../broker/core/state.ts';
import { type BusAccess, createBusAccess, MAX_CONNECTIONS } from '../../../broker/enrolment/bus-access.ts';
import { evictionPassword } from '../../../broker/enrolment/eviction-login.ts';
import { throwAwayAgent } from '../../../broker/enrolment/throw-away-agent.ts';
import { BUS_PATHS, createBusServer } from '../../../broker/http/bus-routes.ts';
import { signJws } from '../../../protocol/jws.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const crypto = createCrypto();
const identityKey = crypto.generate('p256');

function stage(change: { readonly connections?: number; readonly status?: AgentRow['status'] } = {}) {
  const clock = createManualClock();
  const access = createBusAccess({
    runtime: { clock, crypto },
    installation: 'home',
    virtualHost: 'copilot',
    identityKey: identityKey.publicKey,
    agent: async () => (change.status === undefined ? undefined : ({ status: change.status } as AgentRow)),
    connections: () => change.connections ?? 0,
  });
  return { clock, access, ...throwAwayAgent({ crypto, clock }, 'home', identityKey) };
}

const other = 'o'.repeat(26);

describe('an agent at a bus that asks', () => {
  it('logs in by its identity, eight times at once and then now and then', async () => {
    const { access, clock, user, password } = stage();
    for (let login = 0; login < 8; login++) expect(await access.mayLogIn(user, password)).toBe(true);
    expect(await access.mayLogIn(user, password)).toBe(false);
    clock.advance(5000);
    expect(await access.mayLogIn(user, password)).toBe(true);
  });

  it('does not spend the logins of another by trying', async () => {
    const { access, user, password } = stage();
    for (let login = 0; login < 100; login++) expect(await access.mayLogIn(user, 'wrong')).toBe(false);
    expect(await access.mayLogIn(user, password)).toBe(true);
  });

  it.each([
    ['with the identity of another', other, undefined],
    ['as the broker', 'broker', undefined],
    ['as an adapter', 'service.storage', undefined],
    ['without a password', undefined, ''],
  ])('is refused %s', async (_what, asUser, withPassword) => {
    const { access, user, password } = stage();
    expect(await access.mayLogIn(asUser ?? user, withPassword ?? password)).toBe(false);
  });

  it('is refused when its identity has ended, or is of another key', async () => {
    const { access, clock, user, password } = stage();
    const forged = throwAwayAgent({ crypto, clock }, 'home', crypto.generate('p256'));
    expect(await access.mayLogIn(forged.user, forged.password)).toBe(false);
    clock.advance(3 * 60_000 + 1000);
    expect(await access.mayLogIn(user, password)).toBe(false);
  });

  it('is refused with as many connections as may be', async () => {
    const { access, user, password } = stage({ connections: MAX_CONNECTIONS });
    expect(await access.mayLogIn(user, password)).toBe(false);
  });

  it.each(['revoked', 'quarantined'] as const)('that is %s may do nothing at all', async (status) => {
    const { access, user, password } = stage({ status });
    const question = {
      user,
      virtualHost: 'copilot',
      resource: 'queue',
      name: `agent.${user}`,
      permission: 'read',
    };
    expect(await access.mayLogIn(user, password)).toBe(false);
    expect(await access.mayEnter(user, 'copilot')).toBe(false);
    expect(await access.mayUse(question)).toBe(false);
    expect(
      await access.mayPublish(
        { ...question, resource: 'topic', name: 'copilot.in', permission: 'write' },
        `broker.${user}`,
      ),
    ).toBe(false);
  });

  it('may read its own queue and write to one exchange, of all combinations there are', async () => {
    const { access, user } = stage();
    const allowed: string[] = [];
    for (const virtualHost of ['copilot', '/'])
      for (const resource of ['exchange', 'queue', 'topic', ''])
        for (const name of [
          'copilot.in',
          'copilot.trusted',
          'amq.default',
          '',
          'broker',
          `agent.${user}`,
          `agent.${other}`,
        ])
          for (const permission of ['configure', 'write', 'read', ''])
            if (await access.mayUse({ user, virtualHost, resource, name, permission }))
              allowed.push(`${virtualHost} ${resource} ${name} ${permission}`);
    expect(allowed).toEqual(['copilot exchange copilot.in write', `copilot queue agent.${user} read`]);
  });

  it('may publish in its own name, and bind nothing', async () => {
    const { access, user } = stage();
    const may = (name: string, permission: string, key: string): Promise<boolean> =>
      access.mayPublish({ user, virtualHost: 'copilot', resource: 'topic', name, permission }, key);
    expect(await may('copilot.in', 'write', `broker.${user}`)).toBe(true);
    expect(await may('copilot.in', 'write', `broker:broker-1.${user}`)).toBe(true);
    expect(await may('copilot.in', 'write', `broker.${other}`)).toBe(false);
    expect(await may('copilot.in', 'read', `broker.${user}`)).toBe(false);
    expect(await may('copilot.trusted', 'write', `broker.${user}`)).toBe(false);
  });
});

describe('the password by which a broker closes the connections of an agent', () => {
  it('is known for one agent, for half a minute and what clocks may differ', () => {
    const { access, clock, user } = stage();
    const password = evictionPassword({ crypto, clock }, identityKey, user);
    expect(access.mayEvict(user, password)).toBe(true);
    expect(access.mayEvict(other, password)).toBe(false);
    clock.advance(91_000);
    expect(access.mayEvict(user, password)).toBe(false);
  });

  it.each([
    ['an identity', (made: ReturnType<typeof stage>) => made.password],
    [
      'one of another key',
      ({ clock, user }: ReturnType<typeof stage>) =>
        evictionPassword({ crypto, clock }, crypto.generate('p256'), user),
    ],
    ['nothing', () => ''],
    [
      'one without an end',
      ({ user }: ReturnType<typeof stage>) =>
        signJws(crypto, identityKey, 'copilot-eviction', { agent: user }),
    ],
  ])('is not %s', (_what, password) => {
    const made = stage();
    expect(made.access.mayEvict(made.user, password(made))).toBe(false);
  });

  it('is none for brokers and adapters', () => {
    const { access, clock } = stage();
    for (const user of ['broker', 'service.storage'])
      expect(access.mayEvict(user, evictionPassword({ crypto, clock }, identityKey, user))).toBe(false);
  });

  it('is no login', async () => {
    const { access, clock, user } = stage();
    const password = evictionPassword({ crypto, clock }, identityKey, user);
    expect(await access.mayLogIn(user, password)).toBe(false);
  });
});

describe('the questions of a bus', () => {
  const asked: string[] = [];
  const access: BusAccess = {
    mayLogIn: async (user, password) => {
      asked.push(`${user} ${password}`);
      return true;
    },
    mayEvict: (user) => user === 'evicted',
    mayEnter: async () => true,
    mayUse: async () => true,
    mayPublish: async () => {
      throw new Error('the ledger does not answer');
    },
  };
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };

  async function ask(path: string, payload: string, sent: Record<string, string> = headers): Promise<string> {
    const server = createBusServer({ access, log: silentLog });
    const { body } = await server.inject({ method: 'POST', url: path, headers: sent, payload });
    await server.close();
    return body;
  }

  it('let a broker in at the management, and no agent', async () => {
    expect(await ask(BUS_PATHS.user, 'username=evicted&password=c')).toBe('allow management');
    expect(await ask(BUS_PATHS.user, 'username=b&password=c')).toBe('allow');
    asked.length = 0;
  });

  it('are read as the form that they are', async () => {
    expect(await ask(BUS_PATHS.user, 'username=a&password=b%2Bc')).toBe('allow');
    expect(asked).toEqual(['a b+c']);
  });

  it.each([
    ['without a field', BUS_PATHS.vhost, 'username=a', headers],
    ['with a field twice', BUS_PATHS.vhost, 'username=a&username=b&vhost=copilot', headers],
    [
      'as JSON',
      BUS_PATHS.vhost,
      '{"username":"a","vhost":"copilot"}',
      { 'content-type': 'application/json' },
    ],
    ['too large', BUS_PATHS.user, `username=a&password=${'x'.repeat(10_000)}`, headers],
    ['empty', BUS_PATHS.resource, '', headers],
    [
      'that cannot be answered',
      BUS_PATHS.topic,
      'username=a&vhost=b&resource=topic&name=c&permission=write&routing_key=d',
      headers,
    ],
  ])('%s are answered deny', async (_what, path, payload, sent) => {
    expect(await ask(path, payload, sent)).toBe('deny');
  });
});
