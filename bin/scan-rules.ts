/** What may not stand in a committed file, and why. */
interface Rule {
  readonly what: string;
  readonly pattern: RegExp;
  /** The files it is about; all where absent. */
  readonly in?: (file: string) => boolean;
}

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly what: string;
}

/** Folders that every machine has, so that naming them says nothing about this one. */
const COMMON =
  /^(bin|boot|dev|etc|home|lib|lib64|media|mnt|opt|private|proc|root|run|sbin|srv|sys|tmp|usr|Users|var)$/;

const CREDENTIALS: readonly Rule[] = [
  { what: 'a private key', pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----(\s|\\n)*[A-Za-z0-9+/]{16}/gm },
  { what: 'a cloud access key', pattern: /\b(AKIA|ASIA)[0-9A-Z]{16}\b/gm },
  { what: 'a forge token', pattern: /\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22}|glpat-[\w-]{20})/gm },
  { what: 'a registry token', pattern: /\bnpm_[A-Za-z0-9]{36}\b|_authToken\s*=/gm },
  { what: 'a chat token', pattern: /\bxox[abprs]-[\w-]{10}/gm },
];

const HOSTS: readonly Rule[] = [
  { what: 'a package registry', pattern: /\bregistry\.(npmjs|yarnpkg|npmmirror)\.\w/gm },
  {
    what: 'where a package was fetched',
    pattern: /"resolved":/gm,
    in: (file) => file.endsWith('package-lock.json'),
  },
  {
    what: 'a folder beside the checkout',
    pattern: /\.\.\/shared\b/gm,
    in: (file) => file !== '.ci/run',
  },
];

/** The rules on this machine: where the checkout lies and whose home it is must not be told. */
export function rulesFor(checkout: string, home: string): readonly Rule[] {
  const first = checkout.split('/')[1] ?? '';
  const places = COMMON.test(first) || checkout === `/${first}` ? [checkout] : [`/${first}/`];
  if (home.split('/').length > 2) places.push(home);
  const machine = places.map((place) => ({
    what: `a path of this machine (${place})`,
    // What follows a folder is two characters at least: `/word/i` is a pattern, not a path.
    pattern: new RegExp(
      `(?<![\\w/.}-])${escaped(place)}${place.endsWith('/') ? '(?=[\\w.-]{2})' : '(?![\\w-])'}`,
      'gm',
    ),
  }));
  return [...machine, ...HOSTS, ...CREDENTIALS];
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** Every place of a file that breaks a rule. */
export function findings(file: string, text: string, rules: readonly Rule[]): readonly Finding[] {
  return rules
    .filter((rule) => rule.in?.(file) ?? true)
    .flatMap(({ what, pattern }) =>
      [...text.matchAll(pattern)].map(({ index }) => ({ file, line: lineAt(text, index), what })),
    );
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
