export { jdlFiles, jdlInteger, jdlList, jdlText, jdlValue } from './look-up.ts';
export {
  defaultOutput,
  type OutputEntry,
  parseOutputEntry,
  storageSpec,
} from './output-entry.ts';
export { parseEscapedJdl, parseJdl } from './parser.ts';
export { jdlMegabytes, jdlSeconds } from './quantities.ts';
export type { Jdl, JdlAttribute, JdlValue } from './value.ts';
export { writeJdl } from './writer.ts';
