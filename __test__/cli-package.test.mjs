/** What is bundled into the command, and the licences that come with it. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (...path) => readFileSync(join(root, ...path), 'utf8')
const manifest = JSON.parse(read('package.json'))

/** The folders of the packages of which code is in the command. */
async function bundled() {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['cli/src/main.ts'],
    outdir: 'unwritten',
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  })
  const inputs = Object.values(metafile.outputs).flatMap((output) => Object.entries(output.inputs))
  const files = inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([file]) => file)
  return new Set(files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []))
}

test('each package that is in the command is in THIRD-PARTY-NOTICES, with its licence and all its text', async () => {
  const notices = read('THIRD-PARTY-NOTICES')
  const folders = await bundled()
  assert.ok(folders.size > 5)
  for (const folder of folders) {
    const { name, version, license } = JSON.parse(read(folder, 'package.json'))
    assert.ok(notices.includes(`\n${name} ${version} (${license})\n`), `${name} ${version} is not named`)
    const [text] = readdirSync(join(root, folder)).filter((file) => /^licen[cs]e/i.test(file))
    assert.ok(notices.includes(read(folder, text).trim()), `${name}: its licence is not whole`)
  }
})

test('the package brings no dependencies, and ships the notices and the schemas of the answers', () => {
  assert.equal(manifest.dependencies, undefined)
  for (const shipped of ['THIRD-PARTY-NOTICES', 'schemas', 'npm/dist'])
    assert.ok(manifest.files.includes(shipped), shipped)
  assert.ok(manifest.bin['provider-auth'].startsWith('./npm/dist/'))
})

test('the command loads no package from beside it', () => {
  const folder = join(root, 'npm/dist/cli')
  for (const file of readdirSync(folder)) {
    const code = readFileSync(join(folder, file), 'utf8')
    const names = [...code.matchAll(/(?:from|import|import\()\s*["']((?:node:|\.{1,2}\/)?[@a-z][\w@/.-]*)["']/g)].map(
      ([, name]) => name,
    )
    const foreign = names.filter((name) => !/^(\.{1,2}\/|node:)/.test(name))
    // Node's own modules, as packages written in CommonJS name them.
    assert.deepEqual(
      foreign.filter((name) => !['fs', 'tty', 'os', 'path', 'util', 'module', 'process', 'readline'].includes(name)),
      [],
      file,
    )
  }
})
