/** What the floor does for a cycle beyond frames, JSON and validation. */
export interface FloorDuties {
  /** Frames are sealed; without, both ends carry them in the clear. */
  readonly seals: boolean;
  /** A report's signature is checked, and a grant is signed for each lease. */
  readonly signs: boolean;
  /** Each grant is checked too, which in an installation its storage adapter does. */
  readonly checksGrants: boolean;
  /** Rows are written in a group commit. */
  readonly writes: boolean;
  /** Groups are synced. */
  readonly syncs: boolean;
  /** Audit records are written with each group. */
  readonly audits: boolean;
}

export const ALL_DUTIES: FloorDuties = {
  seals: true,
  signs: true,
  checksGrants: true,
  writes: true,
  syncs: true,
  audits: true,
};
