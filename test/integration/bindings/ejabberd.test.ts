import { afterAll, beforeAll, describe } from 'vitest';
import { XMPP_HANDLERS } from '../../../protocol/bindings/xmpp-port.ts';
import { busConformance } from '../../conformance/bus.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { openFaultProxy } from '../../doubles/fault-proxy.ts';
import { LACKS_EJABBERD, openLockedEjabberd } from '../../doubles/locked-ejabberd.ts';
import type { LockedXmpp } from '../../doubles/locked-xmpp.ts';

const WITHIN_MS = 10_000;

describe.skipIf(LACKS_EJABBERD)('on ejabberd (left out where it is not installed)', () => {
  let ejabberd: LockedXmpp;
  let port: number;

  beforeAll(async () => {
    ejabberd = await openLockedEjabberd();
    port = Number(new URL(ejabberd.url).port);
  });
  afterAll(() => ejabberd.stop());

  busConformance({
    name: 'xmpp',
    handlersAtOnce: XMPP_HANDLERS,
    outboxFrames: 64,
    async pair(clock) {
      const proxy = await openFaultProxy();
      proxy.target(port);
      return {
        broker: ejabberd.broker({ clock }),
        client: ejabberd.agentBus(ejabberd.desk.agent(), { clock, url: `xmpp://127.0.0.1:${proxy.port}` }),
        async interrupt(same, whileDown) {
          proxy.target(1);
          proxy.cutAll();
          await whileDown();
          proxy.target(port);
          return same;
        },
        async release() {
          await proxy.close();
          // Those of the proxy and of the desk are this process's too, and would be counted in the next test.
          await eventuallyTrue(
            'every connection to be gone',
            () => !process.getActiveResourcesInfo().includes('TCPSocketWrap'),
            WITHIN_MS,
          );
        },
      };
    },
  });
});
