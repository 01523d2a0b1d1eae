/** What is read of a BOINC project's database: digests of what users show, never what they show. Both reject with `ENROLMENT_UNAVAILABLE`. */
export interface BoincProject {
  /** Undefined where there is no such user, or none that can show anything. */
  user(id: number): Promise<BoincUser | undefined>;
  host(id: number): Promise<BoincHost | undefined>;
}

export interface BoincUser {
  /** SHA-256 of the authenticator, in hex. */
  readonly strong: string;
  /** SHA-256 of the weak authenticator, in hex. */
  readonly weak: string;
  /** Unix time in seconds; 0 where nobody banned the user. */
  readonly banishedUntil: number;
}

export interface BoincHost {
  /** Id of its user; 0 where it was merged into another host. */
  readonly user: number;
  /** `rpc_seqno`: the id of that other host then. */
  readonly sequence: number;
  /** -1 where the project gives it no work. */
  readonly maxResultsDay: number;
}
