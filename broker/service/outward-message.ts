import type { CoPilotError } from '../../protocol/errors.ts';

const MAX_MESSAGE = 500;

/** What strangers are told of an error: a trouble of ours keeps its code and loses its words, which name files of this machine. */
export function outwardMessage({ code, message }: CoPilotError): string {
  const isOurs = code === 'INTERNAL' || code.startsWith('LEDGER_');
  return isOurs ? 'a fault of the broker; nothing changed, ask again' : message.slice(0, MAX_MESSAGE);
}
