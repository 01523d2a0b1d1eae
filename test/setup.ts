import fc from 'fast-check';

/** One number repeats a whole run: CI takes it from the commit, so that every change meets other random cases. */
const seed = process.env['SEED'];
if (seed !== undefined) fc.configureGlobal({ seed: Number(seed) });
