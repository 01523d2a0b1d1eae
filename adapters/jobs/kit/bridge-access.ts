/** Where the Data Bridge is, and who we are there. */
export interface BridgeAccess {
  /** Without a slash at its end. */
  readonly url: string;
  /** The operator's. */
  readonly token: string;
}
