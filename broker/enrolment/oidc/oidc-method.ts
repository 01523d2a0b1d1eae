import { decodeJwt, errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Identity } from '../../../protocol/generated/types.ts';
import type { Runtime } from '../../../protocol/runtime/runtime.ts';
import { type EnrolmentMethod, type Judgement, refused } from '../method.ts';
import { ownerName } from '../owner-name.ts';
import { whyNoAccessToken } from './access-token.ts';
import type { GetJson } from './get-json.ts';
import { createProviderKeys } from './provider-keys.ts';

/** A provider whose access tokens enrol agents. */
export interface OidcProviderConfiguration {
  /** Begins the owners' names; has no dot. */
  readonly name: string;
  /** As it stands in its tokens. */
  readonly issuer: string;
  /** Tokens made for one of these are made for us. */
  readonly audiences: readonly string[];
  /** The first that fits decides; whom none fits is refused. */
  readonly rules: readonly OidcRule[];
}

export interface OidcRule {
  /** Fits who is in the group; everybody where it is left out. */
  readonly group?: string;
  readonly site: string;
  readonly tier: Identity['tier'];
}

interface Provider extends OidcProviderConfiguration {
  readonly keys: JWTVerifyGetKey;
}

/** Signatures by key pairs alone: a token can neither choose to have none, nor be signed with what is public. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const CLOCKS_DIFFER_SECONDS = 60;
const MAX_SUBJECT_LENGTH = 255;

/** OpenID Connect access tokens (RFC 9068, and the WLCG profile): whoever shows one is its subject at its issuer. */
export function createOidcMethod(
  configured: readonly OidcProviderConfiguration[],
  runtime: Pick<Runtime, 'clock' | 'crypto' | 'log'>,
  getJson: GetJson,
): EnrolmentMethod<{ readonly token: string }> {
  const providers = configured.map((provider) => ({
    ...provider,
    keys: createProviderKeys(provider.issuer, getJson, runtime),
  }));

  /** The issuer is read before anything is proved: it only chooses by whose keys the proof has to hold. */
  function providerOf(token: string): Provider | undefined {
    const { iss } = decodeJwt(token);
    return providers.find(({ issuer }) => issuer === iss);
  }

  async function judge(token: string): Promise<Judgement> {
    const provider = providerOf(token);
    if (provider === undefined) return refused('no such issuer is configured');
    const { payload, protectedHeader } = await jwtVerify(token, provider.keys, {
      algorithms: ALGORITHMS,
      issuer: provider.issuer,
      audience: [...provider.audiences],
      requiredClaims: ['exp', 'sub'],
      clockTolerance: CLOCKS_DIFFER_SECONDS,
      currentDate: new Date(runtime.clock.wallMs()),
    });
    const why = whyNoAccessToken(protectedHeader.typ, payload);
    return why === undefined ? known(provider, payload) : refused(why);
  }

  function known({ name, rules }: Provider, claims: JWTPayload): Judgement {
    const { sub } = claims;
    if (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUBJECT_LENGTH)
      return refused('its subject is empty or too long');
    const groups = groupsOf(claims);
    const rule = rules.find(({ group }) => group === undefined || groups.has(group));
    if (rule === undefined) return refused('its subject is in no group that a rule names');
    const { site, tier } = rule;
    return { kind: 'known', terms: { owner: ownerName(runtime.crypto, name, sub), site, tier } };
  }

  return {
    async judge({ token }) {
      try {
        return await judge(token);
      } catch (caught) {
        if (caught instanceof CoPilotError) throw caught;
        return refused(caught instanceof errors.JOSEError ? caught.code : 'it cannot be verified');
      }
    },
  };
}

/** Of the WLCG profile, and what most providers call them. */
function groupsOf(claims: JWTPayload): ReadonlySet<unknown> {
  const lists = [claims['wlcg.groups'], claims['groups']];
  return new Set(lists.flatMap((list: unknown) => (Array.isArray(list) ? (list as readonly unknown[]) : [])));
}
