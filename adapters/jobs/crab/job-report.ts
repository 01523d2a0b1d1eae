import { MAX_EVENTS } from '../job-adapter.ts';
import { isObject } from './rest-answer.ts';

/** Largest report that is read at all. */
export const MAX_REPORT_BYTES = 10 * 1024 * 1024;
const MAX_NESTING = 32;
const MAX_OUTPUTS = 64;
const MAX_SOURCES = 10_000;
const MAX_RUNS = 1000;
const MAX_LUMIS = 10_000;
const MAX_MESSAGE = 400;

/** What a job says of a file that it left. Size and checksums are not in it: those come from storage. */
export interface ReportedOutput {
  /** The last segment of its name. */
  readonly name: string;
  readonly kind: 'EDM' | 'TFILE' | 'FAKE';
  readonly events: number;
  /** Runs, each with lumi sections and their events. */
  readonly runs: readonly {
    readonly run: number;
    readonly lumis: readonly (readonly [number, number | undefined])[];
  }[];
  readonly psetHash: string;
}

export interface JobReport {
  readonly exitCode: number;
  readonly message: string;
  readonly outputs: readonly ReportedOutput[];
  /** Events that it read; of a job that makes its own, those of the output that has most, since each output is of the same ones. */
  readonly events: number;
}

/** Undefined where it is none that can be used: too large, too deep, no JSON, no code. The job's word, never trusted beyond its meaning. */
export function readReport(bytes: Uint8Array): JobReport | undefined {
  if (bytes.length > MAX_REPORT_BYTES || isDeeperThan(bytes, MAX_NESTING)) return undefined;
  const report = parsed(bytes);
  if (!isObject(report)) return undefined;
  const exitCode = report['exitCode'];
  if (typeof exitCode !== 'number' || !Number.isInteger(exitCode) || exitCode < 0 || exitCode > 99_999)
    return undefined;
  const outputs = outputsOf(report);
  return {
    exitCode,
    message: lineOf(report['exitMsg']),
    outputs,
    events: Math.min(MAX_EVENTS, eventsRead(report) || Math.max(0, ...outputs.map(({ events }) => events))),
  };
}

/** Of primary files: a secondary one has the same events again. */
function eventsRead(report: Readonly<Record<string, unknown>>): number {
  const { source } = inside(inside(inside(report, 'steps'), 'cmsRun'), 'input');
  const entries: readonly unknown[] = Array.isArray(source) ? source.slice(0, MAX_SOURCES) : [];
  return entries
    .filter(isObject)
    .filter(({ input_type: type }) => type === 'primaryFiles')
    .reduce((sum, { events }) => sum + countOf(events), 0);
}

function parsed(bytes: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return value;
  } catch {
    return undefined;
  }
}

/** Counts brackets outside of texts, without building anything. */
function isDeeperThan(bytes: Uint8Array, most: number): boolean {
  let depth = 0;
  let isInText = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (isInText) {
      if (byte === 0x5c) at++;
      else if (byte === 0x22) isInText = false;
    } else if (byte === 0x22) isInText = true;
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > most) return true;
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return false;
}

function outputsOf(report: Readonly<Record<string, unknown>>): readonly ReportedOutput[] {
  const modules = inside(inside(inside(report, 'steps'), 'cmsRun'), 'output');
  const entries = Object.values(modules).flatMap((list): readonly unknown[] =>
    Array.isArray(list) ? list : [],
  );
  return entries.slice(0, MAX_OUTPUTS).flatMap((entry) => (isObject(entry) ? outputOf(entry) : []));
}

function inside(value: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  const found = value[key];
  return isObject(found) ? found : {};
}

function outputOf(entry: Readonly<Record<string, unknown>>): readonly ReportedOutput[] {
  const path = [entry['fileName'], entry['pfn'], entry['lfn']].find(
    (name) => typeof name === 'string' && name !== '',
  );
  if (typeof path !== 'string') return [];
  // The key is misspelt in some releases.
  const module = entry['output_module_class'] ?? entry['ouput_module_class'];
  const kind = entry['Source'] === 'TFileService' ? 'TFILE' : module === 'PoolOutputModule' ? 'EDM' : 'FAKE';
  const hash = entry['pset_hash'];
  return [
    {
      name: path.slice(path.lastIndexOf('/') + 1),
      kind,
      events: countOf(entry['events']),
      runs: runsOf(entry['runs']),
      psetHash: typeof hash === 'string' && /^[0-9a-f]{32}$/.test(hash) ? hash : '0'.repeat(32),
    },
  ];
}

/** `{run: {lumi: events}}`, or `{run: [lumis]}` as older releases write. */
function runsOf(value: unknown): ReportedOutput['runs'] {
  if (!isObject(value)) return [];
  return Object.entries(value)
    .filter(([run]) => /^[0-9]{1,9}$/.test(run))
    .slice(0, MAX_RUNS)
    .map(([run, lumis]) => ({ run: Number(run), lumis: lumisOf(lumis).slice(0, MAX_LUMIS) }))
    .filter(({ lumis }) => lumis.length > 0);
}

function lumisOf(value: unknown): readonly (readonly [number, number | undefined])[] {
  if (Array.isArray(value)) {
    const all: readonly unknown[] = value;
    return all.filter(isLumi).map((lumi) => [lumi, undefined] as const);
  }
  if (!isObject(value)) return [];
  return Object.entries(value)
    .filter(([lumi]) => /^[0-9]{1,9}$/.test(lumi))
    .map(
      ([lumi, events]) => [Number(lumi), typeof events === 'number' ? countOf(events) : undefined] as const,
    );
}

function isLumi(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 1e9;
}

function countOf(value: unknown): number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 1e12 ? value : 0;
}

function lineOf(value: unknown): string {
  return typeof value === 'string'
    ? value
        .slice(0, MAX_MESSAGE)
        .replaceAll(/[^ -~]/g, ' ')
        .trim()
    : '';
}
