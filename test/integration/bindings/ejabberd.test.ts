import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ejabberdFiles } from '../../../cli/ejabberd/server-files.ts';
import {
  COMPONENTS,
  DOMAIN,
  type LockedEjabberd,
  openLockedEjabberd,
} from '../../doubles/locked-ejabberd.ts';
import { rawClient, rawComponent, type RawLogin, type RawStream } from '../../doubles/raw-xmpp.ts';
import { LACKS_EJABBERD, startEjabberd } from '../../servers/ejabberd.ts';

const [BROKER, STORAGE, LOCAL] = [COMPONENTS.entrance.name, COMPONENTS.storage.name, COMPONENTS.local.name];
const PASSWORDS = {
  broker: COMPONENTS.entrance.password,
  storage: COMPONENTS.storage.password,
  local: COMPONENTS.local.password,
};
const PROBE = "<frame xmlns='urn:co-pilot:frame:1'>";
const message = (to: string, text: string, more = '') =>
  `<message to='${to}' ${more}>${PROBE}${text}</frame></message>`;
const ping = (to = DOMAIN) => `<iq type='get' id='ping' to='${to}'><ping xmlns='urn:xmpp:ping'/></iq>`;

describe.skipIf(LACKS_EJABBERD)('ejabberd as we set it up (left out where it is not installed)', () => {
  let ejabberd: LockedEjabberd;
  let streams: RawStream[];

  const agent = () => ejabberd.agent();
  const track = (stream: RawStream) => {
    streams.push(stream);
    return stream;
  };
  const logIn = async (login: RawLogin) =>
    track(await rawClient(ejabberd.server.ports.agents, DOMAIN, login));
  const component = async (name: string, password: string) =>
    track(await rawComponent(ejabberd.server.ports.components, name, password));

  beforeAll(async () => {
    ejabberd = await openLockedEjabberd();
  });
  afterAll(() => ejabberd.stop());
  beforeEach(() => {
    streams = [];
  });
  afterEach(() => {
    for (const stream of streams) stream.close();
  });

  describe('at a login', () => {
    it('lets an agent in with its identity, and nobody with another’s, with none, or in another’s place', async () => {
      const [own, other] = [agent(), agent()];
      await logIn(own);
      for (const wrong of [
        { user: other.user, password: own.password },
        { user: own.user, password: '' },
        { user: own.user, password: 'x'.repeat(1025) },
        { ...own, onBehalfOf: other.user },
        { user: 'admin', password: own.password },
        ...ejabberd.strangers(),
      ])
        await expect(logIn(wrong)).rejects.toThrow(/<failure|stream ended/);
    });

    it('refuses an agent that was revoked', async () => {
      const own = agent();
      ejabberd.revoke(own.user);
      await expect(logIn(own)).rejects.toThrow(/not-authorized/);
    });

    it('says no while no broker answers, keeps who is there, and says yes again when one does', async () => {
      const [before, after] = [agent(), agent()];
      const stream = await logIn(before);
      await ejabberd.closeDecisions();
      await expect(logIn(after)).rejects.toThrow(/not-authorized/);
      stream.say(ping());
      await stream.hear(/<iq[^>]*type='result'/);
      await ejabberd.openDecisions();
      await logIn(after);
    });

    it('follows a change of the key that identities are signed with', async () => {
      const old = agent();
      await ejabberd.closeDecisions();
      ejabberd.rotateKey();
      await ejabberd.openDecisions();
      await expect(logIn(old)).rejects.toThrow(/not-authorized/);
      await logIn(agent());
    });
  });

  describe('an agent', () => {
    it('speaks to the broker in its own name, and hears it', async () => {
      const own = agent();
      const [stream, broker] = [await logIn(own), await component(BROKER, PASSWORDS.broker)];
      stream.say(message(BROKER, 'cXVlc3Rpb24='));
      expect(await broker.hear(/cXVlc3Rpb24=/)).toContain(`${own.user}@${DOMAIN}/co-pilot`);
      broker.say(message(`${own.user}@${DOMAIN}/co-pilot`, 'YW5zd2Vy', `from='${BROKER}'`));
      await stream.hear(/YW5zd2Vy/);
    });

    it('reaches nobody else, by whatever stanza', async () => {
      const [own, other] = [agent(), agent()];
      const [stream, victim, storage] = [
        await logIn(own),
        await logIn(other),
        await component(STORAGE, PASSWORDS.storage),
      ];
      const [bare, full] = [`${other.user}@${DOMAIN}`, `${other.user}@${DOMAIN}/co-pilot`];
      const refused = [bare, full, STORAGE, DOMAIN, 'example.org'].flatMap((to) => [
        message(to, 'bGVhaw=='),
        `<iq type='get' id='leak' to='${to}'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>`,
        `<presence to='${to}' id='leak'/>`,
        `<presence to='${to}' id='leak' type='subscribe'/>`,
      ]);
      for (const stanza of refused) {
        stream.say(stanza);
        await stream.hear(/<policy-violation|<error/);
      }
      // What is refused without a word is refused before this is answered.
      stream.say(
        `<iq type='result' id='leak' to='${full}'/>${message(full, 'bGVhaw==', "type='error'")}${ping()}`,
      );
      await stream.hear(/type='result'/);
      victim.say(ping());
      expect(await victim.hear(/type='result'/)).not.toMatch(/leak|bGVhaw==/);
      storage.say(message(BROKER, 'ZW5k', `from='${STORAGE}'`));
      await storage.hear(/service-unavailable|remote-server|<error/);
      expect(storage.heard()).not.toMatch(/leak|bGVhaw==/);
    });

    it('that says it is somebody else is sent away', async () => {
      const stream = await logIn(agent());
      stream.say(message(BROKER, 'bGVhaw==', `from='${LOCAL}'`));
      await stream.hear(/invalid-from/);
    });

    it('that says too much at once is sent away', async () => {
      const stream = await logIn(agent());
      stream.say(message(BROKER, 'x'.repeat(70_000)));
      await stream.hear(/<stream:error/);
    });

    it('that sends what is no XML, or defines entities, is sent away', async () => {
      for (const wrong of ['<message><', '<!DOCTYPE a [<!ENTITY b "c">]><message/>']) {
        const stream = await logIn(agent());
        stream.say(wrong + '&b;</a>');
        await stream.hear(/<stream:error/);
      }
    });
  });

  describe('an adapter', () => {
    it('is refused with a wrong password, under a name of nobody, and with that of another', async () => {
      await expect(component(STORAGE, 'wrong')).rejects.toThrow();
      await expect(component(STORAGE, PASSWORDS.local)).rejects.toThrow();
      await expect(component(`other.service.${DOMAIN}`, PASSWORDS.local)).rejects.toThrow();
    });

    it('reaches brokers in its own name, and neither agents nor other adapters', async () => {
      const own = agent();
      const [victim, broker, storage, local] = [
        await logIn(own),
        await component(BROKER, PASSWORDS.broker),
        await component(STORAGE, PASSWORDS.storage),
        await component(LOCAL, PASSWORDS.local),
      ];
      storage.say(message(BROKER, 'Zm9yZ2Vk', `from='${LOCAL}'`));
      storage.say(message(LOCAL, 'bGVhaw==', `from='${STORAGE}'`));
      storage.say(message(`${own.user}@${DOMAIN}/co-pilot`, 'bGVhaw==', `from='${STORAGE}'`));
      storage.say(message(BROKER, 'cmVhbA==', `from='${STORAGE}'`));
      expect(await broker.hear(/cmVhbA==/)).not.toContain('Zm9yZ2Vk');
      broker.say(message(LOCAL, 'aGVsbG8=', `from='${BROKER}'`));
      expect(await local.hear(/aGVsbG8=/)).not.toContain('bGVhaw==');
      victim.say(ping());
      expect(await victim.hear(/type='result'/)).not.toContain('bGVhaw==');
    });
  });

  it('comes back after it was killed, and lets in who was there', async () => {
    const own = agent();
    await logIn(own);
    await ejabberd.server.kill();
    await ejabberd.server.start();
    await logIn(own);
  });

  it('does not start with a module of ours missing or broken', async () => {
    const place = join(ejabberd.directory, 'broken');
    const started = startEjabberd(place, ({ agents, components }) => ({
      ...ejabberdFiles({
        domain: DOMAIN,
        listen: { kind: 'plain', host: '127.0.0.1', port: agents },
        componentPort: components,
        decisionsUrl: 'http://127.0.0.1:1',
        brokers: { [BROKER]: PASSWORDS.broker },
        adapters: {},
      }),
      'mod_copilot_guard.erl': '-module(mod_copilot_guard).\n',
    }));
    await expect(started).rejects.toThrow(/ended with|could not/);
  });
});
