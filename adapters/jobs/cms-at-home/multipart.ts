/** One part of a form (RFC 7578). */
export interface FormPart {
  readonly name: string;
  readonly content: string;
}

const MAX_PARTS = 64;
const BOUNDARY = /^multipart\/form-data;(?:[^;]*;)*\s*boundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))/i;
const NAME = /^content-disposition:[^\r\n]*[; ]name="([^"\r\n]{1,64})"/im;

/** Parts of a body that is in memory; none where it is no form of this kind, as fields of any other have no place in a queue. */
export function formParts(contentType: string, body: Buffer): readonly FormPart[] {
  const found = BOUNDARY.exec(contentType);
  const boundary = found?.[1] ?? found?.[2];
  if (boundary === undefined) return [];
  const mark = Buffer.from(`--${boundary}`, 'latin1');
  const parts: FormPart[] = [];
  for (let at = body.indexOf(mark); at >= 0 && parts.length < MAX_PARTS; ) {
    const begin = at + mark.length;
    const end = body.indexOf(mark, begin);
    if (end < 0) break;
    const part = partOf(body.subarray(begin, end));
    if (part !== undefined) parts.push(part);
    at = end;
  }
  return parts;
}

function partOf(bytes: Buffer): FormPart | undefined {
  const head = bytes.indexOf('\r\n\r\n');
  if (head < 0) return undefined;
  const name = NAME.exec(bytes.subarray(0, head).toString('latin1'))?.[1];
  // The line end before the next mark belongs to it.
  const content = bytes.subarray(head + 4, Math.max(head + 4, bytes.length - 2)).toString('utf8');
  return name === undefined ? undefined : { name, content };
}
