/** What a command is, and what it is handed; the table of all of them is in table.ts. */
import type { Output } from './output.ts';

/**
 * 0 well · 1 drift or a failed check · 2 usage or configuration · 3 inconclusive · 4 runtime failure · 5 an unforeseen error.
 * Supervisors go by it: behind 2 and 4 a new start would meet the same again, behind 5 it may help.
 */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5;

export interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** What the help calls the value: FILE, NAME. */
  readonly value?: string;
  readonly default?: string;
  /** The only values that are allowed. */
  readonly choices?: readonly string[];
  readonly help: string;
}

export interface Invocation {
  readonly flags: Flags;
  readonly words: readonly string[];
  readonly output: Output;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

export interface Flags {
  text(name: string): string | undefined;
  on(name: string): boolean;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly usage: readonly string[];
  /** Paragraphs, wrapped by the help itself. */
  readonly about: readonly string[];
  readonly example: { readonly line: string; readonly says: string };
  readonly options: Readonly<Record<string, Option>>;
  /** How many words may stand behind the name. */
  readonly words: { readonly min: number; readonly max: number };
  /** Loaded only when called, so that help does not wait for drivers. */
  readonly load: () => Promise<(invocation: Invocation) => Promise<ExitCode>>;
}
