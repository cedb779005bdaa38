/** The help of every command: it fits a terminal of 80 columns, says what each thing is, and has examples to copy. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { command, failure } from './support/cli.mjs'
import { everyCommand } from './support/program.mjs'
import { createSandbox } from './support/sandbox.mjs'

const WIDTH = 80
const sandbox = createSandbox({ name: 'help' })
after(sandbox.cleanup)
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const commands = everyCommand()

/** A help page as it is printed to a pipe, which is taken to have 80 columns. */
function pageOf(command) {
  const written = []
  command.configureOutput({ writeOut: (text) => written.push(text), getOutHelpWidth: () => WIDTH })
  command.outputHelp()
  return written.join('')
}

for (const { name, command: declared } of commands) {
  test(`the help of ${name} can be read`, () => {
    const page = pageOf(declared)
    const isLeaf = declared.commands.length === 0
    assert.deepEqual(
      page.split('\n').filter((line) => [...line].length > WIDTH),
      [],
      'lines that are too long',
    )
    assert.match(declared.description(), /^[^A-Z].*[^.]$/s, 'a description begins in lower case and has no full stop')
    for (const { flags, description } of declared.options) assert.ok(description, `${flags} is not described`)
    if (!isLeaf) return
    for (const argument of declared.registeredArguments)
      assert.ok(argument.description || argument.name() === 'provider', `${argument.name()} is not described`)
    const [, shown = ''] = page.split('\nExamples:\n')
    const calls = shown.split('\n').filter((line) => line.trim() !== '')
    assert.ok(calls.length > 0, 'it has no examples')
    assert.ok(
      calls.some((line) => line.includes(`provider-auth ${name}`)),
      'an example calls it',
    )
  })
}

test('every example is a call that the command understands', async () => {
  const known = new Map(commands.map(({ name, command: declared }) => [name, declared]))
  for (const { command: declared } of commands) {
    const [, shown = ''] = pageOf(declared).split('\nExamples:\n')
    for (const [, call] of shown.matchAll(/provider-auth ([^#|<>;)"']+)/g)) {
      const words = call.trim().split(/\s+/)
      let length = words.length
      while (length > 0 && !known.has(words.slice(0, length).join(' '))) length--
      assert.ok(length > 0 || words[0].startsWith('-') || words[0] === 'help', call)
      const options = known.get(words.slice(0, length).join(' '))?.options ?? []
      const before = words.includes('--') ? words.slice(0, words.indexOf('--')) : words
      for (const word of before.slice(length).filter((one) => one.startsWith('-')))
        assert.ok(
          options.some(({ long, short }) => [long, short].includes(word.split('=')[0])),
          `${call}: ${word}`,
        )
    }
  }
})

test('help is printed for each command, also for one below another, and --version tells the version', async () => {
  const nested = commands.find(({ name }) => name === 'key slot add')
  const { code, stdout, stderr } = await command(sandbox, ['help', 'key', 'slot', 'add'])
  assert.deepEqual([code, stderr], [0, ''])
  assert.ok(stdout.startsWith('Usage: provider-auth key slot add'))
  assert.deepEqual(stdout, (await command(sandbox, ['key', 'slot', 'add', '--help'])).stdout)
  assert.equal(stdout, pageOf(nested.command))
  for (const args of [['help'], ['--help']]) {
    const whole = await command(sandbox, args)
    assert.equal(whole.code, 0)
    for (const { name } of commands.filter((one) => !one.name.includes(' ')))
      assert.ok(whole.stdout.includes(`\n  ${name}`), name)
    assert.doesNotMatch(whole.stdout, /^ {2}(screen|complete)\b(?!ion)/m)
    assert.ok(whole.stdout.split('\n').every((line) => line.length <= WIDTH))
  }
  const unknown = await failure(sandbox, ['help', 'key', 'sloth'])
  assert.equal(unknown.exit, 2)
  const group = await failure(sandbox, ['key', 'slot'])
  assert.deepEqual([group.exit, group.code], [2, 'USAGE'])
  const topic = await command(sandbox, ['key', 'slot'])
  assert.deepEqual([topic.code, topic.stdout], [2, ''])
  assert.match(topic.stderr, /^Usage: provider-auth key slot/)
  assert.equal((await command(sandbox, ['--version'])).stdout, `${version}\n`)
})
