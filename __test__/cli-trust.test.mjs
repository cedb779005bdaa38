/** `provider-auth trust` and `untrust`: a person is shown what they agree to, and that alone is trusted. */
import assert from 'node:assert/strict'
import { chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { answer, command, failure } from './support/cli.mjs'
import { openShell } from './support/cli-shell.mjs'
import { createSandbox } from './support/sandbox.mjs'
import { hasTmux } from './support/tmux.mjs'

const sandbox = createSandbox({ name: 'cli-trust' })
after(sandbox.cleanup)
const project = join(sandbox.work, 'provider-auth.jsonc')
const oci = join(sandbox.work, 'oci-auth.config.jsonc')

const acme = (host = 'api.acme.example') => ({
  providers: { acme: { origins: [`https://${host}`], clientSecret: '{env:ACME}', issuer: 'https://id.acme.example' } },
})
const write = (value) => writeFileSync(project, JSON.stringify(value))

beforeEach(async () => {
  await command(sandbox, ['untrust'])
  for (const file of [project, oci]) rmSync(file, { force: true })
})

async function state() {
  const { files } = await answer(sandbox, 'trust', ['trust'])
  return files.map((file) => file.state)
}

test('where nothing wants trust, both commands say so and succeed', async () => {
  for (const text of [undefined, '{}', '{ "providers": { "openai": { "namespace": "team" } } }']) {
    if (text !== undefined) writeFileSync(project, text)
    const trusted = await command(sandbox, ['trust'])
    assert.deepEqual([trusted.code, trusted.stdout], [0, ''], text)
    assert.match(trusted.stderr, /no file of this project wants anything that needs trust/)
    const taken = await command(sandbox, ['untrust'])
    assert.deepEqual([taken.code, taken.stdout], [0, ''])
    assert.match(taken.stderr, /no file of this project was trusted/)
  }
})

test('without a terminal, what is wanted is shown, and nothing is trusted without its hash', async () => {
  write(acme())
  const { code, stdout, stderr } = await command(sandbox, ['trust'])
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /https:\/\/api\.acme\.example \(origins\): the access token/)
  assert.match(stderr, /reads the variable "ACME" \(clientSecret\)/)
  assert.match(stderr, /--shown/)
  assert.deepEqual(await state(), ['untrusted'])
  const refused = await failure(sandbox, ['trust', '--shown', '0'.repeat(64)])
  assert.deepEqual([refused.code, refused.exit], ['PROJECT_NOT_TRUSTED', 1])
  assert.deepEqual(await state(), ['untrusted'])
})

test('what was shown is trusted by its hash, and taken back', async () => {
  write(acme())
  const shown = await answer(sandbox, 'trust', ['trust'])
  assert.equal(shown.trusted, false)
  const given = await answer(sandbox, 'trust', ['trust', '--shown', shown.files[0].shown])
  assert.deepEqual([given.trusted, given.files[0].state], [true, 'trusted'])
  const again = await command(sandbox, ['trust'])
  assert.deepEqual([again.code, again.stdout], [0, `trusted: ${project}\n`])
  const taken = await answer(sandbox, 'untrust', ['untrust'])
  assert.deepEqual(taken.files, [project])
  assert.deepEqual(await state(), ['untrusted'])
})

test('a file that changed since it was shown is not trusted, nor one beside it', async () => {
  write(acme())
  const { files } = await answer(sandbox, 'trust', ['trust'])
  write(acme('evil.example'))
  assert.equal((await failure(sandbox, ['trust', '--shown', files[0].shown])).code, 'PROJECT_NOT_TRUSTED')
  assert.deepEqual(await state(), ['untrusted'])

  write(acme())
  writeFileSync(
    oci,
    JSON.stringify({
      domain_url: 'https://idcs.example',
      client_id: 'me',
      client_secret: '{env:OCI}',
      llm_base_url: 'https://llm.example/v1',
    }),
  )
  const one = await failure(sandbox, ['trust', '--shown', files[0].shown])
  assert.equal(one.file, oci)
  assert.deepEqual(await state(), ['untrusted', 'untrusted'])
  const both = await answer(sandbox, 'trust', ['trust'])
  const hashes = both.files.flatMap(({ shown }) => ['--shown', shown])
  assert.equal((await answer(sandbox, 'trust', ['trust', ...hashes])).trusted, true)
})

test('another folder can be named', async () => {
  const folder = join(sandbox.work, 'other')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'provider-auth.jsonc'), JSON.stringify(acme()))
  const { files } = await answer(sandbox, 'trust', ['trust', 'other'])
  assert.equal(files[0].file, join(folder, 'provider-auth.jsonc'))
  await answer(sandbox, 'trust', ['trust', '--shown', files[0].shown, 'other'])
  assert.deepEqual((await answer(sandbox, 'untrust', ['untrust', folder])).files, [files[0].file])
  assert.equal((await failure(sandbox, ['trust', 'none'])).exit, 2)
})

test('trust in a file that is gone can be taken back', async () => {
  write(acme())
  const { files } = await answer(sandbox, 'trust', ['trust'])
  await answer(sandbox, 'trust', ['trust', '--shown', files[0].shown])
  rmSync(project)
  assert.equal((await command(sandbox, ['untrust'])).code, 0)
  write(acme())
  assert.deepEqual(await state(), ['untrusted'])
})

test('a hostile file draws nothing on the terminal', async () => {
  const evil = '\u001b[2J\u001b]0;title\u0007\u202e'
  const providers = Object.fromEntries(
    Array.from({ length: 60 }, (_, index) => [
      `p${index}`,
      {
        origins: Array.from({ length: 5 }, (_, host) => `https://h${index}-${host}.evil.example`),
        issuer: 'https://id.evil.example',
        clientSecret: `{file:${evil}}`,
      },
    ]),
  )
  write({
    providers: {
      ...providers,
      fine: { origins: ['https://fine.example'], clientSecret: `{env:A${evil}}`, issuer: 'https://i.example' },
    },
  })
  const { code, stderr } = await command(sandbox, ['trust'])
  assert.equal(code, 2)
  assert.doesNotMatch(stderr.replaceAll('\n', ''), /\p{Cc}|\p{Cf}/u)
  assert.match(stderr, /https:\/\/h0-0\.evil\.example/)
})

const isRoot = process.getuid?.() === 0

test("another user's file does not count, and is named", {
  skip: !isRoot && 'only root can give a file away',
}, async () => {
  write(acme())
  chownSync(project, 12345, 12345)
  const { code, stderr, stdout } = await command(sandbox, ['trust'])
  assert.deepEqual([code, stdout], [0, ''])
  assert.match(stderr, /ignored: .*provider-auth\.jsonc/)
  assert.deepEqual(await state(), ['ignored'])
})

const inTerminal = { skip: !hasTmux && 'tmux is not installed' }

async function startTrust(t) {
  const terminal = await openShell(sandbox, ['trust'], { height: 24 })
  t.after(() => terminal.close())
  return terminal
}

test('a person is asked, and no is what Enter says', inTerminal, async (t) => {
  write(acme())
  const refusing = await startTrust(t)
  const screen = await refusing.shows(/Trust it, and go on\?/)
  assert.match(screen, /https:\/\/api\.acme\.example/)
  await refusing.press('Enter')
  await refusing.shows(/^ended with 130, echo on$/m)
  assert.deepEqual(await state(), ['untrusted'])

  const agreeing = await startTrust(t)
  await agreeing.shows(/Trust it, and go on\?/)
  await agreeing.press('y', 'Enter')
  await agreeing.shows(/^ended with 0, echo on$/m)
  assert.deepEqual(await state(), ['trusted'])
})

test('a file that changes while the question stands is not trusted', inTerminal, async (t) => {
  write(acme())
  const terminal = await startTrust(t)
  await terminal.shows(/Trust it, and go on\?/)
  write(acme('evil.example'))
  await terminal.press('y', 'Enter')
  assert.match(await terminal.shows(/^ended with 1, echo on$/m), /not as\s+it\s+was\s+shown/)
  assert.deepEqual(await state(), ['untrusted'])
  assert.ok(readFileSync(project, 'utf8').includes('evil'))
})
