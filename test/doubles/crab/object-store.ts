import { createHmac, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../../protocol/runtime/runtime.ts';

const PREFIX = '/s3/';
const POST_MS = 3_600_000;
const GET_MS = 30 * 86_400_000;
/** Of a sandbox. */
const MAX_BYTES = 120 * 1024 * 1024;

/** What S3 is to the server: a bucket of sandboxes and logs, open to whoever shows a signed address. */
export interface ObjectStore {
  /** Address and fields of a form that uploads this key, for an hour. */
  presignPost(base: string, key: string): readonly [string, Readonly<Record<string, string>>];
  presignGet(base: string, key: string): string;
  has(key: string): boolean;
  put(key: string, bytes: Uint8Array): void;
  keys(): readonly string[];
  /** Whether the request was for the bucket. */
  serve(request: IncomingMessage, response: ServerResponse, body: Buffer): boolean;
}

export function createObjectStore(clock: Clock): ObjectStore {
  const secret = randomBytes(32);
  const objects = new Map<string, Uint8Array>();
  const sign = (verb: string, key: string, expires: string): string =>
    createHmac('sha256', secret).update(`${verb}\n${key}\n${expires}`).digest('hex');
  const isSigned = (verb: string, key: string, expires: string, signature: string): boolean =>
    Number(expires) > clock.wallMs() && sign(verb, key, expires) === signature;

  function download(url: URL, key: string, response: ServerResponse): void {
    const { searchParams: query } = url;
    const expires = query.get('X-Amz-Expires') ?? '';
    if (!isSigned('GET', key, expires, query.get('X-Amz-Signature') ?? ''))
      return refuse(response, 403, 'AccessDenied');
    const object = objects.get(key);
    if (object === undefined) return refuse(response, 404, 'NoSuchKey');
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': object.length });
    response.end(object);
  }

  function upload(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
    const parts = multipart(request.headers['content-type'] ?? '', body);
    const field = (name: string): string => parts.get(name)?.toString('utf8') ?? '';
    const file = parts.get('file');
    if (!isSigned('POST', field('key'), field('policy'), field('x-amz-signature')) || file === undefined)
      return refuse(response, 403, 'AccessDenied');
    if (file.length > MAX_BYTES) return refuse(response, 400, 'EntityTooLarge');
    objects.set(field('key'), file);
    response.writeHead(204).end();
  }

  return {
    presignPost(base, key) {
      const policy = String(clock.wallMs() + POST_MS);
      return [`${base}${PREFIX}`, { key, policy, 'x-amz-signature': sign('POST', key, policy) }];
    },
    presignGet(base, key) {
      const expires = String(clock.wallMs() + GET_MS);
      const query = new URLSearchParams({
        'X-Amz-Expires': expires,
        'X-Amz-Signature': sign('GET', key, expires),
      });
      return `${base}${PREFIX}${key}?${query.toString()}`;
    },
    has: (key) => objects.has(key),
    put: (key, bytes) => void objects.set(key, bytes),
    keys: () => [...objects.keys()],
    serve(request, response, body) {
      const url = new URL(request.url ?? '/', 'http://double.invalid');
      if (!url.pathname.startsWith(PREFIX)) return false;
      if (request.method === 'POST') upload(request, response, body);
      else download(url, decodeURIComponent(url.pathname.slice(PREFIX.length)), response);
      return true;
    },
  };
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`);
}

/** Parts of a form by name (RFC 7578), each whole. */
function multipart(contentType: string, body: Buffer): ReadonlyMap<string, Buffer> {
  const boundary = /boundary="?([^";]+)"?/.exec(contentType)?.[1];
  const parts = new Map<string, Buffer>();
  if (boundary === undefined) return parts;
  const mark = Buffer.from(`--${boundary}`);
  let at = body.indexOf(mark);
  while (at >= 0) {
    const begin = at + mark.length + 2;
    const end = body.indexOf(mark, begin);
    if (end < 0) break;
    const head = body.indexOf('\r\n\r\n', begin);
    if (head >= 0 && head < end) {
      const name = /name="([^"]*)"/.exec(body.subarray(begin, head).toString('latin1'))?.[1];
      if (name !== undefined) parts.set(name, body.subarray(head + 4, end - 2));
    }
    at = end;
  }
  return parts;
}
