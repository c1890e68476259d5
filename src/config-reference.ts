/** The reference page of the configuration, made from its JSON Schema: one heading a group, one row a setting. */
import type { SchemaNode } from './config-problems.ts';

export function referenceText(schema: SchemaNode): string {
  const sections: string[] = [];
  section('', schema, sections);
  return `${intro}\n${sections.join('\n')}`;
}

const intro = `# Configuration reference

<!-- Written by \`crossfade config reference\`; do not edit. -->

One YAML file, \`crossfade.yaml\` unless \`--config\` names another. An unknown setting is an error. Every text may hold
\`\${NAME}\` for an environment variable and \`\${file:/run/secrets/name}\` for the content of a file; in a URL they need no
percent-encoding. \`$\${\` stands for a plain \`\${\`. \`NAME\` below stands for a name of your choice.
`;

/** One table of an object's settings, then the sections of the objects within. */
function section(path: string, node: SchemaNode, sections: string[]): void {
  const inner: [string, SchemaNode][] = [];
  const rows = settings(node).map(([name, child, required]) => {
    for (const [suffix, object] of objects(child)) inner.push([join(path, name) + suffix, object]);
    const fallback = required ? 'required' : child.default === undefined ? '' : `\`${JSON.stringify(child.default)}\``;
    return [`\`${name}\``, kinds(child), fallback, descriptionOf(child)];
  });
  if (rows.length > 0) {
    const title = path === '' ? 'The file' : `\`${path}\``;
    const table = markdownTable([['setting', 'value', 'default', 'meaning'], ...rows]);
    // One path may take several forms; what two forms have in common is shown once.
    const known = sections.filter((text) => text.startsWith(`## ${title}\n`) || text.startsWith(`## ${title}, `));
    if (!known.some((text) => text.endsWith(`${table}\n`))) {
      sections.push(
        `## ${title}${known.length > 0 ? `, another form${known.length > 1 ? ` (${known.length + 1})` : ''}` : ''}\n\n${table}\n`,
      );
    }
  }
  for (const [name, object] of inner) section(name, object, sections);
}

/** Padded as the formatter of this repository pads it, so that the page can be checked in as it is printed. */
function markdownTable(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')));
  const widths = (cells[0] ?? []).map((_, at) => Math.max(3, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]) => `| ${row.map((text, at) => text.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = cells;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

/** The settings of an object: name, schema, whether it must be there. */
function settings(node: SchemaNode): [string, SchemaNode, boolean][] {
  return Object.entries(node.properties ?? {}).map(([name, child]) => [name, child, node.required?.includes(name) ?? false]);
}

/** The objects that a setting leads to, each with what stands behind its path: `.NAME` in a map, `[]` in a list. */
function objects(node: SchemaNode): [string, SchemaNode][] {
  return forms(node).flatMap((form): [string, SchemaNode][] => {
    if (form.properties) return [['', form]];
    if (typeof form.additionalProperties === 'object')
      return objects(form.additionalProperties).map(([suffix, object]) => [`.NAME${suffix}`, object]);
    return form.items ? objects(form.items).map(([suffix, object]) => [`[]${suffix}`, object]) : [];
  });
}

function forms(node: SchemaNode): readonly SchemaNode[] {
  const inner = node.anyOf ?? node.oneOf;
  return inner ? inner.flatMap(forms) : [node];
}

function kinds(node: SchemaNode): string {
  return [...new Set(forms(node).map(kind))].filter((text) => text !== '').join(' or ');
}

function kind(node: SchemaNode): string {
  if (node.const !== undefined) return `\`${JSON.stringify(node.const)}\``;
  if (node.enum) return node.enum.map((value) => `\`${String(value)}\``).join(' or ');
  switch (node.type) {
    case 'array':
      return `list of ${node.items ? plural(kinds(node.items)) : 'anything'}`;
    case 'object':
      return typeof node.additionalProperties === 'object' && !node.properties
        ? `by name: ${kinds(node.additionalProperties)}`
        : 'settings';
    case 'integer':
      return 'whole number';
    case 'number':
      return 'number';
    case 'boolean':
      return 'true or false';
    case 'string':
      return 'text';
    case 'null':
      return 'nothing';
    default:
      return '';
  }
}

const plural = (text: string) => (text === 'text' ? 'texts' : text);

const join = (path: string, name: string) => (path === '' ? name : `${path}.${name}`);

/** Its own words, else those of its forms. */
function descriptionOf(node: SchemaNode): string {
  const own = node.description ?? '';
  const others = forms(node).flatMap((form) => (form.description === undefined || form.description === own ? [] : [form.description]));
  return [own, ...new Set(others)].filter((text) => text !== '').join(' ');
}
