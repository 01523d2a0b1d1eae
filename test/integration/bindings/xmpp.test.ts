import { afterAll, beforeAll, describe } from 'vitest';
import { XMPP_HANDLERS } from '../../../protocol/bindings/xmpp-port.ts';
import { busConformance } from '../../conformance/bus.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { openFaultProxy } from '../../doubles/fault-proxy.ts';
import { LACKS_PROSODY, openLockedProsody } from '../../doubles/locked-prosody.ts';
import type { LockedXmpp } from '../../doubles/locked-xmpp.ts';

const WITHIN_MS = 10_000;

describe.skipIf(LACKS_PROSODY)('on Prosody (left out where it is not installed)', () => {
  let prosody: LockedXmpp;
  let port: number;

  beforeAll(async () => {
    prosody = await openLockedProsody();
    port = Number(new URL(prosody.url).port);
  });
  afterAll(() => prosody.stop());

  busConformance({
    name: 'xmpp',
    handlersAtOnce: XMPP_HANDLERS,
    outboxFrames: 64,
    async pair(clock) {
      const proxy = await openFaultProxy();
      proxy.target(port);
      return {
        broker: prosody.broker({ clock }),
        client: prosody.agentBus(prosody.desk.agent(), { clock, url: `xmpp://127.0.0.1:${proxy.port}` }),
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
