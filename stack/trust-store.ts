import { createHash } from 'node:crypto';

const PASSWORD = 'changeit';

/**
 * A Java trust store (JKS) of the certificates in `pem`. An unpacked JRE has none: Debian makes it while it installs one.
 * Java checks the digest at the end only against damage; the certificates are public.
 */
export function javaTrustStore(pem: string): Buffer {
  const certificates = [...pem.matchAll(/-----BEGIN CERTIFICATE-----([\s\S]*?)-----END CERTIFICATE-----/g)].map((match) =>
    Buffer.from(match[1] ?? '', 'base64'),
  );
  const entries = certificates.map((certificate, index) =>
    Buffer.concat([uint32(2), text(`ca-${index}`), Buffer.alloc(8), text('X.509'), uint32(certificate.length), certificate]),
  );
  const body = Buffer.concat([uint32(0xfeedfeed), uint32(2), uint32(entries.length), ...entries]);
  const password = Buffer.from(PASSWORD, 'utf16le').swap16();
  const digest = createHash('sha1').update(password).update('Mighty Aphrodite').update(body).digest();
  return Buffer.concat([body, digest]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
