import { expect, test } from 'vitest';

import { lineForSuite, parseListFile, parseOsRelease, parseSourcesFile } from '../../stack/apt-sources.ts';

const SOURCES = `Types: deb
# a comment inside a stanza
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/archive.gpg

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
`;

test('a .sources file gives one source per address and suite, without disabled and source-code stanzas', () => {
  const sources = parseSourcesFile(SOURCES);
  expect(sources.map(({ uri, suite }) => `${uri} ${suite}`)).toEqual([
    'http://mirror.example/debian bookworm',
    'http://mirror.example/debian bookworm-updates',
    'http://mirror.example/debian-security bookworm-security',
  ]);
  expect(sources[0]).toEqual({
    uri: 'http://mirror.example/debian',
    suite: 'bookworm',
    components: ['main', 'contrib'],
    signedBy: '/usr/share/keyrings/archive.gpg',
  });
});

test('a key that is written out in the stanza is not taken for a file', () => {
  expect(parseSourcesFile(SOURCES)[2]?.signedBy).toBeUndefined();
});

test('a sources.list gives its deb lines, with options and without', () => {
  const text = `# deb http://old.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] http://one.example/debian/ bookworm main non-free # trailing
deb-src http://one.example/debian bookworm main
deb http://two.example/debian trixie main`;
  expect(parseListFile(text)).toEqual([
    { uri: 'http://one.example/debian/', suite: 'bookworm', components: ['main', 'non-free'], signedBy: '/usr/share/keyrings/a.gpg' },
    { uri: 'http://two.example/debian', suite: 'trixie', components: ['main'], signedBy: undefined },
  ]);
});

test("another suite comes from the mirror of the machine's own release, with the same key", () => {
  const sources = [...parseListFile('deb http://vendor.example/tools stable main'), ...parseSourcesFile(SOURCES)];
  expect(lineForSuite(sources, 'bookworm', 'sid')).toBe(
    'deb [signed-by=/usr/share/keyrings/archive.gpg] http://mirror.example/debian sid main',
  );
});

test('updates and security archives are no mirror: they carry no other suite', () => {
  const sources = parseListFile(`deb http://s.example/debian-security bookworm-security main
deb http://m.example/debian bookworm-updates main`);
  expect(lineForSuite(sources, 'bookworm', 'sid')).toBeUndefined();
});

test('a machine that follows "stable" by name has a mirror too', () => {
  expect(lineForSuite(parseListFile('deb http://m.example/debian stable main'), 'bookworm', 'sid')).toBe(
    'deb http://m.example/debian sid main',
  );
});

test('os-release is read with quotes and without', () => {
  expect(parseOsRelease('ID=debian\nVERSION_CODENAME=bookworm\nID_LIKE="x"')).toEqual({ id: 'debian', codename: 'bookworm' });
  expect(parseOsRelease('VERSION_CODENAME="noble"\nID="ubuntu"')).toEqual({ id: 'ubuntu', codename: 'noble' });
});
