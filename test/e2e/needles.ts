import { constants, gunzipSync } from 'node:zlib';

/** Too short, and chance would find it. */
const MIN_BYTES = 16;

/** Every way a secret may look in other bytes (I10): plain, base64 at three alignments, hex, URL-encoded. */
export function needlesOf(secret: Uint8Array): readonly Buffer[] {
  if (secret.length < MIN_BYTES) throw new Error(`a canary has ${MIN_BYTES} bytes or more`);
  const plain = Buffer.from(secret);
  const texts = [...base64Forms(plain), ...hexForms(plain), ...urlForms(plain)];
  const unique = new Set([plain.toString('latin1'), ...texts]);
  return [...unique].map((text) => Buffer.from(text, 'latin1'));
}

/** What base64 makes of the bytes wherever they lie in a longer text: the letters that depend on the neighbours are left out. */
function base64Forms(plain: Buffer): readonly string[] {
  return [0, 1, 2].flatMap((before) => {
    const padded = Buffer.concat([Buffer.alloc(before), plain]);
    const first = Math.ceil((before * 8) / 6);
    const last = Math.floor((padded.length * 8) / 6);
    const standard = padded.toString('base64').slice(first, last);
    return [standard, standard.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

function hexForms(plain: Buffer): readonly string[] {
  const lower = plain.toString('hex');
  return [lower, lower.toUpperCase()];
}

/** Browsers leave letters as they are, others encode every byte; the hex digits come in both cases. */
function urlForms(plain: Buffer): readonly string[] {
  const encode = (byte: number): string => `%${byte.toString(16).padStart(2, '0')}`;
  const isUnreserved = (byte: number): boolean => /[A-Za-z0-9._~-]/.test(String.fromCharCode(byte));
  const whole = [...plain].map(encode).join('');
  const usual = [...plain]
    .map((byte) => (isUnreserved(byte) ? String.fromCharCode(byte) : encode(byte)))
    .join('');
  const upper = (text: string): string => text.replaceAll(/%[0-9a-f]{2}/g, (code) => code.toUpperCase());
  return [whole, upper(whole), usual, upper(usual)];
}

const GZIP = Buffer.from([0x1f, 0x8b, 0x08]);
const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;
const MAX_DEPTH = 3;

/** The bytes, and what every gzip stream in them unpacks to, wherever it begins. */
export function unpacked(bytes: Buffer, depth = 0): readonly Buffer[] {
  const found = [bytes];
  if (depth === MAX_DEPTH) return found;
  for (let at = bytes.indexOf(GZIP); at >= 0; at = bytes.indexOf(GZIP, at + 1)) {
    const inner = gunzip(bytes.subarray(at));
    if (inner !== undefined) found.push(...unpacked(inner, depth + 1));
  }
  return found;
}

function gunzip(bytes: Buffer): Buffer | undefined {
  try {
    // What was cut off, as a log's tail is, still says what came before.
    return gunzipSync(bytes, { maxOutputLength: MAX_UNPACKED_BYTES, finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return undefined; // three bytes that look like gzip are not gzip yet
  }
}
