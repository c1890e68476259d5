import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

/** A program with everything needed to start it. `uid` and `gid` are given when it must not run as root. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** What it reads on standard input, opened when it starts; nothing by default. */
  readonly input?: () => Readable;
}

/** What `spawn` needs of a command besides its file and arguments. */
export function spawnOptions(command: Command) {
  return {
    env: { ...process.env, ...command.env },
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    ...(command.uid === undefined ? {} : { uid: command.uid }),
    ...(command.gid === undefined ? {} : { gid: command.gid }),
  };
}

/** Runs a command to its end and returns its output; throws with the output's tail when it fails. */
export async function run(command: Command, onOutput?: (text: string) => void): Promise<string> {
  const child = spawn(command.file, command.args, { ...spawnOptions(command), stdio: ['pipe', 'pipe', 'pipe'] });
  if (command.input) command.input().pipe(child.stdin);
  else child.stdin.end();
  // A program that ends before it has read everything says why by its status; the broken pipe adds nothing.
  child.stdin.on('error', () => undefined);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      const text = chunk.toString();
      output += text;
      onOutput?.(text);
    });
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(status ?? signal ?? 'unknown'));
  });
  if (code !== 0) throw new Error(`${command.file} ended with ${code}:\n${output.trimEnd().split('\n').slice(-15).join('\n')}`);
  return output;
}
