/** What an attribute is bound to, as the parser of JAliEn (`alien.taskQueue.JDL`) tells values apart by their looks. */
export type JdlValue =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'real'; readonly value: number }
  /** Anything else, such as `Requirements`: not evaluated, not even parsed. */
  | { readonly kind: 'expression'; readonly text: string };

export interface JdlAttribute {
  /** As it was written; names are looked up in any case. */
  readonly name: string;
  readonly value: JdlValue;
}

/** A job's description in the order it was written. */
export type Jdl = readonly JdlAttribute[];
