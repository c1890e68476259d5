/** What zod found, in a person's words: one sentence a problem, the nearest known name, never the value itself. */
import type { z } from 'zod';
import type { Path } from './config-yaml.ts';
import { nearestName } from './nearest-name.ts';

/** The part of JSON Schema that our generated schema uses. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | SchemaNode;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly allOf?: readonly SchemaNode[];
}

export interface Complaint {
  readonly path: Path;
  readonly message: string;
  readonly at: 'key' | 'value';
}

type Issue = z.core.$ZodIssue;

/** Every issue as complaints; of a union only what concerns the form that the person most likely meant. `data` is what was judged. */
export function complaints(issues: readonly Issue[], schema: SchemaNode, data?: unknown): Complaint[] {
  const byPlace = new Map<string, Complaint>();
  for (const complaint of flatten(issues, []).flatMap((issue) => describe(issue, schema))) {
    const text = complaint.message;
    const place = JSON.stringify([complaint.path.map(String), text.startsWith(mustBe) ? mustBe : text]);
    const other = byPlace.get(place)?.message;
    byPlace.set(place, { ...complaint, message: other === undefined || other === text ? text : either(other, text) });
  }
  const all = [...byPlace.values()];
  return all.filter((complaint) => !isMisspelled(complaint, all) && !isSaidBetter(complaint, all)).map((each) => withNearest(each, data));
}

/** `must be A or B`, each form once. */
function either(one: string, other: string): string {
  const forms = [one, other].flatMap((text) => text.slice(mustBe.length).split(' or '));
  return `${mustBe}${[...new Set(forms)].join(' or ')}`;
}

/** Of a place that can be written in two ways, the way that the person did not choose; and a group whose misspelled name is told. */
function isSaidBetter({ path, message }: Complaint, all: readonly Complaint[]): boolean {
  const place = JSON.stringify(path.map(String));
  return all.some((other) => {
    if (other.message.includes('did you mean') && other.path.length === path.length + 1)
      return message.includes('one of') && JSON.stringify(other.path.slice(0, -1).map(String)) === place;
    return message.startsWith(mustBe) && !other.message.startsWith(mustBe) && JSON.stringify(other.path.map(String)) === place;
  });
}

/** A word where only some words are allowed. It is compared and never quoted: it might be a secret. */
function withNearest(complaint: Complaint, data: unknown): Complaint {
  const { path, message } = complaint;
  const words = message.startsWith(`${mustBe}"`) ? [...message.matchAll(/"([^"]+)"/g)].map((match) => match[1] as string) : [];
  const value = path.reduce<unknown>(
    (node, part) => (typeof node === 'object' && node !== null ? Reflect.get(node, part) : undefined),
    data,
  );
  const near = typeof value === 'string' ? nearestName(value, words) : undefined;
  return near === undefined ? complaint : { ...complaint, message: `${message}; did you mean "${near}"?` };
}

/** A setting that is missing only because a neighbour's name is misspelled; the neighbour is told. */
function isMisspelled({ path, message }: Complaint, all: readonly Complaint[]): boolean {
  if (!message.startsWith(missing)) return false;
  const parent = JSON.stringify(path.slice(0, -1).map(String));
  return all.some(
    (other) =>
      JSON.stringify(other.path.slice(0, -1).map(String)) === parent && other.message.endsWith(`did you mean "${String(path.at(-1))}"?`),
  );
}

const missing = 'is missing';
const mustBe = 'must be ';

/** Issues without unions in them, their paths counted from the root. */
export function flatten(issues: readonly Issue[], base: Path): Issue[] {
  return issues.flatMap((issue) => {
    const path = [...base, ...issue.path];
    if (issue.code === 'invalid_union' && issue.errors.length > 0) return flatten(likeliest(issue.errors), path);
    return [{ ...issue, path }];
  });
}

/** The form with the fewest complaints about its outermost shape; equals are merged, so that all their names are known. */
function likeliest(forms: readonly (readonly Issue[])[]): readonly Issue[] {
  const strangeness = (issues: readonly Issue[]) =>
    issues.reduce((sum, issue) => {
      if (issue.path.length > 0) return sum + (issue.path.length === 1 && isMissing(issue) ? 2 : 0);
      return sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 10);
    }, 0);
  const least = Math.min(...forms.map(strangeness));
  const best = forms.filter((issues) => strangeness(issues) === least);
  if (best.length === 1) return best.flat();
  // What is missing is told by the other complaints better: it may only be misspelled.
  const others = best.flat().filter((issue) => !isMissing(issue));
  return others.length > 0 ? others : best.flat();
}

/** zod leaves the value out of its issues, so a missing one is known by the message alone; of a union, by all its forms'. */
function isMissing(issue: Issue): boolean {
  if (issue.code === 'invalid_type') return issue.message.endsWith('received undefined');
  return (
    issue.code === 'invalid_union' &&
    issue.errors.length > 0 &&
    issue.errors.every(([first, ...rest]) => first && rest.length === 0 && first.path.length === 0 && isMissing(first))
  );
}

function describe(issue: Issue, schema: SchemaNode): Complaint[] {
  const path = issue.path;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(key, namesAt(schema, path)), at: 'key' }));
  }
  return [{ path, message: sentence(issue, schema), at: issue.code === 'invalid_key' ? 'key' : 'value' }];
}

function sentence(issue: Issue, schema: SchemaNode): string {
  switch (issue.code) {
    case 'invalid_type':
      if (!isMissing(issue)) {
        const whole = issue.expected === 'number' && nodesAt(schema, issue.path).some(({ type }) => type === 'integer');
        return `${mustBe}${article(whole ? 'integer' : issue.expected)}`;
      }
      return `${missing}${nodesAt(schema, issue.path).some(({ type }) => type === 'object') ? '' : ` (${article(issue.expected)})`}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'too_small':
      return issue.origin === 'array' || issue.origin === 'map' || issue.origin === 'record'
        ? `needs at least ${issue.minimum}`
        : `must be at least ${issue.minimum}${issue.origin === 'string' ? ' character(s) long' : ''}`;
    case 'too_big':
      return `must be at most ${issue.maximum}${issue.origin === 'string' ? ' characters long' : ''}`;
    case 'invalid_union': {
      const forms = nodesAt(schema, issue.path).map(({ type }) => article(type ?? 'something else'));
      return `must be ${[...new Set(forms)].join(' or ')}`;
    }
    case 'invalid_key':
      return issue.issues.map(({ message }) => message).join('; ');
    default:
      return issue.message;
  }
}

function article(expected: string): string {
  const words: Readonly<Record<string, string>> = {
    int: 'a whole number',
    integer: 'a whole number',
    number: 'a number',
    string: 'a text',
    boolean: 'true or false',
    record: 'a group of settings',
    object: 'a group of settings',
    array: 'a list',
    null: 'empty',
  };
  return words[expected] ?? `a ${expected}`;
}

function unknownKey(key: string, known: readonly string[]): string {
  if (known.length === 0) return 'unknown setting; none is allowed here';
  const near = nearestName(key, known);
  if (near !== undefined) return `unknown setting; did you mean "${near}"?`;
  return `unknown setting${known.length > 12 ? '' : ` (known here: ${known.join(', ')})`}`;
}

/** All forms that the schema allows at `path`. */
function nodesAt(schema: SchemaNode, path: Path): SchemaNode[] {
  let nodes = forms(schema);
  for (const part of path) {
    nodes = nodes.flatMap((node) => {
      const child = typeof part === 'number' ? node.items : (node.properties?.[String(part)] ?? node.additionalProperties);
      return typeof child === 'object' ? forms(child) : [];
    });
  }
  return nodes;
}

function forms(node: SchemaNode): SchemaNode[] {
  const inner = [...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.allOf ?? [])];
  return inner.length === 0 ? [node] : inner.flatMap(forms);
}

const namesAt = (schema: SchemaNode, path: Path) => [
  ...new Set(nodesAt(schema, path).flatMap((node) => Object.keys(node.properties ?? {}))),
];
