/** YAML text → plain data, and for every path of it the place in the file, so that a problem can be pointed at. */
import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document } from 'yaml';

export type Path = readonly PropertyKey[];

/** One thing that is wrong in the file. Never quotes a value: it might be a secret. */
export interface ConfigProblem {
  /** From 1; absent where the problem has no place in the file. */
  readonly line?: number;
  readonly column?: number;
  /** `services.orders.tables`, empty for the whole file. */
  readonly path: string;
  readonly message: string;
}

export interface YamlFile {
  readonly data: unknown;
  problem(path: Path, message: string, at?: 'key' | 'value'): ConfigProblem;
}

/** Answers the data, or what is wrong with the file's YAML. */
export function readYaml(text: string): { file: YamlFile } | { problems: readonly ConfigProblem[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true, uniqueKeys: true, logLevel: 'silent' });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0 || document.warnings.length > 0) {
    // After the first broken place the parser stumbles over everything; only what it understood can be told apart.
    const told = [...document.errors, ...document.warnings].filter(({ code }, index) => index === 0 || code === 'DUPLICATE_KEY');
    const problems = told.map(({ code, pos }) => ({ ...place(pos[0]), path: '', message: syntaxMessage(code, text, place(pos[0]).line) }));
    return { problems };
  }
  let data: unknown;
  try {
    data = document.toJS();
  } catch {
    return { problems: [{ path: '', message: 'an alias in the file points at nothing, or at far too much' }] };
  }
  const problem = (path: Path, message: string, at: 'key' | 'value' = 'value') => {
    const offset = offsetOf(document, path, at);
    return { ...(offset === undefined ? {} : place(offset)), path: pathText(path), message };
  };
  return { file: { data, problem } };
}

/** The offset of the key or value at `path`; of the nearest thing around it where the path is not in the file. */
function offsetOf(document: Document, path: Path, at: 'key' | 'value'): number | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = document.getIn(path.slice(0, length - 1), true) ?? document.contents;
    const name = path[length - 1];
    const pair = isMap(parent)
      ? parent.items.find(({ key }) => (isScalar(key) ? String(key.value) : String(key)) === String(name))
      : undefined;
    const wantKey = at === 'key' || length < path.length;
    const value = document.getIn(path.slice(0, length), true);
    const node = pair && (wantKey || !isNode(value) || !value.range) ? pair.key : value;
    if (isNode(node) && node.range) return node.range[0];
  }
  return isNode(document.contents) ? document.contents.range?.[0] : undefined;
}

/** `services.orders.tables."shop.orders".to`. */
export function pathText(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text === '' ? '' : '.'}${/^[\w-]+$/.test(String(part)) ? String(part) : JSON.stringify(String(part))}`;
  }
  return text;
}

const syntaxMessages: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this key stands here twice',
  BAD_INDENT: 'the indentation does not fit',
  TAB_AS_INDENT: 'a tab is used as indentation; YAML wants spaces',
  MISSING_CHAR: 'a closing bracket, quote or comma is missing',
  UNEXPECTED_TOKEN: 'a character stands where YAML does not allow it',
  BAD_ALIAS: 'an alias (*name) points at nothing; quote a text that begins with *',
  MULTIPLE_DOCS: 'the file holds more than one document (---)',
  TAG_RESOLVE_FAILED: 'an unknown tag (!name); quote a text that begins with !',
};

/** The parser's own text may quote the line, and so a password; its code is enough for a sentence of ours. */
function syntaxMessage(code: string, text: string, line: number): string {
  const message = syntaxMessages[code] ?? `this is not valid YAML (${code.toLowerCase().replaceAll('_', ' ')})`;
  const source = text.split('\n')[line - 1] ?? '';
  return source.includes('${') && /[{[].*\$\{/.test(source)
    ? `${message}; inside { } and [ ] quote what holds a variable: "\${NAME}"`
    : message;
}
