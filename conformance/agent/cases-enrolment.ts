import { ENROLMENT_PATHS } from '../../protocol/enrolment.ts';
import { base64url } from '../../protocol/encoding.ts';
import { expect } from '../expectation.ts';
import type { AgentCase } from './agent-case.ts';
import { openHttpDesk } from './http-desk.ts';
import { anotherAddress, type Stage } from './stage.ts';

/** Long enough for what must not happen to happen, in an agent that does it. */
const WATCH_MS = 4000;

/** E: how an agent enrols, whom it believes, and how it keeps its identity. */
export const enrolmentCases: readonly AgentCase[] = [
  {
    id: 'AGT-E-001',
    title: 'enrols with its code: challenge, proof and keys as the protocol says, and nothing else',
    requirements: ['E-2', 'E-5', 'E-6'],
    level: 'core',
    start: 'cold',
    async run(stage) {
      await stage.start();
      await stage.session();
      expect(stage.enrolment.visitsTo(ENROLMENT_PATHS.challenge).length > 0, 'it asked for no challenge');
      expect(stage.enrolment.visitsTo(ENROLMENT_PATHS.enrol).length === 1, 'it did not enrol just once');
    },
  },
  {
    id: 'AGT-E-002',
    title: 'refuses an enrolment whose certifier is not the one of its code',
    requirements: ['E-7'],
    level: 'core',
    start: 'cold',
    async run(stage) {
      const other = base64url(stage.runtime.crypto.generate('ed25519').publicKey.raw);
      stage.enrolment.manners.answer = (path, truth) =>
        path === ENROLMENT_PATHS.enrol ? { status: 200, body: { ...truth, certifier: other } } : undefined;
      await stage.start();
      await stage.until('its enrolment', () => stage.enrolment.visitsTo(ENROLMENT_PATHS.enrol)[0], 20_000);
      await staysAway(stage);
    },
  },
  ...([ENROLMENT_PATHS.challenge, ENROLMENT_PATHS.enrol] as const).map(
    (path, index): AgentCase => ({
      id: `AGT-E-00${index + 3}`,
      title: `does not follow a redirect of ${path}`,
      requirements: ['E-3'],
      level: 'full',
      start: 'cold',
      async run(stage) {
        stage.enrolment.manners.answer = (asked) =>
          asked === path ? { status: 307, headers: { location: '/elsewhere' }, body: {} } : undefined;
        await stage.start();
        await stage.until(`a request to ${path}`, () => stage.enrolment.visitsTo(path)[0], 20_000);
        await stage.never(
          () => (stage.enrolment.visitsTo('/elsewhere').length > 0 ? 'it followed the redirect' : undefined),
          WATCH_MS,
        );
      },
    }),
  ),
  {
    id: 'AGT-E-005',
    title: 'refuses to enrol over plain HTTP at an address that is not loopback',
    requirements: ['E-3'],
    level: 'full',
    start: 'cold',
    needs: ['another-address'],
    async run(stage) {
      const address = anotherAddress() ?? '';
      let visits = 0;
      const desk = await openHttpDesk(address, (_request, response) => {
        visits += 1;
        response.destroy();
      });
      try {
        await stage.start(stage.enrolment.code(`http://${address}:${desk.port}`));
        await stage.never(() => (visits > 0 ? 'it spoke in the clear' : undefined), WATCH_MS);
      } finally {
        await desk.close();
      }
    },
  },
  ...(
    [
      ['is not JSON', { status: 200, body: 'welcome!' }],
      ['is far too long', { status: 200, body: `"${'x'.repeat(4 * 1024 * 1024)}"` }],
      ['lacks the identity', { status: 200, body: { installation: 'x', bus: ['ws://127.0.0.1:9'] } }],
    ] as const
  ).map(
    ([what, answer], index): AgentCase => ({
      id: `AGT-E-00${index + 6}`,
      title: `does not take an enrolment answer that ${what}`,
      requirements: ['E-7'],
      level: 'robust',
      start: 'cold',
      async run(stage) {
        stage.enrolment.manners.answer = (path) => (path === ENROLMENT_PATHS.enrol ? answer : undefined);
        await stage.start();
        await stage.until('its enrolment', () => stage.enrolment.visitsTo(ENROLMENT_PATHS.enrol)[0], 20_000);
        await staysAway(stage);
      },
    }),
  ),
  {
    id: 'AGT-E-009',
    title:
      'renews its identity when it is told that it has ended, proves its keys, and connects with the new one',
    requirements: ['E-11', 'M-21'],
    level: 'full',
    async run(stage) {
      const old = stage.line.hello.identity;
      stage.say({ kind: 'farewell', code: 'IDENTITY_EXPIRED', message: 'as the case says' });
      await stage.until('a renewal', () => stage.enrolment.visitsTo(ENROLMENT_PATHS.renew)[0]);
      await stage.until('a session with the new identity', () =>
        stage.line.hello.identity === old ? undefined : true,
      );
      await stage.proves();
    },
  },
  {
    id: 'AGT-E-010',
    title: 'renews its identity before it ends',
    requirements: ['E-11'],
    level: 'robust',
    start: 'cold',
    async run(stage) {
      const lifeSeconds = 9;
      stage.enrolment.manners.lifeSeconds = lifeSeconds;
      await stage.start();
      await stage.session();
      await stage.until(
        `a renewal within the ${lifeSeconds} s its identity lives`,
        () => stage.enrolment.visitsTo(ENROLMENT_PATHS.renew)[0],
        lifeSeconds * 1000,
      );
    },
  },
  {
    id: 'AGT-E-011',
    title: 'does not take a renewed identity from somebody with another certifier',
    requirements: ['E-11', 'E-7'],
    level: 'robust',
    start: 'spent',
    async run(stage) {
      const other = base64url(stage.runtime.crypto.generate('ed25519').publicKey.raw);
      const old = stage.line.hello.identity;
      stage.enrolment.manners.answer = (path, truth) =>
        path === ENROLMENT_PATHS.renew ? { status: 200, body: { ...truth, certifier: other } } : undefined;
      stage.say({ kind: 'farewell', code: 'IDENTITY_EXPIRED', message: 'as the case says' });
      await stage.until('a renewal', () => stage.enrolment.visitsTo(ENROLMENT_PATHS.renew)[0]);
      await stage.never(
        () => (stage.line.hello.identity === old ? undefined : 'it connected with that identity'),
        WATCH_MS,
      );
    },
  },
  {
    id: 'AGT-E-012',
    title: 'keeps its keys and its identity over a restart, and needs its code once',
    requirements: ['E-1', 'E-8'],
    level: 'full',
    start: 'spent',
    async run(stage) {
      const { start } = stage.line.hello;
      await stage.restart();
      await stage.until(
        'a session of the next start',
        () => (stage.line.hello.start === start ? undefined : true),
        20_000,
      );
      const bodies = stage.enrolment.visitsTo(ENROLMENT_PATHS.enrol).map(({ body }) => JSON.stringify(body));
      expect(bodies.length <= 1, 'it enrolled anew when it was started again');
    },
  },
  {
    id: 'AGT-E-013',
    title: 'writes neither its code nor an identity into its output',
    requirements: ['E-15'],
    level: 'full',
    start: 'cold',
    async run(stage) {
      await stage.start();
      await stage.session();
      await stage.parked();
      stage.say({ kind: 'farewell', code: 'IDENTITY_EXPIRED', message: 'as the case says' });
      await stage.until('a renewal', () => stage.enrolment.visitsTo(ENROLMENT_PATHS.renew)[0]);
      const { program } = stage;
      program?.signal('SIGTERM');
      // What it wrote is looked at when the case ends, as in every case.
      await stage.until('its end', () => program?.ended, 20_000);
    },
  },
];

async function staysAway(stage: Stage): Promise<void> {
  await stage.never(() => (stage.desk.message1s.length > 0 ? 'it went on to the bus' : undefined), WATCH_MS);
}
