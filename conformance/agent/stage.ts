/** An installation of the suite's own, with one agent. */
export interface Stage {
  readonly installation: string;
}
