/** Which foreign keys change rows by themselves, by the definition that the server prints. */
import { expect, test } from 'vitest';
import { cascadesIn } from '../../connectors/mysql/check/check-cascades.ts';

const key = (name: string, rest: string) => `  CONSTRAINT \`${name}\` FOREIGN KEY (\`parent\`) REFERENCES ${rest}`;
const plain = '`t` (`id`)';

test.each([
  [`${plain} ON DELETE CASCADE`, true],
  [`${plain} ON DELETE SET NULL,`, true],
  [`${plain} ON UPDATE CASCADE`, true],
  [`${plain} ON DELETE RESTRICT ON UPDATE SET NULL,`, true],
  [`${plain} ON DELETE CASCADE ON UPDATE NO ACTION`, true],
  ['`other`.`t` (`a`, `b`) ON DELETE CASCADE', true],
  [plain, false],
  [`${plain},`, false],
  [`${plain} ON DELETE NO ACTION ON UPDATE RESTRICT`, false],
  ['`t ON DELETE CASCADE` (`id`)', false],
])('%s', (rest, changes) => {
  expect(cascadesIn(`CREATE TABLE \`c\` (\n${key('fk', rest)}\n) ENGINE=InnoDB`)).toEqual(changes ? ['fk'] : []);
});

test('a name with a backtick, doubled or not; what looks like a rule in a comment', () => {
  const definition = [
    key('a``b', `${plain} ON DELETE CASCADE,`),
    key('c`d', `${plain} ON DELETE CASCADE,`),
    key('e', plain),
    "  `x` int COMMENT 'CONSTRAINT `no` FOREIGN KEY (`x`) ON DELETE CASCADE',",
  ];
  expect(cascadesIn(definition.join('\n'))).toEqual(['a`b', 'c`d']);
});
