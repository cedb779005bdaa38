/** That `arrows.mjs`, by which `repository.test.mjs` holds the sources to one direction, finds a circle where there is one. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { arrowsOf, circlesOf, pathAround } from '../scripts/lib/arrows.mjs'

test('a circle is found through a re-export, a nested list and a path in the code, and named', () => {
  assert.deepEqual(
    circlesIn({
      'lib.rs': 'mod facade;\nmod low;\nmod store;\npub use facade::Facade;\n',
      'facade.rs': 'use crate::store::{self, record::{Kind, Record}};\npub struct Facade(Record, Kind);\n',
      // What it uses is defined in `store/record.rs`.
      'low.rs': 'use crate::store::Record;\npub fn weigh(_: &Record) {}\n',
      'store.rs': 'mod record;\nmod write;\npub use self::record::Record;\n',
      'store/record.rs': 'pub struct Record;\nimpl Record { fn go(&self) { super::write::write(self) } }\n',
      'store/write.rs':
        'use crate::{\n    low::weigh,\n};\npub fn write(record: &crate::store::Record) { weigh(record) }\n',
    }),
    ['low.rs → store/record.rs → store/write.rs → low.rs'],
  )
})

test('no circle is found where arrows run one way, in comments, texts and tests', () => {
  assert.deepEqual(
    circlesIn({
      'lib.rs': 'mod high;\nmod low;\n',
      'high.rs': 'use crate::low::Low;\n',
      'low.rs': [
        '//! As `use crate::high::High;` would be.',
        'pub struct Low;',
        'const TEXT: &str = "use crate::high::High;";',
        '#[cfg(test)]',
        'mod tests {',
        '    use crate::high::High;',
        '}',
      ].join('\n'),
    }),
    [],
  )
})

/** The circles of a made-up crate. */
function circlesIn(sources) {
  const src = mkdtempSync(join(tmpdir(), 'provider-auth-arrows-'))
  after(() => rmSync(src, { recursive: true, force: true }))
  for (const [file, code] of Object.entries(sources)) {
    mkdirSync(dirname(join(src, file)), { recursive: true })
    writeFileSync(join(src, file), code)
  }
  const files = arrowsOf(src)
  return circlesOf(files).map((circle) => pathAround(files, circle))
}
