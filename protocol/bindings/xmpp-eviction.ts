import { type Element, xml } from '@xmpp/client';
import { CoPilotError } from '../errors.ts';

/** Our own part of an XMPP server hears it, from brokers alone. */
const NAMESPACE = 'urn:co-pilot:evict:1';

/** Asks the server of the domain to close every stream of one of its agents. */
export function evictionStanza(domain: string, agent: string, id: string): Element {
  return xml('iq', { type: 'set', to: domain, id }, xml('evict', { xmlns: NAMESPACE, agent }));
}

/** How many streams there were, by the server's answer. Throws `NOT_AUTHORIZED` where it refused. */
export function closedBy(answer: Element): number {
  const closed = answer.getChild('evict', NAMESPACE)?.attrs['closed'] ?? '';
  if (answer.attrs['type'] === 'result' && /^\d{1,4}$/.test(closed)) return Number(closed);
  const [condition] = answer.getChild('error')?.getChildElements() ?? [];
  throw new CoPilotError(
    'NOT_AUTHORIZED',
    `the bus closed nothing (${condition?.name ?? 'no reason'}); \`co-pilot bus config\` writes a configuration that does`,
  );
}
