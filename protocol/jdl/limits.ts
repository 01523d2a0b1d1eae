/** Longest text the parser reads, in UTF-16 code units: lists of input data grow long. */
export const maxJdlLength = 1024 * 1024;

/** Most attributes of one description. */
export const maxJdlAttributes = 1024;
