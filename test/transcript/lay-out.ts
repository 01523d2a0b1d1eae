import type { Capability } from '../../protocol/generated/types.ts';
import type { Line } from './recorder.ts';

/** What a reader should see beside the messages. */
export interface Explained {
  readonly evidence: string;
  readonly proof: { readonly capability: Capability; readonly proof: string; readonly bytes: number };
}

const WIDTH = 140;
const LONGEST_TEXT = 110;
const SHOWN_OF_LONG = 32;

/** Markdown: one heading and one block of JSON for each message, with what is signed where it is signed. */
export function layOut(lines: readonly Line[], explained: Explained): string {
  const blocks = lines.map((line) => `${heading(line)}\n\n${json(line.message)}\n${remark(line, explained)}`);
  return blocks.join('\n');
}

function heading({ atMs, from, to, message }: Line): string {
  const seconds = (atMs / 1000).toFixed(3);
  return `**${seconds} s, ${from} to ${to}**${WHERE[String(message['kind'])] ?? ''}`;
}

const WHERE: Readonly<Record<string, string>> = {
  'broker-hello': ', payload 2 of the handshake (message 1 has none)',
  'agent-hello': ', payload 3',
  welcome: ', the first frame that matters',
};

function remark({ message }: Line, explained: Explained): string {
  switch (message['kind']) {
    case 'broker-hello':
      return `\nThe certificate says:\n\n${json(claimsOf(message['certificate']))}\n`;
    case 'agent-hello':
      return `\nThe identity says:\n\n${json(claimsOf(message['identity']))}\n`;
    case 'ask':
      return grants(message['items']);
    case 'job':
      return upload(explained.proof);
    case 'report':
      return `\nSigned are these bytes (V-2), the tabs shown as \`\\t\`:\n\n${fence('text', explained.evidence.replaceAll('\t', '\\t').trimEnd())}\n`;
    default:
      return '';
  }
}

function grants(items: unknown): string {
  const [, token] = /"grant":"([^"]+)"/.exec(JSON.stringify(items)) ?? [];
  return token === undefined ? '' : `\nThe grant says:\n\n${json(claimsOf(token))}\n`;
}

function claimsOf(token: unknown): unknown {
  return decoded(String(token).split('.')[1] ?? '');
}

function upload({ capability, proof, bytes }: Explained['proof']): string {
  const { host, pathname } = new URL(capability.url);
  const [head = '', claims = ''] = proof.split('.');
  const request = [
    `PUT ${pathname} HTTP/1.1`,
    `Host: ${host}`,
    `Authorization: DPoP ${capability.token}`,
    `DPoP: ${proof.match(/.{1,100}/g)?.join('\n      ') ?? ''}`,
    `Content-Length: ${bytes}`,
    'Repr-Digest: sha-256=:…:',
  ];
  return [
    '',
    'The agent fetches the inputs, runs the job for 30 s, and uploads. To a Data Bridge it would say, and be answered 201:',
    '',
    fence('text', request.join('\n')),
    '',
    'The two parts of that proof, the third being the signature over them:',
    '',
    json(decoded(head)),
    '',
    json(decoded(claims)),
    '',
  ].join('\n');
}

function decoded(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
}

function json(value: unknown): string {
  return fence('json', pretty(shortened(value), ''));
}

function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

/** Long texts are tokens, which differ in every run where their signatures do; their beginning is enough. */
function shortened(value: unknown): unknown {
  if (typeof value === 'string')
    return value.length > LONGEST_TEXT ? `${value.slice(0, SHOWN_OF_LONG)}…` : value;
  if (Array.isArray(value)) return value.map(shortened);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shortened(inner)]));
}

/** On one line what fits one, else one member a line. */
function pretty(value: unknown, indent: string): string {
  const flat = oneLine(value);
  if (indent.length + flat.length <= WIDTH || typeof value !== 'object' || value === null) return flat;
  const inner = `${indent}  `;
  const members = Array.isArray(value)
    ? value.map((item) => inner + pretty(item, inner))
    : Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${pretty(item, inner)}`);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  return `${open}\n${members.join(',\n')}\n${indent}${close}`;
}

function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${oneLine(item)}`);
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}
