import { spawn } from 'node:child_process';

import type { Command } from '../command.ts';
import { spawnOptions } from '../command.ts';

/** How a program ended whose failure is an answer too. */
export interface Outcome {
  readonly code: number;
  /** Standard output and standard error as they came. */
  readonly output: string;
}

/** Runs a command to its end, whatever that is; a signal counts as 128 and a program that is not there rejects. */
export async function outcome(command: Command): Promise<Outcome> {
  const child = spawn(command.file, command.args, { ...spawnOptions(command), stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status ?? 128));
  });
  return { code, output };
}
