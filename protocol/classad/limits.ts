/** Longest source text the parser reads, in UTF-16 code units. */
export const maxSourceLength = 4096;

/** Deepest nesting the parser accepts and the evaluator follows, attribute references included. */
export const maxDepth = 64;

/** Most nodes one parsed text may have. */
export const maxNodes = 2048;

/** Steps one evaluation may take unless the caller says otherwise: one a node, more for work on long strings and lists. */
export const defaultSteps = 10_000;

/** Longest string an evaluation may make or an ad may hold, in UTF-16 code units. */
export const maxStringLength = 65_536;

/** Most items of a list, and most attributes of an ad. */
export const maxItems = 1024;

/** Longest name of an attribute or function. */
export const maxNameLength = 256;
