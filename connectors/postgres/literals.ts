/** Texts as the server reads them: elements of an array literal, cells of COPY's text form. */

/** One element of an array literal. Always quoted: so NULL, '', commas and braces are only text. */
export function quotedElement(text: string): string {
  return /["\\]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : `"${text}"`;
}

export function arrayLiteral(texts: readonly (string | null)[]): string {
  let literal = '{';
  for (let index = 0; index < texts.length; index += 1) {
    if (index > 0) literal += ',';
    const text = texts[index] as string | null;
    literal += text === null ? 'NULL' : quotedElement(text);
  }
  return `${literal}}`;
}

const copyEscapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** One cell of COPY's text form. */
export function copyCell(text: string | null): string {
  if (text === null) return '\\N';
  return /[\\\t\n\r]/.test(text) ? text.replace(/[\\\t\n\r]/g, (character) => copyEscapes[character] as string) : text;
}
