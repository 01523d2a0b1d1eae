import type { BrokerMessage } from '../../protocol/messages.ts';
import { MAX_MESSAGE_BYTES } from '../../protocol/messages.ts';

type Fitting = Extract<BrokerMessage, { readonly verdicts: readonly unknown[] }>;

const MARGIN_BYTES = 512;

/**
 * Makes an answer fit a message: verdicts that do not fit travel with the next answer, since they stay pending until named
 * as seen; capabilities that do not fit are asked for with `outputs`.
 */
export function fit(message: Fitting): Fitting {
  let room = MAX_MESSAGE_BYTES - MARGIN_BYTES - bytes({ ...message, verdicts: [] });
  if (room < 0) return { ...withoutCapabilities(message), verdicts: [] };
  const verdicts = message.verdicts.filter((verdict) => (room -= bytes(verdict) + 1) >= 0);
  return verdicts.length === message.verdicts.length ? message : { ...message, verdicts };
}

function withoutCapabilities(message: Fitting): Fitting {
  if (message.kind === 'job') return { ...message, lease: { ...message.lease, capabilities: [] } };
  if (message.kind === 'reported' && message.next !== undefined && 'capabilities' in message.next)
    return { ...message, next: { ...message.next, capabilities: [] } };
  return message;
}

function bytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
