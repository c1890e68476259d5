/** Where a command's text goes. Knows what the terminal can do, so that commands need not ask. */
import { styleText } from 'node:util';

export interface Output {
  /** Results: what a script may read. */
  out(text: string): void;
  /** Everything else: progress, problems, hints. */
  err(text: string): void;
  /** True where `out` is a terminal that a person watches. */
  readonly live: boolean;
  readonly columns: number;
  paint(style: Style, text: string): string;
  /** One question with a yes or no; false at once where nobody can answer. */
  confirm(question: string): Promise<boolean>;
  /** Replaces the line that stands at the bottom of a live terminal; '' takes it away. */
  statusLine(text: string): void;
}
type Style = 'red' | 'yellow' | 'green' | 'dim' | 'bold' | 'cyan';

export interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadStream;
}

export function makeOutput({ stdout, stderr, stdin }: Streams, environment: Readonly<Record<string, string | undefined>>): Output {
  const live = stdout.isTTY && environment['TERM'] !== 'dumb';
  const colour = live && (environment['NO_COLOR'] ?? '') === '';
  let status = '';
  // The status line is taken away before anything else is written and put back behind it.
  const around = (write: () => void) => {
    if (status !== '') stdout.write('\r\u001b[K');
    write();
    if (status !== '') stdout.write(status);
  };
  return {
    out: (text) => around(() => stdout.write(text)),
    err: (text) => around(() => stderr.write(text)),
    live,
    get columns() {
      return stdout.columns ?? 80;
    },
    paint: (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text),
    confirm: (question) => (stdin.isTTY && live ? ask(question, stdin, stderr) : Promise.resolve(false)),
    statusLine(text) {
      if (!live) return;
      status = cutTo((stdout.columns ?? 80) - 1, text);
      stdout.write(`\r\u001b[K${status}`);
    },
  };
}

async function ask(question: string, input: NodeJS.ReadStream, output: NodeJS.WriteStream): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input, output });
  const closed = new AbortController();
  for (const event of ['SIGINT', 'close']) lines.once(event, () => closed.abort());
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `, { signal: closed.signal })).trim());
  } catch {
    return false; // Ctrl-C or the end of the input is a no.
  } finally {
    lines.close();
  }
}

/** `1 table`, `2 tables`. */
export const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** Breaks at spaces, each line's own indentation kept for what follows; words longer than the width stand alone. */
export function wrap(text: string, width: number, indent = ''): string {
  return text
    .split('\n')
    .flatMap((paragraph) => wrapLine(paragraph, width, indent))
    .join('\n');
}

function wrapLine(paragraph: string, width: number, indent: string): string[] {
  const own = indent + (/^ */.exec(paragraph)?.[0] ?? '');
  const lines: string[] = [];
  let line = '';
  for (const word of paragraph.trim().split(' ')) {
    const joined = line === '' ? `${own}${word}` : `${line} ${word}`;
    if (joined.length > width && line !== '') {
      lines.push(line);
      line = `${own}${own.length > indent.length ? '  ' : ''}${word}`;
    } else line = joined;
  }
  return [...lines, line.trimEnd()];
}

/** Cut to the width, with a mark that it was. */
export const cutTo = (columns: number, text: string) => (text.length > columns ? `${text.slice(0, Math.max(0, columns - 1))}…` : text);

/** What a table may take: a terminal cuts what is wider, a file or another program gets all of it. */
export const tableWidth = ({ live, columns }: Pick<Output, 'live' | 'columns'>): number => (live ? columns : Infinity);

/** Columns aligned by spaces, numbers to the right, cut at the width. */
export function table(rows: readonly (readonly (string | number)[])[], columns: number): string {
  const texts = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en-US') : cell)));
  const widths = (texts[0] ?? []).map((_, at) => Math.max(...texts.map((row) => row[at]?.length ?? 0)));
  const right = (texts[0] ?? []).map((_, at) => rows.slice(1).some((row) => typeof row[at] === 'number'));
  return texts
    .map((row) =>
      row
        .map((cell, at) => (right[at] ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => cutTo(columns, line))
    .join('\n');
}
