import { CoPilotError } from '../errors.ts';
import { SUITE } from './header.ts';

/** What both sides must agree on before a word is said; no value that a bus gives or rewrites belongs here. */
export interface Prologue {
  /** The installation's name, 1 to 255 bytes of UTF-8. */
  readonly installation: string;
  /** Whom the initiator means to reach: `broker`, or an adapter's kind; 1 to 255 bytes of UTF-8. */
  readonly responderRole: string;
}

const LABEL = 'co-pilot session';
const MAX_FIELD_BYTES = 255;

/** Label, suite, installation and responder's role, each as a 16-bit big-endian length and its bytes. */
export function encodePrologue(prologue: Prologue): Uint8Array {
  const encoder = new TextEncoder();
  const fields = [
    encoder.encode(LABEL),
    new Uint8Array([SUITE]),
    encoder.encode(prologue.installation),
    encoder.encode(prologue.responderRole),
  ];
  const bytes: number[] = [];
  for (const field of fields) {
    if (field.length === 0 || field.length > MAX_FIELD_BYTES) {
      throw new CoPilotError('INTERNAL', `a prologue field has 1 to ${MAX_FIELD_BYTES} bytes`);
    }
    bytes.push(field.length >>> 8, field.length & 0xff, ...field);
  }
  return new Uint8Array(bytes);
}
