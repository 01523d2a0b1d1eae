import { CoPilotError } from '../../protocol/errors.ts';
import { type BrokerMessage, encodeMessage, MAX_MESSAGE_BYTES } from '../../protocol/messages.ts';

type Fitting = Extract<BrokerMessage, { readonly verdicts: readonly unknown[] }>;

const MARGIN_BYTES = 512;

/**
 * An answer as bytes that fit a message. Verdicts that do not fit travel with the next answer, since they stay pending until
 * named as seen; capabilities that do not fit are asked for with `outputs`.
 */
export function encodeFitting(message: BrokerMessage): Uint8Array {
  try {
    return encodeMessage(message);
  } catch (caught) {
    const isTooLarge = caught instanceof CoPilotError && caught.code === 'FRAME_TOO_LARGE';
    if (!isTooLarge || !('verdicts' in message)) throw caught;
    return encodeMessage(trimmed(message));
  }
}

function trimmed(message: Fitting): Fitting {
  let room = MAX_MESSAGE_BYTES - MARGIN_BYTES - bytes({ ...message, verdicts: [] });
  if (room < 0) return { ...withoutCapabilities(message), verdicts: [] };
  const verdicts = message.verdicts.filter((verdict) => (room -= bytes(verdict) + 1) >= 0);
  return { ...message, verdicts };
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
