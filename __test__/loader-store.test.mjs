/** The addon with the store is the one that loads where its package is installed, and no other one in its place. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  addon,
  addStore,
  assertFault,
  compile,
  dir,
  install,
  NAME,
  onLinux,
  run,
  tool,
  version,
} from './support/loaded.mjs'

for (const [runtime, command, args] of [
  ['Node', process.execPath, []],
  ['Bun', tool('bun'), []],
  ['Deno', tool('deno'), ['run', '--allow-all', '--no-lock']],
])
  test(`the addon with the store is loaded, in ${runtime}`, onLinux, () => {
    for (const isWhole of [false, true]) {
      // There is no other one.
      const place = install({ from: null })
      addStore(place, { isWhole })
      assert.deepEqual(run(place, { command, args }), { version })
    }
  })

test('one of another version is refused, and the plain one is not taken in its place', onLinux, () => {
  const old = join(dir, 'old-store.node')
  compile(old, { its: '0.0.9' })
  const both = RegExp(
    `provider-auth-postgres\\.${NAME}\\.node is version 0\\.0\\.9, and this package is version ${version.replaceAll('.', '\\.')}`,
  )
  for (const [lockfile, command] of [
    ['package-lock.json', `npm install provider-auth-postgres@${version}`],
    ['pnpm-lock.yaml', `pnpm add provider-auth-postgres@${version}`],
    ['yarn.lock', `yarn add provider-auth-postgres@${version}`],
    ['bun.lock', `bun add provider-auth-postgres@${version}`],
  ]) {
    const place = install({ lockfile })
    addStore(place, { from: old, its: '0.0.9', isWhole: lockfile === 'yarn.lock' })
    const fault = run(place)
    assertFault(fault, both)
    assert.equal(fault.remedies[0], command)
    assert.equal(fault.remedies.length, 4)
  }
})

test('one that was installed by half, or without what is optional, is named', onLinux, () => {
  const half = install()
  truncateSync(addStore(half), 100)
  assertFault(run(half), /provider-auth-postgres\.\S+ is incomplete: .*\(100 of \d+ bytes\)/, /^rm -rf/)
  const lacking = install({ lockfile: 'package-lock.json' })
  addStore(lacking, { from: null })
  assertFault(run(lacking), /^The package provider-auth-postgres-linux-x64-gnu is not installed/, /--include=optional/)
})

test('without it, the plain one is loaded', onLinux, () => {
  const place = install()
  addStore(place, { from: null })
  rmSync(join(place.project, 'node_modules/provider-auth-postgres'), { recursive: true })
  assert.deepEqual(run(place), { version })
  // Nothing that is only for those who have it is in the message.
  assert.doesNotMatch(run(install({ from: null })).message, /postgres/)
})

test('a clone has its own, whatever is installed around it', onLinux, () => {
  const place = install({ from: null })
  const old = join(dir, 'older-store.node')
  compile(old, { its: '0.0.8' })
  addStore(place, { from: old, its: '0.0.8' })
  writeFileSync(join(place.own, 'Cargo.toml'), '')
  copyFileSync(addon, join(place.own, `provider-auth.${NAME}.node`))
  assert.deepEqual(run(place), { version })
})

test('a package manager that hides what is not named finds it by the package that was asked for', onLinux, () => {
  // As pnpm lays them: the platform's package is beside the one that names it, and nowhere else.
  const place = install({ from: null })
  const modules = join(place.project, 'node_modules')
  const file = addStore(place)
  const inner = join(modules, 'provider-auth-postgres/node_modules', `provider-auth-postgres-${NAME}`)
  mkdirSync(inner, { recursive: true })
  copyFileSync(file, join(inner, `provider-auth-postgres.${NAME}.node`))
  writeFileSync(join(inner, 'package.json'), '{}')
  rmSync(join(modules, `provider-auth-postgres-${NAME}`), { recursive: true })
  assert.deepEqual(run(place), { version })
})
