/** What WMCore's REST server calls an error: its application code and the HTTP status that goes with it. */
const ERRORS = {
  NotAcceptable: [201, 406],
  MethodNotAllowed: [203, 405],
  NoApi: [205, 400],
  NoSuchInstance: [206, 404],
  UnknownApi: [207, 404],
  MissingParameter: [301, 400],
  InvalidParameter: [302, 400],
  MissingObject: [303, 400],
  TooManyObjects: [304, 400],
  ObjectAlreadyExists: [305, 400],
  InvalidObject: [306, 400],
  Forbidden: [200, 403],
  Unexpected: [400, 500],
  DatabaseUnavailable: [401, 503],
  ExecutionError: [403, 500],
} as const;

export type RestErrorKind = keyof typeof ERRORS;

/** A request that the server refuses. */
export class RestError extends Error {
  readonly kind: RestErrorKind;
  constructor(kind: RestErrorKind, detail: string) {
    super(detail);
    this.name = 'RestError';
    this.kind = kind;
  }
  get appCode(): number {
    return ERRORS[this.kind][0];
  }
  get status(): number {
    return ERRORS[this.kind][1];
  }
}
