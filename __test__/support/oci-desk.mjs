/**
 * Oracle Cloud beside OpenCode: an identity domain with both kinds of application, the endpoint that takes its tokens, and
 * installations of OpenCode whose users have an `oci-auth.config.jsonc`.
 */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startOci } from './dialects/devices.mjs'
import { createOpenCode } from './opencode.mjs'
import { createSandbox } from './sandbox.mjs'
import { startUpstream } from './upstream.mjs'

export const FILE = 'oci-auth.config.jsonc'
export const KEY = 'sk-other-41c09b7e'

/** Starts the domain and the endpoint. */
export async function startTenancy() {
  const [confidentialRow, mobileRow] = await startOci()
  const { server, memory } = confidentialRow
  const upstream = await startUpstream({
    providers: [{ owner: memory.owner, issuedTo: () => undefined }],
    keys: { [KEY]: 'other' },
  })
  const { clientId, clientSecret } = confidentialRow.config
  const base = { domain_url: server.origin, llm_base_url: `${upstream.baseURL}/` }
  const desks = []
  return {
    server,
    memory,
    upstream,
    clientSecret,
    /** What the file says of each application. */
    confidential: {
      ...base,
      client_id: clientId,
      client_secret: '{file:~/oci-secret}',
      auth_method: 'confidential_app',
    },
    mobile: { ...base, client_id: mobileRow.config.clientId, auth_method: 'mobile_app' },
    openDesk: (content) => openDesk(upstream, desks, content),
    async close() {
      for (const { opencode, sandbox } of desks) {
        await opencode.close()
        sandbox.cleanup()
      }
      await Promise.all([server.close(), upstream.close()])
    },
  }
}

/** An OpenCode with another provider beside, and this file of the user's. */
function openDesk(upstream, desks, content) {
  const sandbox = createSandbox({
    name: 'opencode-oci',
    config: { providers: { other: { origins: [upstream.origin] } } },
  })
  const other = {
    name: 'other',
    npm: '@ai-sdk/openai-compatible',
    options: { baseURL: upstream.baseURL, apiKey: KEY },
    models: { 'small-1': { name: 'small' } },
  }
  const opencode = createOpenCode(sandbox, { providers: { other }, config: { enabled_providers: undefined } })
  const folder = join(sandbox.env.XDG_CONFIG_HOME, 'opencode')
  const desk = {
    sandbox,
    opencode,
    provider: { other },
    write(text) {
      mkdirSync(folder, { recursive: true })
      rmSync(join(folder, FILE), { force: true })
      writeFileSync(join(folder, FILE), typeof text === 'string' ? text : commented(text))
    },
    async says(model) {
      const { code, stdout, stderr } = await opencode.run(model)
      assert.equal(code, 0, stderr)
      return stdout
    },
    async refusal(model) {
      upstream.forget()
      const { code, stdout, stderr } = await opencode.run(model)
      assert.equal(code, 1, stdout)
      return stderr
    },
    async provides(id) {
      const { call, child } = await opencode.serve()
      const { providers } = await call('GET', '/config/providers')
      child.kill('SIGKILL')
      return providers.find((provider) => provider.id === id)
    },
    async inProject(source) {
      const { code, stderr } = await sandbox.run(source, { cwd: opencode.project })
      assert.equal(code, 0, stderr)
    },
  }
  desks.push(desk)
  if (content !== undefined) desk.write(content)
  upstream.forget()
  return desk
}

/** The file as people write it. */
function commented(keys) {
  const lines = Object.entries(keys).map(([key, value]) => `  "${key}": ${JSON.stringify(value)}, // ${key}`)
  return `/* Oracle Cloud */ {\n${lines.filter((line) => !line.includes(': undefined,')).join('\n')}\n}\n`
}
