import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/**
 * The range that servers' ports are taken from: below the kernel's range for outgoing connections. A client that
 * retries a killed server from that range could be given the very port it dials, connect to itself and keep the server out.
 */
export function serverPortRange(localRange: string): { first: number; last: number } {
  const lowest = Number(localRange.trim().split(/\s+/)[0]);
  const ceiling = Number.isInteger(lowest) && lowest > 12_000 ? lowest : 32_768;
  return { first: Math.max(10_000, ceiling - 12_000), last: ceiling - 1 };
}

const given = new Set<number>();

/** A free port of 127.0.0.1 that this process has not given out before. */
export async function freePort(): Promise<number> {
  const { first, last } = serverPortRange(kernelRange());
  for (let attempt = 0; attempt < 500; attempt++) {
    const port = first + Math.floor(Math.random() * (last - first + 1));
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port between ${first} and ${last}`);
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1' }, () => probe.close(() => resolve(true)));
  });
}

function kernelRange(): string {
  try {
    return readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
  } catch {
    return ''; // Not Linux: the default of the function above is a good guess.
  }
}
