/** A job that waits for an agent. */
export interface Waiting {
  readonly job: string;
  readonly queue: string;
  readonly owner: string;
  readonly campaign: string;
  /** Key of its bucket. */
  readonly bucket: string;
  /** Among the jobs of one owner in a queue the higher goes first. */
  readonly priority: number;
  /** Rises with arrival. */
  readonly order: number;
}
