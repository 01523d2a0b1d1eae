/** A text with places for parameters. */
export interface Template {
  /** Literal texts and, between them, names: `texts` has one more item than `names`. */
  readonly texts: readonly string[];
  readonly names: readonly string[];
}

export type TemplateResult =
  | { readonly kind: 'template'; readonly template: Template }
  | { readonly kind: 'fault'; readonly message: string };

const PLACE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{/g;

/** Reads `${name}`; `$${` stands for the two characters `${`. */
export function parseTemplate(text: string): TemplateResult {
  const texts: string[] = [];
  const names: string[] = [];
  let literal = '';
  let end = 0;
  for (const match of text.matchAll(PLACE)) {
    literal += text.slice(end, match.index);
    end = match.index + match[0].length;
    const [whole, name] = match;
    if (whole === '$${') literal += '${';
    else if (name === undefined) return { kind: 'fault', message: UNFINISHED };
    else {
      texts.push(literal);
      names.push(name);
      literal = '';
    }
  }
  texts.push(literal + text.slice(end));
  return { kind: 'template', template: { texts, names } };
}

/** The text with each name's value in its place. Values are never read as templates again. */
export function fillTemplate(template: Template, values: ReadonlyMap<string, string>): string {
  let filled = template.texts[0] ?? '';
  for (const [at, name] of template.names.entries()) {
    filled += (values.get(name) ?? '') + (template.texts[at + 1] ?? '');
  }
  return filled;
}

const UNFINISHED =
  '${ must be followed by a name of letters, digits and _ and a }; write $${ for the text ${ itself';
