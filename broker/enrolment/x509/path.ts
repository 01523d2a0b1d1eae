import { type Certificate, isSameName, USAGE } from './certificate.ts';
import type { RevocationList } from './revocation-list.ts';

/** Authorities that are trusted, and the lists of what they and those below them revoked. */
export interface Authorities {
  readonly anchors: readonly Certificate[];
  readonly lists: readonly RevocationList[];
}

export interface PathPolicy {
  /** Proxies (RFC 3820) that stand for their owner: none, those that inherit everything, or limited ones as well. */
  readonly proxies: 'none' | 'full' | 'limited';
  /** Whether an authority without a list is refused. */
  readonly revocationLists: 'required' | 'if-there';
}

export type PathJudgement =
  /** Who signed in the end: the owner's certificate, below all proxies. */
  | { readonly kind: 'valid'; readonly owner: Certificate; readonly anchor: Certificate }
  | { readonly kind: 'invalid'; readonly reason: string };

const INHERIT_ALL = '2b06010505071501';
const LIMITED = '2b060104019b5001010109';
/** Attribute type commonName, at the start of the one attribute of a part. */
const COMMON_NAME = /^31[0-9a-f]{2}30[0-9a-f]{2}0603550403/;

/** Judges certificates in their order: the asker's first, each signed by the next, the last by a trusted authority. */
export function judgePath(
  chain: readonly Certificate[],
  { anchors, lists }: Authorities,
  policy: PathPolicy,
  nowMs: number,
): PathJudgement {
  const anchor = anchorOf(chain, anchors);
  if (anchor === undefined) return invalid('no authority that is trusted signed it');
  const own = chain.filter(({ x509 }) => !x509.raw.equals(anchor.x509.raw));
  const path = [...own, anchor];
  const ownerAt = path.findIndex(({ proxy }) => proxy === undefined);
  const owner = path[ownerAt];
  if (owner === undefined || owner === anchor) return invalid('nobody’s certificate is in it');
  const reason =
    path.map((certificate) => timeFault(certificate, nowMs)).find((fault) => fault !== undefined) ??
    linkFault(path) ??
    proxyFault(path, ownerAt, policy) ??
    ownerFault(owner) ??
    authorityFault(path, ownerAt) ??
    revocationFault(path.slice(ownerAt), lists, policy, nowMs);
  return reason === undefined ? { kind: 'valid', owner, anchor } : invalid(reason);
}

function invalid(reason: string): PathJudgement {
  return { kind: 'invalid', reason };
}

/** The authority that signed the last one, or is the last one. */
function anchorOf(chain: readonly Certificate[], anchors: readonly Certificate[]): Certificate | undefined {
  const last = chain.at(-1);
  if (last === undefined) return undefined;
  return anchors.find((anchor) => anchor.x509.raw.equals(last.x509.raw) || isSigned(last, anchor));
}

function isSigned({ issuer, x509 }: Certificate, by: Certificate): boolean {
  return isSameName(issuer, by.subject) && x509.verify(by.x509.publicKey);
}

function timeFault({ fromMs, untilMs, subjectText }: Certificate, nowMs: number): string | undefined {
  if (nowMs < fromMs) return `it has not begun: ${subjectText}`;
  return nowMs > untilMs ? `it has ended: ${subjectText}` : undefined;
}

function linkFault(path: readonly Certificate[]): string | undefined {
  const isLinked = path.slice(1).every((by, at) => {
    const certificate = path[at];
    return certificate !== undefined && isSigned(certificate, by);
  });
  return isLinked ? undefined : 'one is not signed by the next';
}

function proxyFault(
  path: readonly Certificate[],
  ownerAt: number,
  { proxies }: PathPolicy,
): string | undefined {
  if (ownerAt > 0 && proxies === 'none') return 'it is a proxy';
  for (const [at, certificate] of path.slice(0, ownerAt).entries()) {
    const { proxy, subject, issuer, isAuthority } = certificate;
    const isNamed =
      isSameName(subject.slice(0, -1), issuer) && COMMON_NAME.test(subject.at(-1) ?? '') && !isAuthority;
    if (!isNamed || !isFor(certificate, USAGE.signs)) return 'a proxy is not as a proxy must be';
    if (proxy === undefined || at > proxy.pathLength) return 'a proxy has more proxies below it than it may';
    // Others have rights of their own, or such as only their language can say: not those of their owner.
    if (proxy.language !== INHERIT_ALL && !(proxy.language === LIMITED && proxies === 'limited'))
      return 'a proxy does not stand for its owner in everything';
  }
  return undefined;
}

function ownerFault(owner: Certificate): string | undefined {
  if (owner.isAuthority) return 'it is an authority’s';
  return isFor(owner, USAGE.signs) ? undefined : 'its key is not for signing';
}

function isFor({ usage }: Certificate, bit: number): boolean {
  return usage === undefined || (usage & bit) !== 0;
}

/** Every one above the owner may sign certificates, and as many authorities are below it as it allows. */
function authorityFault(path: readonly Certificate[], ownerAt: number): string | undefined {
  for (const [below, authority] of path.slice(ownerAt + 1).entries()) {
    const { isAuthority, proxy } = authority;
    if (!isAuthority || proxy !== undefined || !isFor(authority, USAGE.signsCertificates))
      return 'one that signed is no authority';
    if (below > authority.pathLength) return 'an authority has more authorities below it than it may';
  }
  return undefined;
}

/** Proxies are revoked with their owner. */
function revocationFault(
  path: readonly Certificate[],
  lists: readonly RevocationList[],
  { revocationLists }: PathPolicy,
  nowMs: number,
): string | undefined {
  for (const [at, certificate] of path.slice(0, -1).entries()) {
    const issuer = path[at + 1];
    if (issuer === undefined) return undefined;
    const own = lists.filter((list) => isListOf(list, issuer));
    if (own.some(({ revoked }) => revoked.has(certificate.serial))) return 'it was revoked';
    if (own.length === 0 && revocationLists === 'required')
      return `there is no revocation list of ${issuer.subjectText}`;
    if (own.length > 0 && !own.some(({ nextMs }) => nowMs <= nextMs))
      return `the revocation list of ${issuer.subjectText} is stale: fetch a new one`;
  }
  return undefined;
}

function isListOf(list: RevocationList, issuer: Certificate): boolean {
  return (
    isSameName(list.issuer, issuer.subject) &&
    isFor(issuer, USAGE.signsLists) &&
    list.isSignedBy(issuer.x509.publicKey)
  );
}
