import { createHmac, randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { logText } from './log-text.ts';
import type { Log } from './runtime.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** `json` for programs that read it, one object a line; `text` for people, one line each as well. */
export type LogFormat = 'json' | 'text';

/** What a program's configuration says of its log. */
export interface LogConfiguration {
  readonly level?: LogLevel;
  /** `json` unless said otherwise. */
  readonly format?: LogFormat;
  /** Whether each change of each job has its line; yes unless said otherwise. */
  readonly jobs?: boolean;
  /** Whether owners' names are written as they are; a pseudonym unless said otherwise. */
  readonly owners?: boolean;
  /** Makes the pseudonyms, the same one for the programs of an installation: base64url. One of this start alone where it is left out. */
  readonly pseudonymKey?: string;
}

export interface LogOptions extends Pick<LogConfiguration, 'format' | 'owners' | 'pseudonymKey'> {
  readonly level: LogLevel;
  /** Takes whole lines; standard error where absent, so that standard output stays for results. */
  readonly destination?: { write(line: string): void };
}

const STANDARD_ERROR = 2;
const MAX_DEPTH = 6;
const MAX_ENTRIES = 64;
const REDACTED = '[redacted]';
const PSEUDONYM_CHARACTERS = 10;
const SECRET_NAMES = new Set([
  'token',
  'code',
  'secret',
  'authorization',
  'authenticator',
  'key',
  'password',
  'identity',
  'dpop',
  'proof',
  'grant',
  'cookie',
]);
/** What JSON leaves as it is and a terminal or an editor may obey: C1 controls, line and paragraph ends, changes of direction. */
const OBEYED = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const SECRET_ENDINGS = /(?:Token|Secret|Password|PrivateKey|_token|_secret|_password)$/;

/**
 * The log of one component: lines of JSON, or of text. Whatever is named like a credential is redacted at any depth, owners have
 * pseudonyms, bytes show only their length, an error's stable code appears as `errorCode`, and no text of others moves a cursor.
 */
export function createLog(component: string, options: LogOptions): Log {
  const destination = options.destination ?? pino.destination({ dest: STANDARD_ERROR, sync: true });
  const logger = pino(
    { level: options.level, base: null, formatters: { level: (label) => ({ level: label }) } },
    options.format === 'text' ? inText(destination) : destination,
  ).child({ component });
  const plain = { pseudonym: pseudonyms(options) };
  return {
    debug: (fields, message) => {
      if (logger.isLevelEnabled('debug')) logger.debug(plainFields(fields, plain), message);
    },
    info: (fields, message) => {
      if (logger.isLevelEnabled('info')) logger.info(plainFields(fields, plain), message);
    },
    warn: (fields, message) => {
      if (logger.isLevelEnabled('warn')) logger.warn(plainFields(fields, plain), message);
    },
    error: (fields, message) => {
      if (logger.isLevelEnabled('error')) logger.error(plainFields(fields, plain), message);
    },
  };
}

function inText(destination: { write(line: string): unknown }): { write(line: string): void } {
  return {
    write(line) {
      destination.write(`${logText(line)}\n`);
    },
  };
}

interface Plain {
  readonly pseudonym: (owner: string) => string;
}

function pseudonyms({ owners = false, pseudonymKey }: LogOptions): Plain['pseudonym'] {
  if (owners) return (owner) => owner;
  const key = pseudonymKey === undefined ? randomBytes(32) : Buffer.from(pseudonymKey, 'base64url');
  return (owner) =>
    `owner-${createHmac('sha256', key).update(owner).digest('hex').slice(0, PSEUDONYM_CHARACTERS)}`;
}

function plainFields(fields: object, plain: Plain): object {
  return fields instanceof Error ? { error: plainError(fields, 0, plain) } : plainObject(fields, 0, plain);
}

function plainValue(value: unknown, depth: number, plain: Plain): unknown {
  if (typeof value === 'string') return value.replace(OBEYED, '\ufffd');
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return plainError(value, depth, plain);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value))
    return value.slice(0, MAX_ENTRIES).map((item) => plainValue(item, depth + 1, plain));
  return plainObject(value, depth, plain);
}

function plainObject(value: object, depth: number, plain: Plain): object {
  const shown: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value).slice(0, MAX_ENTRIES)) {
    if (isSecretName(name)) shown[name] = REDACTED;
    else if (name === 'owner' && typeof item === 'string') shown[name] = plain.pseudonym(item);
    else shown[name] = plainValue(item, depth + 1, plain);
  }
  return shown;
}

function plainError(error: Error, depth: number, plain: Plain): object {
  const of = (value: unknown): unknown => plainValue(value, depth + 1, plain);
  return {
    type: error.name,
    message: of(error.message),
    ...('code' in error && { errorCode: of(error.code) }),
    stack: of(error.stack),
    ...(error.cause !== undefined && { cause: of(error.cause) }),
  };
}

function isSecretName(name: string): boolean {
  return SECRET_NAMES.has(name.toLowerCase()) || SECRET_ENDINGS.test(name);
}
