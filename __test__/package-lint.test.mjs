/** The packed package, as two linters and TypeScript see it: ways in, types, fields and files. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import ts from 'typescript'
import { pack } from '../scripts/lib/pack.mjs'
import { packedReadme } from '../scripts/lib/readme.mjs'
import { run } from '../scripts/lib/steps.mjs'
import { removeFolder } from './support/remove-folder.mjs'

const folder = mkdtempSync(join(tmpdir(), 'provider-auth-lint-'))
after(() => removeFolder(folder))
const { main } = await pack(folder, { isMainOnly: true })
const tarball = readFileSync(main)
const project = join(folder, 'project')
const installed = join(project, 'node_modules/provider-auth')
mkdirSync(installed, { recursive: true })
writeFileSync(join(project, 'package.json'), '{ "name": "a-project" }')
const unpacked = await run('tar', ['-xzf', main, '--strip-components=1', '-C', installed], { show: 'nothing' })
assert.ok(unpacked.ok, unpacked.output)
const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))

/**
 * What is accepted, by entry. `./server` and `./tui` are plugins, which hosts import; none requires them. OpenCode 2 takes
 * the first under the condition `node` or `bun`, OpenCode 1 and bundlers without; Node has no screens of OpenCode, so the
 * second is nothing there. `moduleResolution: node10` knows no `exports`: only `main` and `types`.
 */
const ACCEPTED = {
  './server': ['CJSResolvesToESM node16-cjs', 'NoResolution node10'],
  './tui': ['CJSResolvesToESM node16-cjs', 'NoResolution node10', 'NoResolution node16-cjs', 'NoResolution node16-esm'],
  './register': ['NoResolution node10'],
}

test('publint finds nothing', async () => {
  const { messages } = await publint({ pack: { tarball }, level: 'suggestion', strict: true })
  assert.deepEqual(
    messages.map((message) => formatMessage(message, manifest, { color: false })),
    [],
  )
})

test('the types are those of the code, for require and import', async () => {
  const { entrypoints, problems } = await checkPackage(createPackageFromTarballData(tarball))
  const named = ({ kind, entrypoint, resolutionKind }) => entrypoint !== undefined && `${kind} ${resolutionKind}`
  const found = {}
  for (const problem of problems) {
    const entry = problem.entrypoint ?? '.'
    const accepted = ACCEPTED[entry] ?? []
    if (!accepted.includes(named(problem))) found[entry] = [...(found[entry] ?? []), problem]
  }
  // Schemas are data: TypeScript reads them with `resolveJsonModule`.
  for (const entry of Object.keys(found))
    if (entry.startsWith('./schemas/') || entry.endsWith('.json')) delete found[entry]
  assert.deepEqual(found, {})
  for (const entry of ['.', './server', './tui', './register']) assert.ok(entrypoints[entry], entry)
})

test('a program compiles against the package under every way to resolve modules', () => {
  const source = `import { createAuthFetch } from 'provider-auth'
    export const fetch: (input: string | URL | Request) => Promise<Response> = createAuthFetch({ provider: 'openai' })
    // @ts-expect-error: an option of the wrong type
    createAuthFetch({ provider: 7 })`
  const { ModuleKind, ModuleResolutionKind } = ts
  for (const [file, module, moduleResolution] of [
    ['node10.ts', ModuleKind.CommonJS, ModuleResolutionKind.Node10],
    ['required.cts', ModuleKind.Node16, ModuleResolutionKind.Node16],
    ['imported.mts', ModuleKind.Node16, ModuleResolutionKind.Node16],
    ['bundled.ts', ModuleKind.ESNext, ModuleResolutionKind.Bundler],
  ]) {
    const path = join(project, file)
    const isOld = moduleResolution === ModuleResolutionKind.Node10
    writeFileSync(path, isOld ? source : `import 'provider-auth/register'\n${source}`)
    const target = ts.ScriptTarget.ES2022
    const options = { noEmit: true, strict: true, target, types: [], module, moduleResolution }
    const program = ts.createProgram([path], options)
    const faults = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
    assert.deepEqual(faults, [], file)
  }
})

test('every file of the package is wanted, and none is missing', async () => {
  const listed = await run('tar', ['-tzf', main], { show: 'nothing' })
  const files = listed.output
    .trim()
    .split('\n')
    .map((file) => file.replace(/^package\//, ''))
  const wanted = [
    /^(package\.json|README\.md|LICENSE|THIRD-PARTY-NOTICES)$/,
    /^(index|server|server-v2|tui|register)\.d\.c?ts$/,
    /^npm\/dist\/[\w./-]+\.(js|cjs|d\.cts)$/,
    /^npm\/dist\/cli\/package\.json$/,
    /^schemas\/[\w./-]+\.json$/,
  ]
  assert.deepEqual(
    files.filter((file) => !wanted.some((pattern) => pattern.test(file))),
    [],
  )
  for (const file of ['README.md', 'LICENSE', 'THIRD-PARTY-NOTICES', 'npm/dist/cli/main.js'])
    assert.ok(files.includes(file), file)
  const text = readFileSync(join(installed, 'package.json'), 'utf8')
  assert.ok(!text.includes(fileURLToPath(new URL('..', import.meta.url))), 'a path of this machine is in the package')
})

test('no link of the packed README leads to a file that is not there', () => {
  const text = readFileSync(join(installed, 'README.md'), 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '')
  const links = [...text.matchAll(/\]\(([^()\s]+)\)|\b(?:src|srcset|href)="([^"]+)"/g)].map(
    ([, one, other]) => one ?? other,
  )
  const relative = links.filter((link) => !/^(?:https?:|#)/.test(link))
  assert.deepEqual(
    relative.filter((link) => !existsSync(join(installed, link.split('#')[0]))),
    [],
  )
  assert.ok(relative.includes('LICENSE'), 'one that leads to a file of the package stays')
})

test('where the repository is known, links lead there, and pictures to their bytes', () => {
  const text = `[a page](docs/a.md#part), [\`code\`](./SECURITY.md), ![a picture](docs/p.svg) [in it](schemas/x.json) [far](https://x.example/y.md)
<picture><source srcset="docs/dark.svg"><img src="docs/p.svg"></picture> [here](#here) [![badge](b.svg)](LICENSE)
\`\`\`md
[as it is](docs/a.md)
\`\`\`
`
  const isPacked = (path) => ['schemas/x.json', 'LICENSE'].includes(path)
  const at = (repository) => packedReadme(text, { isPacked, repository, tag: 'v1.2.3' })
  const base = 'https://git.example/o/r'
  assert.equal(
    at(base),
    `[a page](${base}/blob/v1.2.3/docs/a.md#part), [\`code\`](${base}/blob/v1.2.3/SECURITY.md), ![a picture](${base}/raw/v1.2.3/docs/p.svg) [in it](schemas/x.json) [far](https://x.example/y.md)
<picture><source srcset="${base}/raw/v1.2.3/docs/dark.svg"><img src="${base}/raw/v1.2.3/docs/p.svg"></picture> [here](#here) [![badge](${base}/raw/v1.2.3/b.svg)](LICENSE)
\`\`\`md
[as it is](docs/a.md)
\`\`\`
`,
  )
  assert.match(at(undefined), /^a page, `code`, a picture \[in it\]\(schemas\/x\.json\)/)
})

test('the fields of package.json say what a registry and a package manager ask for', () => {
  for (const field of ['name', 'version', 'description', 'license', 'type', 'main', 'types', 'keywords', 'engines'])
    assert.ok(manifest[field], field)
  for (const field of ['scripts', 'devDependencies', 'dependencies', 'overrides', 'napi'])
    assert.equal(manifest[field], undefined, field)
  // Registering is done by being imported; the plugins and the library do nothing then that a bundler could leave out.
  // Provenance is the release workflow's option: with it here, no local registry would take the package.
  assert.deepEqual(manifest.publishConfig, { access: 'public' })
  const { version, optionalDependencies } = manifest
  assert.equal(Object.keys(optionalDependencies).length, 8)
  for (const [name, pin] of Object.entries(optionalDependencies)) assert.equal(pin, version, name)
})
