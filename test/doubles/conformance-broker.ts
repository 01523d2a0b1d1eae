import type { BrokerSubject } from '../../conformance/broker/subject.ts';
import { askBroker } from '../../cli/connection.ts';
import { openInstallation } from '../../cli/installation.ts';
import { createResultStore } from '../../cli/result-store.ts';
import { sha256Of } from '../../conformance/peer/key-holder.ts';
import type { LiveBroker } from './live-broker.ts';

const CODES = 3;
const CODE_SECONDS = 600;

/** A live broker as the conformance suite is lent it. */
export async function conformanceSubject(live: LiveBroker): Promise<Required<BrokerSubject>> {
  const { configurations } = await openInstallation({ directory: live.directory });
  const { host, port, operatorToken } = configurations.bridge;
  const store = createResultStore({ url: `http://${host}:${port}`, operatorToken });
  const codes: string[] = [];
  while (codes.length < CODES) codes.push(await live.newCode(CODE_SECONDS));
  return {
    address: live.program.busUrl,
    codes,
    async submit({ description, inputs, retries }) {
      for (const { content } of inputs) {
        const text = Buffer.from(content).toString('utf8');
        await store.put({ kind: 'content', size: content.length, sha256: sha256Of(content), content: text });
      }
      return live.submit(description, { retries });
    },
    async cancel(job) {
      live.framework.cancel(job);
    },
    async revoke(agent) {
      await askBroker(live.directory, 'POST', `/v1/agents/${agent}/revoke`, {});
    },
    async restart() {
      await live.stopBroker();
      await live.startBroker();
    },
  };
}
