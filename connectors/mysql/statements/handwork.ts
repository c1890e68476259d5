/** What a person does in the targets for a statement that is not carried, by its kind: only they know the values that it made. */

/** Patterns of `what` in a StatementMeaning, the first that matches. */
const kinds: readonly (readonly [RegExp, string])[] = [
  [
    /ADD COLUMN|ADD SYSTEM VERSIONING/,
    'Add the column in the targets with the same NOT NULL and DEFAULT, so that old rows have the value that the source gave them (a generated or AUTO_INCREMENT column, or a DEFAULT that is an expression: add it nullable, then UPDATE it from the source). A column added without its values is NULL there, and no check can always tell.',
  ],
  [/DROP COLUMN/, 'Drop the column in the targets too, or let it stay there with a default or nullable: new rows bring no value for it.'],
  [
    /RENAME COLUMN|CHANGE/,
    'Rename the column in the targets too, or keep its old name there with a `rename` transform. With CHANGE, see also to its new type and values as for MODIFY.',
  ],
  [
    /MODIFY|ALTER COLUMN|CONVERT TO CHARACTER SET/,
    'Give the column in the targets the type that `crossfade check` prints. Where the source converted values on the way (rounded, cut, other ENUM labels, NULL to NOT NULL), UPDATE them there from the source, or load the table again.',
  ],
  [
    /PRIMARY KEY|UNIQUE|INDEX/,
    'Make the same key in the targets (drop the old PRIMARY KEY or UNIQUE there, add one on exactly the new columns); rows whose key has another value now: load the table again. In Redis the rows stand under other keys: delete the old ones.',
  ],
  [/PARTITION|CONVERT TABLE/, 'Rows went into the table, or out of it: load it again, or do the same INSERT or DELETE in the targets.'],
  [/^TRUNCATE/, 'Empty the table in the targets.'],
  [/^DROP (?:TABLE|DATABASE)/, 'Take the table out of the configuration, or, if it was made anew, empty it in the targets.'],
  [/CREATE OR REPLACE TABLE/, 'Make the table in the targets anew, as it is in the source now, and load what is in it.'],
  [
    /RENAME/,
    'Name the table as it is called now in the configuration, or rename it in the targets too; rows under the old name stay there.',
  ],
];

/** `what`: the statement in the words of its stop, such as `ALTER TABLE … DROP COLUMN`. */
export function handwork(what: string): string {
  return kinds.find(([pattern]) => pattern.test(what))?.[1] ?? 'Do the same in the targets by hand, or load the table again.';
}
