/**
 * JSON.parse that never rounds an integer: beyond 2^53 it answers a bigint. Only text that could hold such a number pays
 * for the slow way (a run of 17 digits, or 16 that start with 9).
 *
 * A reviver's `context.source` was tried and is not to be trusted: Node 24.21 leaves it out at times (seen behind a key
 * that it had misread, `{"a":1,"\"":2}` after `{"a":1,"\\":2}`), and the number then comes back rounded.
 */
const suspicious = /\d{17}|9\d{15}/;
const number = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const integer = /^-?[1-9]\d*$/;

export function parseExactJson(text: string): unknown {
  if (!suspicious.test(text)) return JSON.parse(text);
  const { marked, mark } = markIntegers(text);
  if (mark === undefined) return JSON.parse(text);
  return JSON.parse(marked, (_name, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  );
}

/** Every integer that a number would round becomes a text with a mark before it; no mark where there is none. */
function markIntegers(text: string): { marked: string; mark: string | undefined } {
  let mark: string | undefined;
  const marking = (digits: string): string => {
    if (!integer.test(digits) || Number.isSafeInteger(Number(digits))) return digits;
    // No other text is it, and a text of ours that JSON would escape.
    mark ??= `\u0000${crypto.randomUUID()}:`;
    return JSON.stringify(mark + digits);
  };
  const parts: string[] = [];
  let from = 0;
  for (let open = text.indexOf('"'); open >= 0; open = text.indexOf('"', from)) {
    const end = endOfText(text, open + 1);
    parts.push(text.slice(from, open).replace(number, marking), text.slice(open, end));
    from = end;
  }
  parts.push(text.slice(from).replace(number, marking));
  return { marked: parts.join(''), mark };
}

/** Behind the quote that ends the text which begins here; the end of everything where none does. */
function endOfText(text: string, from: number): number {
  for (let close = text.indexOf('"', from); close >= 0; close = text.indexOf('"', close + 1)) {
    let first = close;
    while (first > from && text[first - 1] === '\\') first -= 1;
    if ((close - first) % 2 === 0) return close + 1;
  }
  return text.length;
}
