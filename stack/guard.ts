import { rm } from 'node:fs/promises';

import { endAllIn } from './process.ts';

// Waits on a pipe whose other end is the process that started the servers. The kernel closes that end however its
// holder dies, kill -9 included; then the servers of the folder are ended and the folder is removed.
const folder = process.argv[2];
if (!folder) throw new Error('usage: guard.ts FOLDER');
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.stdin.on('data', () => undefined);
process.stdin.on('close', () => void tidy(folder));

async function tidy(path: string): Promise<void> {
  await endAllIn(path);
  await rm(path, { recursive: true, force: true, maxRetries: 5 });
}
