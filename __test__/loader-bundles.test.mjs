/** Programs that have the library in a bundle: the addon is looked for beside them, and never where they were made. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { addonName } from '../scripts/lib/build.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const bun = join(root, 'node_modules/.bin/bun')
const dir = realpathSync(mkdtempSync(join(tmpdir(), 'provider-auth-bundles-')))
after(() => rmSync(dir, { recursive: true, force: true }))

/** Each makes `out` of `source`, a program of CommonJS or, as the name says, of modules. */
const BUNDLERS = {
  'bun build --compile': (source, out) => bunBuild(['--compile', source, '--outfile', out]),
  'bun build --target=node, of CommonJS': (source, out) =>
    bunBuild(['--target=node', '--format=cjs', source, '--outfile', `${out}.cjs`]),
  'bun build --target=node, of modules': (source, out) =>
    bunBuild(['--target=node', source, '--outfile', `${out}.mjs`]),
  'esbuild, CommonJS': (source, out) => esbuild({ source, outfile: `${out}.cjs`, format: 'cjs' }),
  'esbuild, CommonJS of modules': (source, out) => esbuild({ source, outfile: `${out}.cjs`, format: 'cjs' }),
  'esbuild, modules': (source, out) => esbuild({ source, outfile: `${out}.mjs`, format: 'esm' }),
  'esbuild, with `require` declared, modules': (source, out) =>
    esbuild({ source, outfile: `${out}.mjs`, format: 'esm', banner: { js: REQUIRE } }),
}

/** What many give a bundle of modules, so that it can have CommonJS in it. */
const REQUIRE = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`

function bunBuild(args) {
  execFileSync(bun, ['build', ...args], { stdio: 'pipe' })
  const out = args.at(-1)
  return args.includes('--compile') ? [out] : [process.execPath, out]
}

async function esbuild({ source, outfile, ...options }) {
  await build({ entryPoints: [source], outfile, bundle: true, platform: 'node', logLevel: 'error', ...options })
  return [process.execPath, outfile]
}

let count = 0
for (const [name, bundle] of Object.entries(BUNDLERS))
  test(`a program made by ${name} loads the addon that lies beside it, and no other`, async () => {
    count += 1
    const project = join(dir, `made-${count}`)
    const own = join(project, 'node_modules/provider-auth')
    mkdirSync(own, { recursive: true })
    const { version, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    writeFileSync(
      join(own, 'package.json'),
      JSON.stringify({ name: 'provider-auth', version, type: 'module', exports }),
    )
    for (const file of [
      'index.cjs',
      'index.js',
      'bundled.js',
      'library.cjs',
      'auth-fetch.cjs',
      'login.cjs',
      'fault.cjs',
      'register.cjs',
      'register.js',
      'register-bundled.js',
    ])
      cpSync(join(root, 'npm/dist', file), join(own, 'npm/dist', file))
    const isModule = name.endsWith('modules')
    const source = join(project, isModule ? 'program.mjs' : 'program.cjs')
    writeFileSync(source, isModule ? MODULE : COMMON_JS)
    const [command, ...args] = await bundle(source, join(project, 'made'))
    // The program is taken elsewhere. Where it was made lies an addon that somebody else may have put there.
    linkSync(join(root, addonName()), join(own, addonName()))
    const place = join(dir, `used-${count}`)
    mkdirSync(place)
    const taken = [command, ...args].map((part) => {
      if (dirname(part) !== project) return part
      renameSync(part, join(place, part.slice(project.length)))
      return join(place, part.slice(project.length))
    })
    const { NAPI_RS_NATIVE_LIBRARY_PATH: _, ...env } = process.env
    const run = () => spawnSync(taken[0], taken.slice(1), { cwd: place, env, encoding: 'utf8', timeout: 90_000 })
    const without = run()
    assert.match(`${without.stdout}${without.stderr}`, /ADDON_NOT_LOADED/)
    assert.match(`${without.stdout}${without.stderr}`, /mark provider-auth as external/)
    linkSync(join(root, addonName()), join(place, addonName()))
    const beside = run()
    assert.equal(beside.stdout, 'function\n', beside.stderr)
  })

const MODULE = `import('provider-auth').then((auth) => console.log(typeof auth.createAuthFetch))\n`
/** A compiled program of Bun prints the message of an error and not its code. */
const COMMON_JS = `try {
  console.log(typeof require('provider-auth').createAuthFetch)
} catch (error) {
  console.log(error.code, error.message)
}
`

test('a bundle of modules has the library once, for the program and for `register`', async () => {
  const project = join(dir, 'registers')
  mkdirSync(join(project, 'node_modules'), { recursive: true })
  symlinkSync(root, join(project, 'node_modules/provider-auth'), 'junction')
  const source = join(project, 'program.mjs')
  const isOurs = `Object.hasOwn(globalThis, Symbol.for('provider-auth.registered'))`
  writeFileSync(
    source,
    `import 'provider-auth/register'\nimport { createAuthFetch } from 'provider-auth'\nconsole.log(${isOurs}, typeof createAuthFetch)\n`,
  )
  const outfile = join(project, 'made.mjs')
  await esbuild({ source, outfile, format: 'esm' })
  assert.equal(readFileSync(outfile, 'utf8').split('function loadAddon(').length, 2)
  linkSync(join(root, addonName()), join(project, addonName()))
  const { NAPI_RS_NATIVE_LIBRARY_PATH: _, ...env } = process.env
  const { stdout, stderr } = spawnSync(process.execPath, [outfile], { env, encoding: 'utf8', timeout: 90_000 })
  assert.equal(stdout, 'true function\n', stderr)
})
