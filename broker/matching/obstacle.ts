import {
  type Ad,
  evaluate,
  type Expression,
  parseExpression,
  significantAttributes,
  truthOf,
  unparse,
} from '../../protocol/classad/index.ts';
import type { Bucket } from './bucket.ts';

/** The first part of what a job needs that a machine does not have. */
export interface Obstacle {
  readonly kind: 'memory' | 'disk' | 'requirements';
  readonly result: 'false' | 'undefined' | 'error';
  /** The part, as an expression. */
  readonly expression: string;
  /** What the machine says of the attributes in it. */
  readonly host: Readonly<Record<string, string>>;
}

const MAX_TEXT = 200;
const MAX_PARTS = 256;
const MAX_VALUES = 8;

const MEMORY = parseExpression('isUndefined(other.MemoryMiB) || my.RequestMemoryMiB <= other.MemoryMiB');
const DISK = parseExpression('isUndefined(other.DiskMiB) || my.RequestDiskMiB <= other.DiskMiB');

/** Undefined where the machine may run jobs of the bucket. */
export function firstObstacle({ ad, requirements }: Bucket, host: Ad): Obstacle | undefined {
  const parts = [
    { kind: 'memory', part: MEMORY, shown: `other.MemoryMiB >= ${textOf(ad, 'requestmemorymib')}` },
    { kind: 'disk', part: DISK, shown: `other.DiskMiB >= ${textOf(ad, 'requestdiskmib')}` },
    ...conjuncts(requirements).map((part) => ({ kind: 'requirements', part, shown: unparse(part) }) as const),
  ] as const;
  for (const { kind, part, shown } of parts) {
    const result = truthOf(evaluate(part, { my: ad, target: host }));
    if (result === 'true') continue;
    return { kind, result, expression: shown.slice(0, MAX_TEXT), host: valuesOf(part, host) };
  }
  return undefined;
}

/** The parts that must all hold, in the order they are written; the whole where there are too many. */
function conjuncts(expression: Expression): readonly Expression[] {
  const parts: Expression[] = [];
  const pending: Expression[] = [expression];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.kind === 'binary' && next.operator === '&&') pending.push(next.right, next.left);
    else parts.push(next);
    if (parts.length + pending.length > MAX_PARTS) return [expression];
  }
  return parts;
}

function valuesOf(part: Expression, host: Ad): Readonly<Record<string, string>> {
  const found = significantAttributes(part)
    .map((name) => host.attributes.get(name))
    .filter((attribute) => attribute !== undefined)
    .slice(0, MAX_VALUES);
  return Object.fromEntries(
    found.map(({ name, expression }) => [name, unparse(expression).slice(0, MAX_TEXT)]),
  );
}

function textOf(ad: Ad, name: string): string {
  const attribute = ad.attributes.get(name);
  return attribute === undefined ? '0' : unparse(attribute.expression);
}
