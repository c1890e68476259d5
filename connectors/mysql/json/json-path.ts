/** Paths into a JSON document as the server writes them into partial updates: `$.a."b c"[3][last-1]`. */

/** A key, in the characters that the path has; or a place in an array, counted from its last item where `fromEnd`. */
export type PathLeg = string | { readonly index: number; readonly fromEnd: boolean };

/** Sticky: each match begins where the one before ended. */
const leg = /\.(?:("(?:[^"\\]|\\.)*")|([^."[\]* \t\n\r]+))|\[(?:(last)(?:-(\d+))?|(\d+))\]/y;

/** Undefined where the text is no path that leads to one place; `$` alone has no legs. */
export function parsePath(text: string): readonly PathLeg[] | undefined {
  if (!text.startsWith('$')) return undefined;
  const legs: PathLeg[] = [];
  for (leg.lastIndex = 1; leg.lastIndex < text.length;) {
    const match = leg.exec(text);
    if (!match) return undefined;
    const [, quoted, plain, last, back, index] = match;
    if (quoted !== undefined) {
      const key = unquoted(quoted);
      if (key === undefined) return undefined;
      legs.push(key);
    } else if (plain !== undefined) legs.push(plain);
    else legs.push({ index: Number(last === undefined ? index : (back ?? 0)), fromEnd: last !== undefined });
  }
  return legs;
}

function unquoted(quoted: string): string | undefined {
  try {
    const key: unknown = JSON.parse(quoted);
    return typeof key === 'string' ? key : undefined;
  } catch {
    // Not a JSON string: no server wrote it.
    return undefined;
  }
}
