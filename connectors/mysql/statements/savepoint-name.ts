/** Names of savepoints as the server compares them: by utf8_general_ci, without case, accents and blanks at the end. */

/** Beyond Latin letters the collation has its own mind (`й` is not `и`, `ё` is `е`), which is not rebuilt here. */
const beyondLatin = /[^\u0000-\u017f]/;

/** Equal for names that are the same for the server, as long as `isCertain` says so of both. */
export function savepointName(name: string): string {
  if (beyondLatin.test(name)) return name.toLowerCase();
  return name.replace(/ +$/, '').replaceAll('ß', 's').normalize('NFD').replace(/\p{M}/gu, '').toUpperCase().toLowerCase();
}

/** Whether a name from `savepointName` can be told from others. */
export const isCertain = (name: string): boolean => !beyondLatin.test(name);
