/** `${NAME}` and `${file:/path}` in the configuration's texts, replaced after parsing, so that no value can break the file. */
import type { Path } from './config-yaml.ts';

export interface VariableSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The content of a secret's file; undefined where it cannot be read. */
  readonly readSecret: (path: string) => string | undefined;
}

export interface Substituted {
  readonly data: unknown;
  readonly missing: readonly { readonly path: Path; readonly message: string }[];
  /** Paths whose whole text was one variable: such a text may stand for a number or a boolean. */
  readonly whole: ReadonlySet<string>;
}

export const pathKey = (path: Path) => JSON.stringify(path.map(String));

/** Replaces in every text below `data`. In a URL the values are percent-encoded, so that a password may hold `@` and `/`. */
export function substitute(data: unknown, sources: VariableSources): Substituted {
  const missing: { path: Path; message: string }[] = [];
  const whole = new Set<string>();
  const walk = (node: unknown, path: Path): unknown => {
    if (typeof node === 'string') {
      if (/^\$\{[^}]*\}$/.test(node)) whole.add(pathKey(path));
      return replaceIn(
        node,
        (name) => valueOf(name, sources),
        (message) => missing.push({ path, message }),
      );
    }
    if (Array.isArray(node)) return node.map((item, index) => walk(item, [...path, index]));
    if (typeof node !== 'object' || node === null) return node;
    return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, walk(value, [...path, name])]));
  };
  return { data: walk(data, []), missing, whole };
}

type Lookup = (name: string) => { value: string } | { message: string };

function replaceIn(text: string, lookup: Lookup, report: (message: string) => void): string {
  if (!text.includes('${')) return text;
  const url = urlParts(text);
  const encode = (part: string) =>
    replaceVariables(part, lookup, report, (value) =>
      encodeURIComponent(value).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`),
    );
  if (!url) return replaceVariables(text, lookup, report, (value) => value);
  // A host may come with its port or as a list of hosts, so it goes in as it is.
  const host = replaceVariables(url.host, lookup, report, (value) => value);
  return url.scheme + encode(url.user) + host + encode(url.rest);
}

/** `scheme://` + `user:password@` + `host:port` + `/rest?of#it`, found in the text before any value is in it. */
export function urlParts(text: string): { scheme: string; user: string; host: string; rest: string } | undefined {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0];
  if (scheme === undefined) return undefined;
  const masked = text.replace(/\$\{[^}]*\}/g, (token) => '_'.repeat(token.length));
  const pathAt = masked.slice(scheme.length).search(/[/?#]/);
  const authorityEnd = pathAt < 0 ? text.length : scheme.length + pathAt;
  const userEnd = masked.slice(0, authorityEnd).lastIndexOf('@') + 1;
  const hostStart = Math.max(userEnd, scheme.length);
  return { scheme, user: text.slice(scheme.length, hostStart), host: text.slice(hostStart, authorityEnd), rest: text.slice(authorityEnd) };
}

function replaceVariables(text: string, lookup: Lookup, report: (message: string) => void, encode: (value: string) => string): string {
  return text.replace(/\$(\$?)\{([^}]*)\}/g, (token, escaped: string, name: string) => {
    if (escaped !== '') return token.slice(1);
    const found = lookup(name);
    if ('value' in found) return encode(found.value);
    report(found.message);
    return 'x';
  });
}

/** Takes the name out of the message below. */
export const unsetVariable = /^the environment variable (\w+) is not set$/;

function valueOf(name: string, { environment, readSecret }: VariableSources): { value: string } | { message: string } {
  if (name.startsWith('file:')) {
    const path = name.slice('file:'.length);
    const content = readSecret(path);
    return content === undefined ? { message: `the file ${path} cannot be read` } : { value: content.replace(/\r?\n$/, '') };
  }
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return { message: '${…} holds the name of a variable, or file: and a path' };
  const value = environment[name];
  return value === undefined ? { message: `the environment variable ${name} is not set` } : { value };
}
