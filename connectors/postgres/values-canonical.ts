/** Texts for uuid and inet, which have many spellings of one value and keep one: any other would come back as another text. */
import { Refused } from './policy.ts';

/** As Postgres prints it: lower case, dashes at 8, 12, 16 and 20. */
export function uuidText(text: string): string {
  if (/^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/.test(text)) return text;
  throw respelled('uuid', 'lower case, 8-4-4-4-12 digits');
}

export function inetText(text: string): string {
  if (isCanonicalInet(text)) return text;
  throw respelled('inet', 'IPv6 in lower case and at its shortest, no mask that covers the whole address');
}

function respelled(type: string, form: string): Refused {
  return new Refused(
    `a text is no ${type}, or not as Postgres spells it (${form}), and would be changed`,
    'Make the column text or varchar in the target (ALTER TABLE … ALTER COLUMN … TYPE text), then start again.',
  );
}

const byte = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const four = new RegExp(`^${byte}(?:\\.${byte}){3}$`);
const fourAtEnd = new RegExp(`:(${byte}(?:\\.${byte}){3})$`);

/** Whether Postgres would print it so. */
export function isCanonicalInet(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  if (rest.length > 0) return false;
  const isFour = four.test(address);
  if (bits !== undefined && !(/^(?:0|[1-9]\d{0,2})$/.test(bits) && Number(bits) < (isFour ? 32 : 128))) return false;
  if (isFour) return true;
  const words = wordsOf(address);
  return words !== undefined && sixText(words) === address;
}

/** The eight words of an IPv6 address; undefined where the text is none. */
function wordsOf(address: string): number[] | undefined {
  const [, dotted] = fourAtEnd.exec(address) ?? [];
  let plain = address;
  if (dotted !== undefined) {
    const [a = 0, b = 0, c = 0, d = 0] = dotted.split('.').map(Number);
    plain = `${address.slice(0, -dotted.length)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  }
  const halves = plain.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const [left = [], right] = halves;
  const missing = 8 - left.length - (right?.length ?? 0);
  if (halves.length > 2 || (right === undefined ? missing !== 0 : missing < 1)) return undefined;
  const words = [...left, ...Array.from({ length: right === undefined ? 0 : missing }, () => '0'), ...(right ?? [])];
  return words.every((word) => /^[\da-f]{1,4}$/.test(word)) ? words.map((word) => Number.parseInt(word, 16)) : undefined;
}

/** The longest run of at least two zeros becomes `::`, the first of equal ones; addresses that hold an IPv4 one end in it. */
function sixText(words: readonly number[]): string {
  let [from, length] = [-1, 1];
  for (let at = 0; at < 8; at += 1) {
    let end = at;
    while (words[end] === 0) end += 1;
    if (end - at > length) [from, length] = [at, end - at];
    at = Math.max(at, end - 1);
  }
  const isFour = from === 0 && (length === 6 || (length === 5 && words[5] === 0xffff));
  const shown = words.map((word) => word.toString(16));
  const [high = 0, low = 0] = words.slice(6);
  const tail = isFour ? [`${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`] : shown.slice(6);
  const all = [...shown.slice(0, 6), ...tail];
  return from < 0 ? all.join(':') : `${all.slice(0, from).join(':')}::${all.slice(from + length).join(':')}`;
}
