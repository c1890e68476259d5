/** Whether some object in a JSON text has one name twice. Text that is not JSON is left to the server to refuse. */

const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;

export function hasRepeatedName(text: string): boolean {
  // Of every object that is open, its names; null for a list.
  const open: (Set<string> | null)[] = [];
  let wantsName = false;
  token.lastIndex = 0;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [found] = match;
    const names = open.at(-1);
    if (found === '{') open.push(new Set());
    else if (found === '[') open.push(null);
    else if (found === '}' || found === ']') open.pop();
    else if (found.startsWith('"') && wantsName && names) {
      const name = nameOf(found);
      if (names.has(name)) return true;
      names.add(name);
    }
    wantsName = found === '{' || (found === ',' && open.at(-1) !== null);
  }
  return false;
}

function nameOf(quoted: string): string {
  if (!quoted.includes('\\')) return quoted;
  try {
    return JSON.stringify(JSON.parse(quoted));
  } catch {
    return quoted; // The server says what is wrong with it.
  }
}
