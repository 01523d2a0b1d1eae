import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  visit,
} from 'yaml';
import { type FieldPath, fieldText, type Problem } from './problem.ts';

/** Deepest nesting a file of ours has a use for. */
const MAX_DEPTH = 8;

/** The text of a file as data that knows where each part of it was written. */
export interface Source {
  readonly data: unknown;
  /** A problem at a value, or at the nearest thing around it that was written. */
  at(path: FieldPath, message: string): Problem;
  /** A problem at the last key of a path. */
  atKey(path: FieldPath, message: string): Problem;
  /** A text, number or boolean exactly as it was written, so that 0.10 stays 0.10; undefined for anything else. */
  text(path: FieldPath): string | undefined;
}

export type Parsed =
  | { readonly kind: 'source'; readonly source: Source }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] };

/**
 * Reads YAML: one document of plain mappings, lists and scalars. Anchors, aliases and tags are refused, so that a short file
 * never stands for a huge one, and nesting is bounded. `needed` says what an empty file lacks.
 */
export function parseSource(text: string, needed: string): Parsed {
  const lines = new LineCounter();
  const documents = parseDocuments(text, lines);
  if (documents === undefined) return failed([whole('is nested too deeply')]);
  const [document, second] = documents;
  if (document === undefined || document.contents === null) return failed([whole(`is empty; ${needed}`)]);
  if (second !== undefined) return failed([whole('holds several documents; one file holds one')]);
  const problems = [...syntaxProblems(document, lines, text), ...forbidden(document, lines)];
  if (problems.length > 0) return failed(problems);
  return { kind: 'source', source: sourceOf(document, lines) };
}

function parseDocuments(text: string, lines: LineCounter): readonly Document[] | undefined {
  try {
    const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
    return Array.isArray(documents) ? documents : [];
  } catch (caught) {
    // The parser is recursive: thousands of nested brackets end its stack, and that is the author's fault, not ours.
    if (caught instanceof RangeError) return undefined;
    throw caught;
  }
}

function syntaxProblems(document: Document, lines: LineCounter, text: string): readonly Problem[] {
  return [...document.errors, ...document.warnings].map((error) => {
    const place = position(lines, error.pos[0]);
    const message = error.message.split('\n')[0] ?? 'is not YAML';
    // The braces of ${name} mean something else to YAML inside a list in brackets: the likeliest mistake of all.
    const holdsName = text.split('\n')[place.line - 1]?.includes('${') === true;
    const hint = holdsName ? '; put texts with ${name} in quotes' : '';
    return { ...place, field: '', message: `not valid YAML: ${message}${hint}` };
  });
}

function forbidden(document: Document, lines: LineCounter): readonly Problem[] {
  const problems: Problem[] = [];
  const note = (node: Node, message: string): void => {
    problems.push({ ...position(lines, node.range?.[0] ?? 0), field: '', message });
  };
  visit(document, {
    Node(_, node, parents) {
      if (isAlias(node)) note(node, 'aliases (*name) are not used here; write the value out');
      else if (node.anchor !== undefined)
        note(node, 'anchors (&name) are not used here; write the value out');
      else if (node.tag?.startsWith('!') === true) note(node, 'tags (!name) are not used here');
      const depth = parents.filter((parent) => isMap(parent) || isSeq(parent)).length;
      if (depth <= MAX_DEPTH) return undefined;
      note(node, 'is nested too deeply');
      return visit.SKIP;
    },
  });
  return problems;
}

function sourceOf(document: Document, lines: LineCounter): Source {
  const nodeAt = (path: FieldPath): Node | undefined => {
    const node: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
    return isNodeLike(node) ? node : undefined;
  };
  const nearest = (path: FieldPath): Node | undefined =>
    nodeAt(path) ?? (path.length === 0 ? undefined : nearest(path.slice(0, -1)));
  const keyAt = (path: FieldPath): Node | undefined => {
    const parent = nodeAt(path.slice(0, -1));
    if (!isMap(parent)) return undefined;
    const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === path.at(-1));
    return isScalar(pair?.key) ? pair.key : undefined;
  };
  const problem = (node: Node | undefined, path: FieldPath, message: string): Problem => ({
    ...position(lines, node?.range?.[0] ?? 0),
    field: fieldText(path),
    message,
  });
  return {
    data: document.toJS({ maxAliasCount: 0 }) as unknown,
    at: (path, message) => problem(nearest(path), path, message),
    atKey: (path, message) => problem(keyAt(path) ?? nearest(path), path, message),
    text(path) {
      const node = nodeAt(path);
      if (!isScalar(node)) return undefined;
      if (typeof node.value === 'string') return node.value;
      if (typeof node.value === 'number' || typeof node.value === 'boolean')
        return node.source ?? String(node.value);
      return undefined;
    },
  };
}

function isNodeLike(value: unknown): value is Node {
  return isScalar(value) || isMap(value) || isSeq(value);
}

function position(lines: LineCounter, offset: number): { readonly line: number; readonly column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

function whole(message: string): Problem {
  return { line: 1, column: 1, field: '', message: `the file ${message}` };
}

function failed(problems: readonly Problem[]): Parsed {
  return { kind: 'problems', problems };
}
