import { pino } from 'pino';
import type { Log } from './runtime.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LogOptions {
  readonly level: LogLevel;
  /** Takes whole lines of JSON; standard error where absent, so that standard output stays for results. */
  readonly destination?: { write(line: string): void };
}

const STANDARD_ERROR = 2;
const MAX_DEPTH = 6;
const MAX_ENTRIES = 64;
const REDACTED = '[redacted]';
const SECRET_NAMES = new Set(['token', 'code', 'secret', 'authorization', 'key', 'password']);
const SECRET_ENDINGS = /(?:Token|Secret|Password|PrivateKey|_token|_secret|_password)$/;

/**
 * The log of one component: lines of JSON. Whatever is named like a credential is redacted at any depth, bytes show only
 * their length, and an error's stable code appears as `errorCode`.
 */
export function createLog(component: string, options: LogOptions): Log {
  const logger = pino(
    { level: options.level, base: null, formatters: { level: (label) => ({ level: label }) } },
    options.destination ?? pino.destination({ dest: STANDARD_ERROR, sync: true }),
  ).child({ component });
  return {
    debug: (fields, message) => {
      if (logger.isLevelEnabled('debug')) logger.debug(plainFields(fields), message);
    },
    info: (fields, message) => {
      if (logger.isLevelEnabled('info')) logger.info(plainFields(fields), message);
    },
    warn: (fields, message) => {
      if (logger.isLevelEnabled('warn')) logger.warn(plainFields(fields), message);
    },
    error: (fields, message) => {
      if (logger.isLevelEnabled('error')) logger.error(plainFields(fields), message);
    },
  };
}

function plainFields(fields: object): object {
  return fields instanceof Error ? { error: plainError(fields, 0) } : plainObject(fields, 0);
}

function plainValue(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return plainError(value, depth);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.slice(0, MAX_ENTRIES).map((item) => plainValue(item, depth + 1));
  return plainObject(value, depth);
}

function plainObject(value: object, depth: number): object {
  const plain: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value).slice(0, MAX_ENTRIES)) {
    plain[name] = isSecretName(name) ? REDACTED : plainValue(item, depth + 1);
  }
  return plain;
}

function plainError(error: Error, depth: number): object {
  return {
    type: error.name,
    message: error.message,
    ...('code' in error && { errorCode: plainValue(error.code, depth + 1) }),
    stack: error.stack,
    ...(error.cause !== undefined && { cause: plainValue(error.cause, depth + 1) }),
  };
}

function isSecretName(name: string): boolean {
  return SECRET_NAMES.has(name.toLowerCase()) || SECRET_ENDINGS.test(name);
}
