import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { RestError } from './rest-error.ts';

/** Who is believed. Of several ways the first that the request shows counts. */
export interface Authentication {
  /** Shared with a front end that signs what it adds: 20 bytes on the real server. */
  readonly hmacKey?: Uint8Array;
  /** Logins by the common name of a client certificate: the front end, played by the server itself. */
  readonly subjects?: ReadonlyMap<string, string>;
  /** Logins by bearer token, as a front end maps them. */
  readonly tokens?: ReadonlyMap<string, string>;
  /** Whoever shows nothing is this login; nobody where it is left out. */
  readonly anyone?: string;
  /** Logins that are operators of group `crab3`. */
  readonly operators?: readonly string[];
}

export interface Caller {
  readonly login: string;
  readonly dn: string;
  readonly isOperator: boolean;
}

/** Throws `Forbidden`. */
export function authenticate(request: IncomingMessage, options: Authentication): Caller {
  const { hmacKey, subjects, tokens, anyone, operators = [] } = options;
  const { headers } = request;
  const known = (login: string, dn: string): Caller => ({ login, dn, isOperator: operators.includes(login) });
  if (hmacKey !== undefined && headers['cms-auth-status'] !== undefined)
    return fromFrontEnd(headers, hmacKey);
  if (subjects !== undefined) {
    const name = commonName(request);
    const login = name === undefined ? undefined : subjects.get(name);
    if (name !== undefined && login !== undefined) return known(login, `/DC=org/DC=example/CN=${name}`);
  }
  if (tokens !== undefined) {
    const login = tokens.get(headers.authorization?.replace(/^Bearer /, '') ?? '');
    if (login !== undefined) return known(login, `/DC=org/DC=example/CN=${login}`);
  }
  if (anyone !== undefined) return known(anyone, `/DC=org/DC=example/CN=${anyone}`);
  throw new RestError('Forbidden', 'Authentication failed');
}

function fromFrontEnd(headers: IncomingHttpHeaders, key: Uint8Array): Caller {
  const shown = Buffer.from(one(headers['cms-authn-hmac']), 'hex');
  const right = frontEndSignature(headers, key);
  const isRight = shown.length === right.length && timingSafeEqual(shown, right);
  if (!isRight || headers['cms-auth-status'] !== 'OK') throw new RestError('Forbidden', 'Invalid signature');
  return {
    login: one(headers['cms-authn-login']),
    dn: one(headers['cms-authn-dn']),
    isOperator: one(headers['cms-authz-operator']).split(' ').includes('group:crab3'),
  };
}

/** HMAC-SHA1 over the lengths and then the texts of the front end's own headers, by name. */
export function frontEndSignature(headers: IncomingHttpHeaders, key: Uint8Array): Buffer {
  let prefix = '';
  let suffix = '';
  for (const name of Object.keys(headers).toSorted()) {
    if (!/^cms-auth[nz]/.test(name) || name === 'cms-authn-hmac') continue;
    const value = one(headers[name]);
    prefix += `h${name.length.toString(16)}v${value.length.toString(16)}`;
    suffix += name + value;
  }
  return createHmac('sha1', key).update(`${prefix}#${suffix}`).digest();
}

function one(value: string | readonly string[] | undefined): string {
  return typeof value === 'string' ? value : (value?.[0] ?? '');
}

function commonName({ socket }: IncomingMessage): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  const name: unknown = (subject as { readonly CN?: unknown } | undefined)?.CN;
  return typeof name === 'string' ? name : undefined;
}
