import { afterAll, beforeAll, describe } from 'vitest';
import { createXmppAgentBus } from '../../../protocol/bindings/xmpp-agent.ts';
import { createXmppBrokerBus } from '../../../protocol/bindings/xmpp-broker.ts';
import { XMPP_HANDLERS } from '../../../protocol/bindings/xmpp-port.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { busConformance } from '../../conformance/bus.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { openFaultProxy } from '../../doubles/fault-proxy.ts';
import {
  COMPONENTS,
  DOMAIN,
  type LockedEjabberd,
  openLockedEjabberd,
} from '../../doubles/locked-ejabberd.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { LACKS_EJABBERD } from '../../servers/ejabberd.ts';

describe.skipIf(LACKS_EJABBERD)('on ejabberd (left out where it is not installed)', () => {
  let ejabberd: LockedEjabberd;

  beforeAll(async () => {
    ejabberd = await openLockedEjabberd();
  });
  afterAll(() => ejabberd.stop());

  busConformance({
    name: 'xmpp',
    handlersAtOnce: XMPP_HANDLERS,
    outboxFrames: 64,
    async pair(clock) {
      const before = sockets();
      const { agents, components } = ejabberd.server.ports;
      const { user, password } = ejabberd.agent();
      const common = { clock, random: nodeRandom, log: silentLog };
      const proxy = await openFaultProxy();
      proxy.target(agents);
      return {
        broker: createXmppBrokerBus({
          ...common,
          url: `xmpp://127.0.0.1:${components}/${DOMAIN}`,
          secret: COMPONENTS.entrance.password,
          instance: 'broker-1',
          framesPerSecond: 10_000,
        }),
        client: createXmppAgentBus({
          ...common,
          url: `xmpp://127.0.0.1:${proxy.port}/${DOMAIN}`,
          agent: user,
          identity: () => password,
          renewIdentity: async () => undefined,
        }),
        async interrupt(same, whileDown) {
          proxy.target(1);
          proxy.cutAll();
          await whileDown();
          proxy.target(agents);
          return same;
        },
        async release() {
          await proxy.close();
          // The next test counts its own.
          await eventuallyTrue('sockets to be gone', async () => sockets() <= before, 10_000);
        },
      };
    },
  });
});

function sockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP')).length;
}
