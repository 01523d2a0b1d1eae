import { createSign, createVerify, generateKeyPairSync, randomUUID } from 'node:crypto';
import { type Json, isList } from './python-values.ts';

/** Who a request is from, as the server's environment says it; no DN: the connection is not secure. */
export interface Caller {
  readonly dn: string;
  readonly fqans: readonly string[];
}

/** The server answers 403 with this text. */
export class TokenRefused extends Error {}

export interface TokenWish {
  readonly vo?: string;
  /** Groups in the token; the one of its role where left out. */
  readonly groups?: readonly string[];
  readonly role?: string;
  readonly name?: string;
  readonly nickname?: string;
  readonly clientId?: string;
  readonly expiresInSeconds?: number;
  /** Claims that replace or join the others. */
  readonly claims?: Readonly<Record<string, Json>>;
  /** Signs with a key of somebody else. */
  readonly forged?: boolean;
  readonly algorithm?: string;
}

export interface CallerSettings {
  readonly vos: readonly string[];
  /** Substrings of DNs that have the production role. */
  readonly productionDns: readonly string[];
  /** Clients whose group is made up where the token names none. */
  readonly robotIds: readonly string[];
  /** What VOMS says of a certificate, by its DN. */
  readonly fqans: Readonly<Record<string, readonly string[]>>;
}

type Keys = ReturnType<typeof makeKeys>;

/** Short: nobody is kept out by them but in tests. */
const makeKeys = () => generateKeyPairSync('rsa', { modulusLength: 1024 });
let shared: Keys | undefined;

/** The token service of a server. Making keys takes long: those of one process are the same. */
export class Issuer {
  readonly #keys: Keys = (shared ??= makeKeys());
  readonly #kid = randomUUID();
  readonly #nowSeconds: () => number;

  constructor(nowSeconds: () => number) {
    this.#nowSeconds = nowSeconds;
  }

  /** A JWT as the experiment's identity provider signs it. */
  mint(wish: TokenWish = {}): string {
    const { vo = 'atlas', role = 'production', name = 'cp robot', nickname = 'cprobot' } = wish;
    const now = this.#nowSeconds();
    const claims = {
      sub: 'robot-0001',
      client_id: wish.clientId ?? 'co-pilot',
      groups: wish.groups ?? [`${vo}/${role}`],
      name,
      preferred_username: nickname,
      iat: now,
      exp: now + (wish.expiresInSeconds ?? 3600),
      ...wish.claims,
    };
    const header = { alg: wish.algorithm ?? 'RS256', typ: 'JWT', kid: this.#kid };
    const signed = `${part(header)}.${part(claims)}`;
    const key = wish.forged === true ? makeKeys().privateKey : this.#keys.privateKey;
    return `${signed}.${createSign('RSA-SHA256').update(signed).sign(key, 'base64url')}`;
  }

  /** Throws `TokenRefused`. */
  read(token: string): Readonly<Record<string, unknown>> {
    const [head = '', body = '', signature = ''] = token.split('.');
    const header = object(head);
    const claims = object(body);
    if (header === undefined || claims === undefined) throw new TokenRefused('Not enough segments');
    if (header['kid'] === undefined) throw new TokenRefused("'kid'");
    if (header['alg'] !== 'RS256')
      throw new TokenRefused('Invalid token. The specified alg value is not allowed');
    const isSigned = createVerify('RSA-SHA256')
      .update(`${head}.${body}`)
      .verify(this.#keys.publicKey, signature, 'base64url');
    if (!isSigned || header['kid'] !== this.#kid)
      throw new TokenRefused('Invalid token. Signature verification failed');
    if (typeof claims['exp'] === 'number' && claims['exp'] <= this.#nowSeconds())
      throw new TokenRefused('Invalid token. Signature has expired');
    return claims;
  }
}

/** What the token of a request makes of its caller. Throws `TokenRefused`. */
export function callerOfToken(
  issuer: Issuer,
  settings: CallerSettings,
  token: string,
  origin: string | undefined,
): Caller {
  // The server splits an origin it does not have.
  if (origin === undefined) throw new TokenRefused("'NoneType' object has no attribute 'split'");
  const [, vo = origin, role = ''] = /^([^.:]+)[.:](.+)$/u.exec(origin) ?? [];
  if (!settings.vos.includes(vo)) throw new TokenRefused(`Unknown vo : ${vo}`);
  const claims = issuer.read(token);
  const client = text(claims['aud'] ?? claims['client_id'] ?? claims['sub']);
  const groups = claims['groups'] ?? claims['wlcg.groups'];
  const isRobot = groups === undefined && settings.robotIds.includes(client);
  const group = `${vo}/${role}`;
  const isMember = isList(groups) && (groups.includes(group) || groups.includes(`/${group}`));
  if (!isMember && !isRobot) throw new TokenRefused(`Not a member of the ${group} group`);
  const nickname = text(claims['preferred_username']);
  const named = typeof claims['name'] === 'string' ? titled(claims['name']) : text(claims['sub']);
  return {
    dn: nickname === '' ? named : `${named}/CN=nickname:${nickname}`,
    fqans: [`/${vo}/Role=${role}`],
  };
}

export function callerOfCertificate(settings: CallerSettings, dn: string): Caller {
  return { dn, fqans: settings.fqans[dn] ?? [] };
}

/** The current server: `Role=pilot` is not enough. */
export function hasProductionRole(caller: Caller, settings: CallerSettings): boolean {
  return (
    settings.productionDns.some((part) => caller.dn.includes(part)) ||
    caller.fqans.some((fqan) => /^\/atlas\/usatlas\/Role=production|^\/[^/]+\/Role=production/u.test(fqan))
  );
}

/** The legacy server: wider, any group of some experiments and `Role=pilot`. */
export function hasLegacyRole(caller: Caller, settings: CallerSettings): boolean {
  return (
    hasProductionRole(caller, settings) ||
    caller.fqans.some((fqan) => fqan.includes('/Role=pilot') || /^\/(?:atlas|osg|cms|ams)\//u.test(fqan))
  );
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function object(encoded: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(encoded, 'base64url').toString());
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Python's `str.title()`, for words of letters. */
function titled(name: string): string {
  return name.replaceAll(
    /[A-Za-z]+/gu,
    (word) => word.slice(0, 1).toUpperCase() + word.slice(1).toLowerCase(),
  );
}
