/** The `provider-auth` command as built, run in a sandbox: in pipes, or in a terminal (`startCommand`). */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import { startTerminal } from './tmux.mjs'

export const COMMAND = fileURLToPath(new URL('../../npm/dist/cli/main.js', import.meta.url))
const SCHEMAS = new URL('../../schemas/cli/', import.meta.url)

const ajv = new Ajv({ strict: true, allowUnionTypes: true })
for (const name of readdirSync(SCHEMAS))
  if (name.endsWith('.schema.json')) ajv.addSchema(JSON.parse(readFileSync(new URL(name, SCHEMAS), 'utf8')), name)

/** Holds that a value is as `schemas/cli/<name>.schema.json` says. */
export function assertFits(name, value) {
  const judge = ajv.getSchema(`${name}.schema.json`)
  assert.ok(judge, `schemas/cli has no ${name}.schema.json`)
  assert.ok(judge(value), `${name}: ${ajv.errorsText(judge.errors)}: ${JSON.stringify(value)}`)
}

/** Runs the command to its end: `{ code, signal, stdout, stderr }`. Without `input`, its standard input ends at once. */
export function command(sandbox, args, options = {}) {
  return sandbox.spawn(COMMAND, { args, ...options }).ended
}

/**
 * The same with `--json`, of a command that must succeed: its answer, which fits the schema of that name (`key-status` for
 * `key status`).
 */
export async function answer(sandbox, schema, args, options) {
  const { code, stdout, stderr } = await command(sandbox, [...args, '--json'], options)
  assert.equal(code, 0, stderr)
  const value = JSON.parse(stdout)
  assertFits(schema, value)
  return value
}

/** The same of a command that must fail: its exit code and its error, which fits the schema `error`. */
export async function failure(sandbox, args, options) {
  const { code, stdout, stderr } = await command(sandbox, [...args, '--json'], options)
  assert.equal(stdout, '', 'standard output carries only an answer')
  const value = JSON.parse(stderr.trim().split('\n').at(-1))
  assertFits('error', value)
  assert.equal(value.error.exitCode, code)
  return { exit: code, ...value.error }
}

/** Starts the command in a terminal; see `startTerminal`. */
export function startCommand(sandbox, args, { env = {}, width = 80, height = 24 } = {}) {
  return startTerminal(process.execPath, [COMMAND, ...args], {
    cwd: sandbox.work,
    env: { ...sandbox.env, ...env },
    width,
    height,
  })
}
