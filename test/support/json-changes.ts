/** Generated changes of JSON columns: UPDATE assignments whose paths lead somewhere in the documents that are there. */
import type { Random } from './random.ts';

const keys = ['a', 'b', '', 'k x', '__proto__', 'ü', '日本', 'a.b', 'q"q', 'back\\slash', '[0]', '$', 'last', '\u0001', 'x\u00a0y', 'é0'];

const member = (key: string) => `.${/^[a-z]+$/.test(key) ? key : JSON.stringify(key)}`;

function cell(index: number, length: number, random: Random): string {
  const fromEnd = length - 1 - index;
  return fromEnd >= 0 && random.chance(0.3) ? `[last${fromEnd > 0 ? `-${fromEnd}` : ''}]` : `[${index}]`;
}

/** A path that leads somewhere in the document, or one step further. */
function pathIn(document: unknown, random: Random): string {
  let path = '$';
  for (let at = document; ;) {
    const isNew = random.chance(0.25);
    if (Array.isArray(at)) {
      const index = isNew || at.length === 0 ? at.length + random.int(3) : random.int(at.length);
      path += cell(index, at.length, random);
      at = at[index];
    } else if (typeof at === 'object' && at !== null) {
      const own = Object.keys(at);
      const key = random.pick(isNew || own.length === 0 ? keys : own);
      path += member(key);
      at = Object.hasOwn(at, key) ? (at as Record<string, unknown>)[key] : undefined;
    } else return path === '$' ? '$.a' : path;
    if (random.chance(0.35)) return path;
  }
}

const literal = (path: string) => `_utf8mb4 X'${Buffer.from(path).toString('hex')}'`;

/** The right side of an assignment to `column`, which holds the document `text`. `values`: SQL expressions to put in. */
export function changedSql(column: string, text: string, values: readonly string[], random: Random): string {
  const document: unknown = JSON.parse(text);
  const path = () => literal(pathIn(document, random));
  const value = () => random.pick(values);
  switch (random.int(6)) {
    case 0:
      return `JSON_SET(${column}, ${path()}, ${value()})`;
    case 1:
      return `JSON_SET(${column}, ${path()}, ${value()}, ${path()}, ${value()})`;
    case 2:
      return `JSON_REPLACE(${column}, ${path()}, ${value()})`;
    case 3:
      return `JSON_REPLACE(JSON_REMOVE(${column}, ${path()}), ${path()}, ${value()})`;
    default:
      return `JSON_REMOVE(${column}, ${path()})`;
  }
}
