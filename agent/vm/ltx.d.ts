/** What is used of ltx, which has no types of its own. */
declare module 'ltx' {
  export interface XmlElement {
    readonly name: string;
    readonly children: readonly (XmlElement | string)[];
    getText(): string;
  }
  /** Throws where the text is no whole document. Knows no entities but the five of XML, and loads nothing. */
  export function parse(text: string): XmlElement;
}
