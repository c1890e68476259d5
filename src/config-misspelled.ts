/** Looks beneath misspelled settings: with the name that was meant, what stands below it can be judged too, all in one go. */
import type { Complaint } from './config-problems.ts';
import { pathKey } from './config-variables.ts';
import type { Path } from './config-yaml.ts';

interface Renamed {
  /** With the right name at its end. */
  readonly path: Path;
  readonly was: PropertyKey;
}

/** `judge` says what is wrong with the file's data; it is asked again as long as a name can be put right. Paths in the answer are the file's own. */
export function withMisspelled(data: unknown, judge: (data: unknown) => readonly Complaint[]): Complaint[] {
  const misspelled: Complaint[] = [];
  const renamed: Renamed[] = [];
  let now = data;
  // As deep as the file's settings nest.
  for (let round = 0; ; round += 1) {
    const wrong = judge(now);
    const before = renamed.length;
    const paths = wrong.map(({ path }) => ownPath(path, renamed));
    for (const [index, complaint] of wrong.entries()) {
      const meant = /^unknown setting; did you mean "([^"]+)"\?$/.exec(complaint.message)?.[1];
      const name = complaint.path.at(-1);
      if (meant === undefined || name === undefined || round === 5) continue;
      const parent = complaint.path.slice(0, -1);
      const next = rename(now, parent, name, meant);
      if (next === undefined) continue;
      now = next;
      renamed.push({ path: [...parent, meant], was: name });
      misspelled.push({ ...complaint, path: paths[index] ?? complaint.path });
    }
    // What else was said before stands again, unless it came of the misspelling.
    if (renamed.length === before) return [...misspelled, ...wrong.map((each, index) => ({ ...each, path: paths[index] ?? each.path }))];
  }
}

function ownPath(path: Path, renamed: readonly Renamed[]): Path {
  return path.map((part, at) => renamed.find((each) => pathKey(each.path) === pathKey(path.slice(0, at + 1)))?.was ?? part);
}

/** A copy with the key renamed in its place; undefined where it is not there or the right name is taken. */
function rename(data: unknown, parent: Path, name: PropertyKey, meant: string): unknown {
  if (typeof data !== 'object' || data === null) return undefined;
  const [first, ...rest] = parent;
  if (first === undefined) {
    if (!Object.hasOwn(data, name) || Object.hasOwn(data, meant)) return undefined;
    return Object.fromEntries(Object.entries(data).map(([key, value]) => [key === String(name) ? meant : key, value]));
  }
  if (!Object.hasOwn(data, first)) return undefined;
  const child = rename(Reflect.get(data, first), rest, name, meant);
  if (child === undefined) return undefined;
  if (Array.isArray(data)) return data.map((item, index): unknown => (index === Number(first) ? child : item));
  return { ...data, [first]: child };
}
