/** The accounts that a person chose for a session or a project. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import {
  createPinFinder,
  createPinReader,
  findPin,
  forgetAccount,
  pin,
  pinsFile,
  projectOf,
  readPins,
} from '../npm/build/opencode/pins.js'

const folder = mkdtempSync(join(tmpdir(), 'provider-auth-pins-'))
const file = join(folder, 'state', 'pins.json')

beforeEach(() => rmSync(dirname(file), { recursive: true, force: true }))
after(() => rmSync(folder, { recursive: true, force: true }))

const found = (provider, place) => findPin(readPins(file), provider, { sessions: [], ...place })

test('a session has the account that was chosen for it, and other sessions have none', () => {
  pin({ session: 'ses_1' }, 'acme', 'A', file)
  assert.deepEqual(found('acme', { sessions: ['ses_1'] }), { account: 'A', by: 'session' })
  assert.equal(found('acme', { sessions: ['ses_2'] }), undefined)
  assert.equal(found('other', { sessions: ['ses_1'] }), undefined)
  assert.equal(found('acme', { sessions: [undefined] }), undefined)
})

test('a session without a choice has that of the session above it, else that of its project', () => {
  pin({ project: '/projects/a' }, 'acme', 'P', file)
  pin({ session: 'ses_parent' }, 'acme', 'S', file)
  assert.deepEqual(found('acme', { sessions: ['ses_child', 'ses_parent'], project: '/projects/a' }), {
    account: 'S',
    by: 'session',
  })
  assert.deepEqual(found('acme', { sessions: ['ses_child'], project: '/projects/a' }), { account: 'P', by: 'project' })
  assert.equal(found('acme', { sessions: ['ses_child'], project: '/work' }), undefined)
})

test('a choice is replaced, and taken back', () => {
  pin({ session: 'ses_1' }, 'acme', 'A', file)
  pin({ session: 'ses_1' }, 'other', 'O', file)
  pin({ session: 'ses_1' }, 'acme', 'B', file)
  assert.equal(found('acme', { sessions: ['ses_1'] }).account, 'B')
  pin({ session: 'ses_1' }, 'acme', undefined, file)
  assert.equal(found('acme', { sessions: ['ses_1'] }), undefined)
  assert.equal(found('other', { sessions: ['ses_1'] }).account, 'O')
  pin({ session: 'ses_1' }, 'other', undefined, file)
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { sessions: {}, projects: {} })
})

test('an account that is removed is chosen nowhere', () => {
  pin({ session: 'ses_1' }, 'acme', 'A', file)
  pin({ session: 'ses_2' }, 'acme', 'B', file)
  pin({ project: '/projects/a' }, 'acme', 'A', file)
  forgetAccount('A', file)
  assert.equal(found('acme', { sessions: ['ses_1'], project: '/projects/a' }), undefined)
  assert.equal(found('acme', { sessions: ['ses_2'] }).account, 'B')
})

test('at most 500 sessions are kept: the oldest choice goes', () => {
  for (let i = 0; i < 502; i++) pin({ session: `ses_${i}` }, 'acme', 'A', file)
  assert.equal(Object.keys(readPins(file).sessions).length, 500)
  assert.equal(found('acme', { sessions: ['ses_1'] }), undefined)
  assert.equal(found('acme', { sessions: ['ses_2'] }).account, 'A')
  assert.equal(found('acme', { sessions: ['ses_501'] }).account, 'A')
})

test('the reader sees a change that another process made', () => {
  const pins = createPinReader(file)
  assert.deepEqual(Object.keys(pins().sessions), [])
  pin({ session: 'ses_1' }, 'acme', 'A', file)
  assert.equal(findPin(pins(), 'acme', { sessions: ['ses_1'] }).account, 'A')
  assert.equal(pins(), pins(), 'it was read again though it had not changed')
  rmSync(file)
  assert.deepEqual(Object.keys(pins().sessions), [])
})

test('a request is known by the headers of its session and of the one above it', () => {
  const find = createPinFinder({ provider: 'acme', project: '/projects/a' }, createPinReader(file))
  pin({ session: 'ses_1' }, 'acme', 'A', file)
  const sessions = (headers) => find({ headers })?.account
  assert.equal(sessions({ 'X-Session-Id': 'ses_1' }), 'A')
  assert.equal(sessions(new Headers({ 'x-session-affinity': 'ses_1' })), 'A')
  assert.equal(sessions([['x-opencode-session', 'ses_1']]), 'A')
  assert.equal(sessions({ 'x-session-id': 'ses_2', 'x-parent-session-id': 'ses_1' }), 'A')
  assert.equal(sessions({ 'x-session-id': 'ses_2' }), undefined)
  assert.equal(find(undefined), undefined)
  pin({ project: '/projects/a' }, 'acme', 'P', file)
  assert.deepEqual(find(undefined), { account: 'P', by: 'project' })
  pin({ session: 'ses_2' }, 'acme', 'B', file)
  assert.equal(sessions({ 'x-session-id': 'ses_2', 'x-parent-session-id': 'ses_1' }), 'B')
})

test('names that all objects inherit are no choices', () => {
  for (const name of ['__proto__', 'constructor', 'toString']) {
    assert.equal(found(name, { sessions: [name], project: name }), undefined)
    pin({ session: name }, name, 'A', file)
    assert.equal(found(name, { sessions: [name] }).account, 'A', name)
  }
  assert.equal({}.constructor, Object)
})

for (const [what, text] of Object.entries({
  'is damaged': '{"sessions":{"ses_1":',
  'is a list': '[]',
  'is null': 'null',
  'has other types': '{"sessions":{"ses_1":{"acme":7},"ses_2":"A"},"projects":7}',
})) {
  test(`a file that ${what} has no choice, and is replaced by the next one`, () => {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    assert.equal(found('acme', { sessions: ['ses_1', 'ses_2'], project: '/projects/a' }), undefined)
    pin({ session: 'ses_1' }, 'acme', 'A', file)
    assert.equal(found('acme', { sessions: ['ses_1'] }).account, 'A')
  })
}

test('only the user can read the file, and nothing else is left beside it', () => {
  pin({ session: 'ses_1' }, 'acme', 'A', file)
  assert.deepEqual(readdirSync(dirname(file)), ['pins.json'])
  if (process.platform !== 'win32') assert.equal(statSync(file).mode & 0o777, 0o600)
})

test('a choice that the disk does not take is an error', () => {
  writeFileSync(join(folder, 'taken'), '')
  assert.throws(() => pin({ session: 'ses_1' }, 'acme', 'A', join(folder, 'taken', 'pins.json')), /taken/)
})

test('a project is the repository, and without one the folder', () => {
  assert.equal(projectOf({ directory: '/projects/a/src', worktree: '/projects/a' }), '/projects/a')
  assert.equal(projectOf({ directory: '/projects/b', worktree: '/' }), '/projects/b')
  assert.equal(projectOf({ directory: '/projects/b', worktree: '' }), '/projects/b')
  assert.equal(projectOf({ directory: '/projects/b' }), '/projects/b')
})

test('the file lies in the state folder', () => {
  assert.equal(pinsFile({ XDG_STATE_HOME: '/s' }), join('/s', 'provider-auth', 'opencode-pins.json'))
})
