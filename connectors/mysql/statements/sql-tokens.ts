/** A statement cut into words, names, strings and marks; comments go, but what stands in a versioned comment counts. */
import type { TableId } from '../../../src/core/change.ts';

const blankOrWord = /\s+|[A-Za-z0-9_$\u0080-\uffff]+/y;

/** Names and strings keep their quotes, so that `drop` in backticks is never taken for the word. */
export function tokensOf(sql: string): string[] {
  const tokens: string[] = [];
  for (let at = 0; at < sql.length;) {
    const end = endOfToken(sql, at);
    const token = sql.slice(at, end);
    if (!/^(?:\s|--\s|--$|#|\/\*|\*\/)/.test(token)) tokens.push(token);
    at = end;
  }
  return tokens;
}

function endOfToken(sql: string, at: number): number {
  blankOrWord.lastIndex = at;
  if (blankOrWord.test(sql)) return blankOrWord.lastIndex;
  const first = sql[at] as string;
  if (first === "'" || first === '"' || first === '`') return endOfQuoted(sql, at, first);
  if (first === '#' || /^--(?:\s|$)/.test(sql.slice(at, at + 3))) return after(sql, '\n', at);
  const versioned = /^\/\*M?!\d*/.exec(sql.slice(at, at + 12));
  if (versioned) return at + versioned[0].length;
  if (sql.startsWith('/*', at)) return after(sql, '*/', at + 2);
  return sql.startsWith('*/', at) ? at + 2 : at + 1;
}

function endOfQuoted(sql: string, from: number, quote: string): number {
  for (let at = from + 1; at < sql.length; at += 1) {
    if (sql[at] === '\\' && quote !== '`') at += 1;
    else if (sql[at] === quote) {
      if (sql[at + 1] !== quote) return at + 1;
      at += 1;
    }
  }
  return sql.length;
}

function after(sql: string, mark: string, from: number): number {
  const at = sql.indexOf(mark, from);
  return at < 0 ? sql.length : at + mark.length;
}

/** Whether a backslash escapes depends on the writer's sql_mode: where one stands in front of a quote, nobody can say where its string ends. */
export const isReadable = (tokens: readonly string[]): boolean => !tokens.some((token) => /^['"]/.test(token) && escapedQuote.test(token));

const escapedQuote = /(?<!\\)(?:\\\\)*\\['"]/;

/** The name without its quotes. */
export const plain = (text: string): string => (/^[`"]/.test(text) ? text.slice(1, -1).replaceAll('``', '`').replaceAll('""', '"') : text);

/** Reads tokens one by one; words compare without regard to case, quoted names are no words. */
export class TokenReader {
  readonly tokens: readonly string[];
  at = 0;

  constructor(tokens: readonly string[]) {
    this.tokens = tokens;
  }

  /** The next token in capitals, '' at the end. */
  get word(): string {
    return (this.tokens[this.at] ?? '').toUpperCase();
  }
  get done(): boolean {
    return this.at >= this.tokens.length || (this.word === ';' && this.at === this.tokens.length - 1);
  }
  take(): string {
    this.at += 1;
    return this.tokens[this.at - 1] ?? '';
  }
  /** Takes these words if they all follow. */
  takes(...words: readonly string[]): boolean {
    if (!words.every((word, index) => this.tokens[this.at + index]?.toUpperCase() === word)) return false;
    this.at += words.length;
    return true;
  }
  takesAny(words: ReadonlySet<string>): boolean {
    if (!words.has(this.word)) return false;
    this.at += 1;
    return true;
  }
  /** Passes over a bracket with everything in it. */
  bracket(): boolean {
    if (this.word !== '(') return false;
    let depth = 0;
    do {
      const token = this.take();
      if (token === '(') depth += 1;
      if (token === ')') depth -= 1;
    } while (depth > 0 && this.at < this.tokens.length);
    return depth === 0;
  }
  /** undefined: there is no name, or it has no database and none was chosen. */
  table(database: string): TableId | undefined {
    const first = this.name();
    if (first === undefined) return undefined;
    if (this.word !== '.') return database === '' ? undefined : { database, table: first };
    this.at += 1;
    const second = this.name();
    return second === undefined ? undefined : { database: first, table: second };
  }
  name(): string | undefined {
    if (!/^[`"A-Za-z0-9_$\u0080-\uffff]/.test(this.word)) return undefined;
    return plain(this.take());
  }
}

/** Cuts at the commas that are in no bracket. */
export function splitAtCommas(tokens: readonly string[]): string[][] {
  const parts: string[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token === '(') depth += 1;
    if (token === ')') depth -= 1;
    if (token === ',' && depth === 0) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts;
}
