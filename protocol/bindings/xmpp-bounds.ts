import { MAX_FRAME_BYTES } from './bus.ts';

/** Largest stanza that a server should take: a frame in base64, and some room for what is to be refused with a reason. */
export const MAX_STANZA_BYTES = 2 * MAX_FRAME_BYTES;
/** Characters of the largest frame in base64. */
export const MAX_FRAME_TEXT = 4 * Math.ceil(MAX_FRAME_BYTES / 3);
