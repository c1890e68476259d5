/**
 * A binary JSON document with the changes of a partial update, as a binary document again. Only the objects and arrays on
 * the changes' paths are taken apart, all else is copied; whether the copied parts are sound is left to who reads them.
 */
import { mostDepth } from './json-format.ts';
import {
  BrokenPatch,
  encodeDocument,
  takeApart,
  wholeValue,
  type ArrayNode,
  type JsonNode,
  type ObjectNode,
  type StoredValue,
} from './json-node.ts';
import { parsePath, type PathLeg } from './json-path.ts';

const operations = { replace: 0, insert: 1, remove: 2 } as const;

/** `document` and the answer: with the type byte in front. `changes`: one after the other as the event has them. Throws BrokenPatch. */
export function patchJson(document: Buffer, changes: Buffer): Buffer {
  // A holder of one item, so that the document too can be put back where it was taken from.
  const holder: ArrayNode = { items: [wholeValue(document)] };
  let at = 0;
  const take = (length: number): Buffer => {
    if (length > changes.length - at) throw new BrokenPatch();
    at += length;
    return changes.subarray(at - length, at);
  };
  const sized = (): Buffer => take(packedInteger(take));
  while (at < changes.length) {
    const operation = take(1)[0] as number;
    const path = parsePath(sized().toString('latin1'));
    if (operation > operations.remove || !path || path.length === 0 || path.length > mostDepth) throw new BrokenPatch();
    const value = operation === operations.remove ? undefined : wholeValue(sized());
    apply(operation, holder, path, value);
  }
  return encodeDocument(holder.items[0] as JsonNode);
}

function packedInteger(take: (length: number) => Buffer): number {
  const first = take(1)[0] as number;
  if (first < 251) return first;
  if (first === 252) return take(2).readUInt16LE();
  if (first === 253) return take(3).readUIntLE(0, 3);
  if (first === 254) return Number(take(8).readBigUInt64LE());
  throw new BrokenPatch();
}

function apply(operation: number, root: ArrayNode, path: readonly PathLeg[], value: StoredValue | undefined): void {
  let parent = open(root, 0);
  for (const leg of path.slice(0, -1)) {
    const slot = slotOf(parent, leg);
    if (slot === undefined) throw new BrokenPatch();
    parent = open(parent, slot);
  }
  const leg = path.at(-1) as PathLeg;
  if ('members' in parent) {
    if (typeof leg !== 'string') throw new BrokenPatch();
    if (parent.members.has(leg) === (operation === operations.insert)) throw new BrokenPatch();
    if (value) parent.members.set(leg, value);
    else parent.members.delete(leg);
    return;
  }
  if (typeof leg === 'string') throw new BrokenPatch();
  const { items } = parent;
  const index = leg.fromEnd ? items.length - 1 - leg.index : leg.index;
  if (operation === operations.insert && value) items.splice(Math.min(Math.max(index, 0), items.length), 0, value);
  else if (index < 0 || index >= items.length) throw new BrokenPatch();
  else if (value) items[index] = value;
  else items.splice(index, 1);
}

type Slot = string | number;

/** Where the leg leads, if there is such a thing. */
function slotOf(parent: ObjectNode | ArrayNode, leg: PathLeg): Slot | undefined {
  if ('members' in parent) return typeof leg === 'string' && parent.members.has(leg) ? leg : undefined;
  if (typeof leg === 'string') return undefined;
  const index = leg.fromEnd ? parent.items.length - 1 - leg.index : leg.index;
  return index >= 0 && index < parent.items.length ? index : undefined;
}

/** The object or array in a slot, taken apart and put back in its place. */
function open(parent: ObjectNode | ArrayNode, slot: Slot): ObjectNode | ArrayNode {
  const node = 'members' in parent ? parent.members.get(slot as string) : parent.items[slot as number];
  if (!node) throw new BrokenPatch();
  if (!('bytes' in node)) return node;
  const opened = takeApart(node);
  if ('members' in parent) parent.members.set(slot as string, opened);
  else parent.items[slot as number] = opened;
  return opened;
}
