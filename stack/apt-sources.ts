import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One archive of the machine's own apt configuration. */
export interface AptSource {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  readonly signedBy: string | undefined;
}

/** Parses the one-line style of `sources.list`. */
export function parseListFile(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.replace(/#.*/, '').trim();
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)$/.exec(line);
    if (!match) continue;
    const [, options = '', uri = '', suite = '', components = ''] = match;
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(options)?.[1];
    sources.push({ uri, suite, components: words(components), signedBy });
  }
  return sources;
}

/** Parses the deb822 style of `.sources` files: stanzas of `Field: value` with continuation lines. */
export function parseSourcesFile(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const stanza of text.split(/\n[ \t]*\n/)) {
    const fields = new Map<string, string>();
    let field = '';
    for (const line of stanza.split('\n')) {
      if (line.startsWith('#') || line.trim() === '') continue;
      const match = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
      if (match) {
        field = (match[1] ?? '').toLowerCase();
        fields.set(field, match[2] ?? '');
      } else fields.set(field, `${fields.get(field) ?? ''}\n${line.trim()}`);
    }
    if (!words(fields.get('types') ?? '').includes('deb') || fields.get('enabled')?.toLowerCase() === 'no') continue;
    // A key may be written out in the stanza itself instead of naming a file; then the archive's default keyring serves.
    const signedBy = fields.get('signed-by');
    const keyFile = signedBy?.startsWith('/') ? signedBy.trim() : undefined;
    for (const uri of words(fields.get('uris') ?? ''))
      for (const suite of words(fields.get('suites') ?? ''))
        sources.push({ uri, suite, components: words(fields.get('components') ?? ''), signedBy: keyFile });
  }
  return sources;
}

/**
 * The `sources.list` line for another suite of the same mirror. The mirror is the archive that carries the machine's own
 * release (`codename`), not its updates or security archive: those carry no other suite.
 */
export function lineForSuite(sources: readonly AptSource[], codename: string, suite: string): string | undefined {
  const names = new Set([codename, 'stable', 'testing', 'unstable', 'sid', 'oldstable']);
  const main = sources.filter((source) => source.components.includes('main'));
  const mirror = main.find((source) => source.suite === codename) ?? main.find((source) => names.has(source.suite));
  if (!mirror) return undefined;
  const options = mirror.signedBy ? `[signed-by=${mirror.signedBy}] ` : '';
  return `deb ${options}${mirror.uri} ${suite} main`;
}

/** Reads every source of this machine's apt configuration. */
export function machineSources(folder = '/etc/apt'): AptSource[] {
  const sources: AptSource[] = parseListFile(textOf(join(folder, 'sources.list')));
  for (const name of namesIn(join(folder, 'sources.list.d'))) {
    const text = () => textOf(join(folder, 'sources.list.d', name));
    if (name.endsWith('.list')) sources.push(...parseListFile(text()));
    if (name.endsWith('.sources')) sources.push(...parseSourcesFile(text()));
  }
  return sources;
}

/** The identity of this machine's distribution: `{ id: 'debian', codename: 'bookworm' }`. */
export function parseOsRelease(text: string): { id: string; codename: string } {
  const value = (key: string) => new RegExp(`^${key}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  return { id: value('ID'), codename: value('VERSION_CODENAME') || 'sid' };
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // A file that is not there configures nothing; apt itself takes it the same way.
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // As above: no folder, no sources.
  }
}
