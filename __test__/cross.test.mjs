/** What the cross builds say of a file, without building one. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { faults, newestGlibc } from '../scripts/lib/cross/examine.mjs'
import { chooseTargets, targets } from '../scripts/lib/cross/targets.mjs'

test('there is a cross build for each platform that has a package', () => {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  assert.deepEqual(Object.keys(targets).sort(), [...manifest.napi.targets].sort())
})

test('a target is either run or says why it is not', () => {
  for (const [name, { runs, notRun }] of Object.entries(targets))
    assert.notEqual(runs === undefined, notRun === undefined, name)
})

test('targets are chosen by a part of their names, and a name that fits none is refused', () => {
  assert.deepEqual(chooseTargets([]), Object.keys(targets))
  assert.deepEqual(chooseTargets(['musl']), ['x86_64-unknown-linux-musl', 'aarch64-unknown-linux-musl'])
  assert.deepEqual(chooseTargets(['linux-arm64-gnu']), ['aarch64-unknown-linux-gnu'])
  assert.throws(() => chooseTargets(['solaris']), /no target is named solaris/)
})

test('a file that its platform cannot load, or that holds too much, is told by what is wrong with it', () => {
  const linux = { format: 'ELF', machine: 'X86_64', registers: true, needed: ['libc.so.6'], names: 0, paths: [] }
  const gnu = (more) => faults('x86_64-unknown-linux-gnu', { ...linux, glibc: '2.17', ...more })
  assert.deepEqual(gnu(), [])
  assert.deepEqual(gnu({ glibc: '2.2.5' }), [])
  assert.match(gnu({ glibc: '2.18' }).join(), /needs glibc 2\.18, not 2\.17/)
  assert.match(gnu({ format: 'PE' }).join(), /file of PE/)
  assert.match(gnu({ machine: 'AARCH64' }).join(), /for AARCH64/)
  assert.match(gnu({ registers: false }).join(), /napi_register_module_v1/)
  assert.match(gnu({ names: 7 }).join(), /not stripped: 7 names/)
  assert.match(gnu({ paths: ['/home/ada/'] }).join(), /paths of this machine: \/home\/ada\//)
  const musl = (more) => faults('x86_64-unknown-linux-musl', { ...linux, needed: ['libc.so'], ...more })
  assert.deepEqual(musl(), [])
  assert.match(musl({ glibc: '2.17' }).join(), /needs glibc 2\.17/)
  assert.match(musl({ needed: ['libc.so', 'libgcc_s.so.1'] }).join(), /more than libc/)
  const mac = { ...linux, format: 'MACHO' }
  assert.deepEqual(faults('x86_64-apple-darwin', { ...mac, signed: false }), [])
  assert.match(faults('aarch64-apple-darwin', { ...mac, machine: 'ARM64', signed: false }).join(), /no signature/)
})

test('versions of glibc are compared as numbers, and other names are left out', () => {
  assert.equal(newestGlibc(['GLIBC_2.2.5', 'GLIBC_2.17', 'GLIBC_2.4', 'GCC_3.0', 'GLIBC_PRIVATE']), '2.17')
  assert.equal(newestGlibc([]), undefined)
})
