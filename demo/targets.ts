import { spawn } from 'node:child_process';

import { Client } from 'pg';

import { crossfadeProgram } from './pipeline.ts';

/** Asks Crossfade for the target tables' definitions and executes them: what a person does who follows the guide. */
export async function createTargetTables(folder: string, service: string, postgresUrl: string): Promise<number> {
  const { code, stdout, stderr } = await crossfade(folder, ['check', '--statements', '--only', service]);
  const statements = stdout.split(/;[ \t]*\n/).filter((text) => /^\s*create/im.test(text));
  if (statements.length === 0)
    throw new Error(`crossfade check --statements --only ${service} answered code ${code} and no CREATE TABLE:\n${stdout}${stderr}`);
  const client = new Client({ connectionString: postgresUrl });
  await client.connect();
  try {
    await client.query(stdout);
  } finally {
    await client.end();
  }
  return statements.length;
}

/** Throws with Crossfade's own words when anything is left to mend. */
export async function checkEverything(folder: string): Promise<void> {
  const { code, stdout, stderr } = await crossfade(folder, ['check']);
  if (code !== 0) throw new Error(`crossfade check ended with code ${code}:\n${stdout}${stderr}`);
}

interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function crossfade(folder: string, args: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(crossfadeProgram, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const texts = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...texts }));
  });
}
