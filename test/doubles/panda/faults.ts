/** What goes wrong at the server, settable while it runs. */
export interface PandaFaults {
  /** Methods that the faults are for (`pilot/update_job`, `updateJob`); all where it is undefined. */
  readonly methods: readonly string[] | undefined;
  /** Of updates, those that say one of these states; all where it is undefined. */
  readonly says: readonly string[] | undefined;
  /** So many requests go wrong, then none; all where it is undefined. */
  readonly times: number | undefined;
  /** A gateway answers 503, and nothing is done. */
  readonly isBusy: boolean;
  /** What is asked about jobs is answered about others. */
  readonly isOther: boolean;
  /** Lists come the wrong way round. */
  readonly isShuffled: boolean;
  /** Connections are cut before anything happens. */
  readonly isDown: boolean;
  /** Nothing is ever answered. */
  readonly hangs: boolean;
  /** So many requests do their work, and their answers are cut. */
  readonly lostAnswers: number;
  /** A page of HTML with status 200 instead of an answer. */
  readonly isHtml: boolean;
  /** The first half of an answer, under the length of the whole. */
  readonly isHalf: boolean;
  /** `success` true, with this StatusCode in the data, and nothing was done: 10 or 30. */
  readonly statusCode: 0 | 10 | 30;
  /** `success` true with StatusCode 0, and nothing was done. */
  readonly lies: boolean;
  /** Every request with a token is answered 403, as for one that has expired. */
  readonly tokenExpired: boolean;
  /** Every update is heard twice. */
  readonly repeats: boolean;
  /** Updates are heard in pairs, the later first. */
  readonly reorders: boolean;
  /** The defect of the current server: 500 once the ranges are updated. */
  readonly eventRangesFail: boolean;
  /** Before every answer. */
  readonly delayMs: number;
}

export const NO_FAULTS: PandaFaults = {
  methods: undefined,
  says: undefined,
  times: undefined,
  isBusy: false,
  isOther: false,
  isShuffled: false,
  isDown: false,
  hangs: false,
  lostAnswers: 0,
  isHtml: false,
  isHalf: false,
  statusCode: 0,
  lies: false,
  tokenExpired: false,
  repeats: false,
  reorders: false,
  eventRangesFail: true,
  delayMs: 0,
};
