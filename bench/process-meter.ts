import { readFileSync } from 'node:fs';

/** Linux's clock ticks a second: the same 100 on every architecture that Node runs on. */
const ticksPerSecond = 100;

/** CPU time of a process with all its threads so far; zero where there is no /proc. */
export function cpuUsOf(pid: number): number {
  const text = read(`/proc/${pid}/stat`);
  // The program's name may hold spaces and brackets: the fields begin behind the last bracket.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 1e6) / ticksPerSecond;
}

/** The highest resident set of a process so far. */
export function peakRssMbOf(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;
}

/** The resident set of a process now. */
export function rssMbOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // The process is gone, or this is no Linux: there is nothing to know, and no figure depends on it alone.
  }
}
