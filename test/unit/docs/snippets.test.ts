import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse as parseXml } from 'ltx';
import { parse } from 'yaml';
import { CONTROL_SCHEMAS, controlValidator } from '../../../adapters/jobs/local/control-schema.ts';
import { parseTarget } from '../../../adapters/storage/bridge/target.ts';
import { WRAPPER_FILES } from '../../../agent/vm/wrapper-files.ts';
import { checkCampaign } from '../../../cli/campaign/load.ts';
import { checkConfiguration } from '../../../cli/configuration/load.ts';
import * as validators from '../../../protocol/generated/validators.js';
import { ENROLMENT_PATHS } from '../../../protocol/enrolment.ts';
import { isDocumentedCommand } from './commands.ts';
import { composed } from './compose-files.ts';
import { type Block, blocks, pages, project, prose } from './pages.ts';

const folder = mkdtempSync(join(tmpdir(), 'co-pilot-snippets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Json = Readonly<Record<string, unknown>>;

/** What holds a snippet of each language; whatever is said here not to hold fails. */
const HELD: Readonly<Record<string, (block: Block) => boolean | Promise<boolean>>> = {
  sh: ({ body }) => linesOf(body).every(isDocumentedCommand),
  text: (block) => isShown(block) || linesOf(block.body).every(isKnownLine),
  yaml: ({ body }) => isYaml(body),
  json: ({ body }) => isJson(JSON.parse(body) as Json),
  // Run on a real server in test/integration/enrolment/boinc.test.ts.
  sql: ({ path }) => path === 'docs/boinc.md',
  xml: ({ body }) => isVboxJob(body),
  // Held line by line in worked-example.test.ts.
  python: ({ path }) => path === 'docs/agent-author.md',
  mermaid: ({ body }) => /^(?:flowchart|stateDiagram-v2)\b/.test(body),
};

/** What programs print or send, shown to be read: transcripts, tables, formats. Each is made or compared by a test of its own. */
function isShown({ path, body }: Block): boolean {
  if (path === 'docs/protocol.md') return true;
  if (path === 'docs/performance.md') return /^\S.*\bper s\b/.test(body);
  if (path === 'docs/why.md') return /^next: .* \[[a-z-]+\]$/m.test(body);
  return path === 'docs/contributor.md' && /^Breaks: .*\nCaught-by: \S/.test(body);
}

function linesOf(body: string): readonly string[] {
  return body.split('\n').filter((line) => line.trim() !== '');
}

/** A command that a person types as root or in a folder of the system: what it names of ours is there. */
function isKnownLine(line: string): boolean {
  const [first = '', ...rest] = line.split(' ');
  if (first === 'co-pilot' || first === 'npm') return isDocumentedCommand(line);
  if (first === 'sudo') return isDocumentedCommand(line.replace(/^sudo -u \S+ (?:[A-Z_]+=\S+ )?/, ''));
  if (first === 'docker') return isCompose(rest);
  if (first === 'node') return existsSync(join(project, rest[0] ?? ''));
  if (first === 'systemctl') return rest.slice(2).every(isUnit);
  if (first === 'curl') return isServed(`GET ${/https?:\/\/[^/]+(\/\S*)/.exec(line)?.[1] ?? ''}`);
  const ours = rest.filter((word) => /^(?:compose|docs|examples)\//.test(word));
  return (
    ['cp', 'mv', 'mkdir', 'touch', 'umask', 'useradd'].includes(first) &&
    ours.every((word) => globSync(word, { cwd: project }).length > 0)
  );
}

function isUnit(word: string): boolean {
  const name = word.replace(/@.*/, '@');
  return existsSync(join(project, 'compose', 'systemd', `${name}.service`));
}

function isCompose([first, flag, file = '', verb = '', ...rest]: readonly string[]): boolean {
  if (first !== 'compose' || flag !== '-f' || !existsSync(join(project, file))) return false;
  const { services } = composed(file.replace('compose/', ''));
  const at = rest.findIndex((word) => word in services);
  if (verb === 'run') return at >= 0 && isDocumentedCommand(`co-pilot ${rest.slice(at + 1).join(' ')}`);
  const named = rest.map((word) => word.replace(/=\d+$/, '')).filter((word) => !word.startsWith('-'));
  return ['build', 'down', 'up'].includes(verb) && named.every((name) => name in services);
}

async function isYaml(body: string): Promise<boolean> {
  const file = join(folder, 'snippet.yaml');
  writeFileSync(file, body, { mode: 0o600 });
  if ('command' in (parse(body) as Json)) return (await checkCampaign(file)).kind === 'campaign';
  const checked = await checkConfiguration({ directory: folder, environment: { COPILOT_CONFIG: file } });
  return checked.kind === 'configuration';
}

/** What vboxwrapper reads where, under the names that agents write. */
function isVboxJob(body: string): boolean {
  const job = parseXml(body);
  const named = job.children.flatMap((child) =>
    typeof child === 'string' || !/file(?:name)?$/.test(child.name) ? [] : [child.getText()],
  );
  return (
    job.name === 'vbox_job' && named.toSorted().join() === Object.values(WRAPPER_FILES).toSorted().join()
  );
}

/** A message, claims, or a request's body, each held to what reads it; a proof's parts are made by the transcript's test. */
function isJson(value: Json): boolean {
  const kind = value['kind'];
  if (typeof kind === 'string') return isMessage(kind, value);
  if ('iss' in value) return CLAIMS.some((is) => is(value));
  if ('jobs' in value) return isSubmission({ key: 'k', owner: 'somebody', ...value }) && namesPrograms(value);
  return 'jwk' in value || 'htu' in value;
}

const CLAIMS = [validators.isIdentity, validators.isCertificate, validators.isGrant];
const isSubmission = controlValidator(CONTROL_SCHEMAS.submission, 'body');

/** A path that is no input is refused by every agent (L-16). */
function namesPrograms(value: Json): boolean {
  const jobs = value['jobs'] as readonly { readonly description: { readonly command: string } }[];
  return jobs.every(({ description: { command } }) => /^(?:\.\/)?[^/]+$/.test(command));
}

/** Tokens in the transcript are cut, which their pattern does not allow: the cut is taken out. */
function isMessage(kind: string, value: Json): boolean {
  const name = `is${kind.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase())}`;
  const is = (validators as unknown as Record<string, (value: unknown) => boolean>)[name];
  return is?.(JSON.parse(JSON.stringify(value).replaceAll('…', ''))) === true;
}

/** Requests that some program of ours declares, as patterns. */
const routes = globSync('{adapters,broker,protocol}/**/*.ts', { cwd: project }).flatMap((file) => {
  const text = readFileSync(join(project, file), 'utf8');
  const declared = /server\s*\.(get|post|put|delete)(?:<[^(]*>)?\(\s*'(\/[^']+)'/g;
  return [...text.matchAll(declared)].map(([, method = '', path = '']) => ({
    method: method.toUpperCase(),
    path: new RegExp(`^${path.replace(/:[a-z0-9]+/gi, '[^/]+')}$`),
  }));
});

function isServed(request: string): boolean {
  const [method = '', written = ''] = request.split(' ');
  const path = written.replace(/^<u>/, '');
  if (routes.some((route) => route.method === method && route.path.test(path))) return true;
  if (method === 'POST') return Object.values(ENROLMENT_PATHS).some((known) => known === path);
  const real = path
    .replace(/SHA256|<sha256>/, 'a'.repeat(64))
    .replace('JOB', 'a'.repeat(26))
    .replace('ATTEMPT', '1');
  try {
    return parseTarget(real).kind !== 'upload' || method !== 'GET';
  } catch {
    return false;
  }
}

const all = pages().flatMap(({ path, text }) => blocks(path, text));

describe('a snippet', () => {
  it.each(all.map((block) => [`${block.path}:${block.line}`, block] as const))(
    'at %s is of a kind that a test knows, and holds',
    async (_, block) => {
      const holds = HELD[block.language];
      expect(holds, `no test knows snippets of the language "${block.language}"`).toBeDefined();
      expect(await holds?.(block)).toBe(true);
    },
  );

  it.each<[string, string]>([
    ['text', 'rm -rf /opt/co-pilot'],
    ['text', 'systemctl enable --now co-pilot-brokr'],
    ['text', 'sudo -u co-pilot co-pilot up --twice'],
    ['text', 'docker compose -f compose/compose.yaml up -d brokr'],
    ['text', 'curl http://localhost/v2/metrics'],
    ['sh', 'co-pilot ledger chek'],
    ['yaml', 'broker: { sweepMS: 500 }'],
    ['yaml', 'command: sh\nnam: squares'],
    ['json', '{ "kind": "request", "slot": 1 }'],
    ['json', '{ "queue": "main", "campaign": "c", "jobs": [] }'],
    ['json', '{ "unknown": 1 }'],
  ])('of %s that is wrong does not pass: %s', async (language, body) => {
    expect(await HELD[language]?.({ path: 'docs/x.md', line: 1, language, body })).toBe(false);
  });
});

describe('a request in code marks', () => {
  const requests = pages().flatMap(({ path, text }) =>
    [...prose(text).matchAll(/`((?:GET|PUT|POST|DELETE) [^`\s]+|curl [^`]+)`/g)].map(([, request = '']) => ({
      path,
      request,
    })),
  );

  it('is found', () => {
    expect(requests.length).toBeGreaterThan(8);
  });

  it.each(requests)('$path: $request is served', ({ request }) => {
    expect(request.startsWith('curl ') ? isKnownLine(request) : isServed(request)).toBe(true);
  });

  it.each(['GET /v1/job', 'DELETE /v1/jobs/JOB', 'POST <u>/v1/enrole'])('would not pass as %s', (request) => {
    expect(isServed(request)).toBe(false);
  });
});
