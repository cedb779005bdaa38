/** What the clients of a provider read from their environment, and how a shell sets it. */
import type { ProviderSummary } from '../../../index.js'

export type Shell = 'sh' | 'fish' | 'powershell'

/** The variable of the base URL, and the path that the clients expect in it. */
const BASES: Record<string, [variable: string, path: string]> = {
  openai: ['OPENAI_BASE_URL', '/v1'],
  anthropic: ['ANTHROPIC_BASE_URL', ''],
  google: ['GOOGLE_GEMINI_BASE_URL', ''],
  azure: ['AZURE_OPENAI_ENDPOINT', ''],
  qwen: ['DASHSCOPE_HTTP_BASE_URL', '/api/v1'],
}

/** The variables by which a client uses the proxy. Where none are known, they are named after the provider. */
export function variablesFor(
  { id, keyVariables, resource }: Pick<ProviderSummary, 'id' | 'keyVariables' | 'resource'>,
  base: string,
  token: string,
): Record<string, string> {
  const own = id.toUpperCase().replace(/[^A-Z0-9]/g, '_')
  const path = resource === undefined ? '' : new URL(resource).pathname.replace(/\/$/, '')
  const [variable, suffix] = BASES[id] ?? [`${own}_BASE_URL`, path]
  const keys = keyVariables.length > 0 ? keyVariables : [`${own}_API_KEY`]
  return { [variable]: `${base}${suffix}`, ...Object.fromEntries(keys.map((name) => [name, token])) }
}

/** The lines that set them. */
export function linesFor(variables: Record<string, string>, shell: Shell): string {
  return Object.entries(variables)
    .map(([name, value]) => LINES[shell](name, value))
    .join('\n')
}

const LINES: Record<Shell, (name: string, value: string) => string> = {
  sh: (name, value) => `export ${name}='${value.replaceAll("'", "'\\''")}'`,
  fish: (name, value) => `set -gx ${name} '${value.replace(/[\\']/g, '\\$&')}'`,
  powershell: (name, value) => `$env:${name} = '${value.replaceAll("'", "''")}'`,
}
