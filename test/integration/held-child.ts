/** A process that writes the story of held-story.ts and kills itself at the n-th passing of a fault point. */
import { subscribe } from 'node:diagnostics_channel';
import { postgresSchema } from '../../connectors/postgres/config.ts';
import { openStorySink, tell } from './held-story.ts';

export interface HeldOrder {
  readonly url: string;
  readonly point: string;
  readonly passing: number;
}

const { url, point, passing } = JSON.parse(process.argv[2] ?? '{}') as HeldOrder;
let passed = 0;
subscribe(`crossfade:${point}`, () => {
  passed += 1;
  if (passed === passing) process.kill(process.pid, 'SIGKILL');
});
await using sink = await openStorySink(postgresSchema.parse(url));
await tell(sink);
