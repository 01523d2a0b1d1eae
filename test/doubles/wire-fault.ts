/** What goes wrong on a framework's wire. */
export type WireFault =
  /** Nobody is there; nothing is done. */
  | 'down'
  /** It is done, and the answer is lost. */
  | 'lost'
  /** It is done, and the answer never comes. */
  | 'hang'
  /** It is done twice, as by a proxy that tries again. */
  | 'twice'
  /** It is done, and half of the answer comes. */
  | 'half'
  /** It is not done, and a page of HTML comes, with success. */
  | 'html'
  /** It is not done, and the answer says success. */
  | 'lie'
  /** It is done, and the answer is of another job. */
  | 'other'
  /** It is done, and lists come in another order. */
  | 'shuffled'
  /** It is not done: the server is overloaded. */
  | 'busy';

/** Which calls: those that take jobs, those that tell that jobs run, those that end them, or all. */
export type FaultPlace = 'take' | 'news' | 'end' | 'all';
