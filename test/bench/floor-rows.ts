import type { WriteVolume } from './write-volume.ts';

/** One cycle as the floor writes it: every row a text of the same length. */
export interface FloorRows {
  readonly inserts: number;
  readonly updates: number;
  readonly upserts: number;
  readonly bytes: number;
}

/** A job and its description are new, its agent twice and its owner once written over; the rest changes rows of earlier jobs. */
export function floorRows({ rows, bytes }: WriteVolume): FloorRows {
  const inserts = 2;
  const upserts = 3;
  const updates = Math.round(rows) - inserts - upserts;
  return { inserts, upserts, updates, bytes: Math.round(bytes / Math.round(rows)) };
}
