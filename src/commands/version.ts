import { connectorVersion } from '../core/envelope-writer.ts';
import type { ExitCode, Invocation } from './command.ts';

export async function version({ flags, output }: Invocation): Promise<ExitCode> {
  const result = { crossfade: connectorVersion, node: process.versions.node };
  output.out(flags.on('json') ? `${JSON.stringify(result)}\n` : `crossfade ${result.crossfade} (node ${result.node})\n`);
  return 0;
}
