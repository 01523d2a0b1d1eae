/** What keeps a launcher from going on: one line with the next step, and what npm said of it; no stack is shown. */
export class Stop extends Error {
  constructor(message, details = '') {
    super(message);
    this.name = 'Stop';
    this.details = details;
  }
}
