import { afterEach, describe, expect, it } from 'vitest';
import { probeXmpp } from '../../../protocol/bindings/xmpp-probe.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { LACKS_EJABBERD, openLockedEjabberd } from '../../doubles/locked-ejabberd.ts';
import type { LockedXmpp, LockedXmppOptions } from '../../doubles/locked-xmpp.ts';
import { rawAgent } from '../../doubles/raw-xmpp.ts';
import { xmppAttacks } from './xmpp-attacks.ts';

const GUARD = 'modules/mod_copilot_guard.erl';

describe.skipIf(LACKS_EJABBERD)('on ejabberd (left out where it is not installed)', () => {
  xmppAttacks({
    name: 'ejabberd',
    open: () => openLockedEjabberd({ withTls: true }),
    forgedSender: 'ends the stream',
    comments: 'are nothing',
    names: 'shared out',
  });
});

describe.skipIf(LACKS_EJABBERD)('an ejabberd (left out where it is not installed)', () => {
  let ejabberd: LockedXmpp | undefined;
  const open = async (options: LockedXmppOptions): Promise<LockedXmpp> => {
    ejabberd = await openLockedEjabberd(options);
    return ejabberd;
  };
  afterEach(async () => {
    await ejabberd?.stop();
    ejabberd = undefined;
  });

  it('whose guard does nothing is seen by the lock-down check, thing by thing', async () => {
    const server = await open({
      change: (files) => ({
        ...files,
        [GUARD]: (files[GUARD] ?? '').replaceAll(/^ {4}ejabberd_hooks:(?:add|delete).*\n/gm, ''),
      }),
    });
    const { desk, url, componentUrl } = server;
    const bus = server.broker();
    await bus.start();
    const agents = [desk.agent(), desk.agent()] as const;
    const results = await probeXmpp({ url, componentUrl, clock: nodeClock, agents });
    await bus.stop();
    const leaks = results.filter(({ outcome }) => outcome === 'leak').map(({ attempt }) => attempt);
    expect(leaks).toEqual(
      expect.arrayContaining([
        'write to another agent',
        'chat with another agent',
        'show itself to another agent',
        'ask another agent something',
      ]),
    );
  });

  it('whose configuration leaves our modules out lets nobody in', async () => {
    const { desk, url } = await open({
      change: (files) => ({
        ...files,
        'ejabberd.yml': (files['ejabberd.yml'] ?? '').replaceAll(/,\s*"mod_copilot_\w+": \{[^}]*\}/g, ''),
      }),
    });
    await expect(rawAgent(url, desk.agent())).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
  });

  it('with a module of ours broken does not start', async () => {
    const started = open({ change: (files) => ({ ...files, [GUARD]: '-module(mod_copilot_guard).\n' }) });
    await expect(started).rejects.toThrow(/ended with|could not/);
  });
});
