/** The text of a starter configuration, made of what was found on the servers. Pure: no password ever comes in here. */
import { describeTarget, type TargetKind } from '../config-targets.ts';
import { urlParts } from '../config-variables.ts';
import { type TableId, tableName, type TableSchema } from '../core/change.ts';

export interface Found {
  readonly pipeline: string;
  /** With a variable in place of its password. */
  readonly sourceUrl: string;
  readonly service: { readonly name: string; readonly kind: TargetKind; readonly url: string; readonly example: boolean };
  /** Tables that can be streamed, in the order they will stand in. */
  readonly tables: readonly TableSchema[];
  /** Tables that cannot, each with its reason in a few words. */
  readonly refused: readonly { readonly table: TableId; readonly why: string }[];
}

export function starterText({ pipeline, sourceUrl, service, tables, refused }: Found): string {
  const mappings = tables.map((schema) => `      ${mappingLine(schema, service.kind)}`);
  const comments = refused.map(({ table, why }) => `      # ${tableName(table)}: ${why}`);
  return [
    '# Crossfade streams the tables below into the services. `crossfade config reference` explains every setting,',
    '# `crossfade check` says what is missing, `crossfade run` starts. ${NAME} is taken from the environment.',
    `pipeline: ${pipeline}`,
    'source:',
    `  mysql: ${scalar(sourceUrl)}`,
    'log: embedded',
    'services:',
    `  ${service.name}:`,
    ...(service.example ? ['    # An example: put the address of your own Postgres here, or a redis:// URL behind `redis:`.'] : []),
    `    ${service.kind}: ${scalar(service.url)}`,
    '    tables:',
    ...mappings,
    ...comments,
    '',
  ].join('\n');
}

function mappingLine(schema: TableSchema, kind: TargetKind): string {
  return `${scalar(tableName(schema.table))}: ${describeTarget(kind).starter(schema)}`.trimEnd();
}

const scalar = (text: string) => (/^[A-Za-z0-9][\w.:/@${}?=&%+-]*$/.test(text) && !text.endsWith(':') ? text : JSON.stringify(text));

export interface MaskedUrl {
  /** For the file. */
  readonly url: string;
  /** The variable to export, where the URL had a password. */
  readonly variable?: string;
  readonly password?: string;
}

/** Takes the password out of a URL; one that is a variable already stays as it is. */
export function maskUrl(text: string, variable: string): MaskedUrl | undefined {
  const parts = urlParts(text);
  if (!parts) return undefined;
  const { scheme, host, rest } = parts;
  const user = parts.user.replace(/@$/, '');
  const colon = user.indexOf(':');
  if (colon < 0) return { url: text };
  const password = user.slice(colon + 1);
  if (password === '' || password.includes('${')) return { url: text };
  return { url: `${scheme}${user.slice(0, colon)}:\${${variable}}@${host}${rest}`, variable, password: decoded(password) };
}

/** A `/`, `?` or `#` of the password as it was typed: the host would begin in the middle of it. */
export const endsEarly = (url: string): boolean => /^[^:]+:\/\/[^/?#@]*:[^/?#]*[/?#].*@/.test(url.replaceAll(/\$\{[^}]*\}/g, ''));

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A lone % was meant as it stands.
  }
}

/** Of a source: its tables are named with their databases. */
export const withoutDatabase = (url: string): string => url.replace(/^((?:mysql|mariadb):\/\/(?:.*@)?[^/]*)\/[^?]*/i, '$1');

/** A name for topics and services out of any text. */
export function plainName(text: string, otherwise: string): string {
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 40);
  return name === '' ? otherwise : name;
}
