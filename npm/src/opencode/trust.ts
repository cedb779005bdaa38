/**
 * Under OpenCode: the providers that a project's file would define, and the question that their
 * login asks first.
 */
import type { ProjectTrust } from '../../../index.js'
import { projectTrust, trustProject } from '../library.js'
import { asks, describeTrust } from '../trust.js'
import type { Prompt } from './host.js'
import { canAsk } from './surface.js'

/** A provider that waits for a person's trust. */
export interface WaitingProvider {
  id: string
  methods: ProjectTrust['files'][number]['providers'][number]['methods']
  prompts: Prompt[]
  /** Trusts what was shown if that is the answer; else the login goes on to its refusal. */
  answer(inputs: Record<string, string> | undefined): Promise<void>
}

/** The providers of the project's files that have no trust yet. */
export async function waitingProviders(): Promise<WaitingProvider[]> {
  const trust = await projectTrust()
  const prompt: Prompt = {
    type: 'select',
    key: 'trust',
    message: `provider-auth: ${describeTrust(trust).join('\n')}\nIt may be anybody's. Trust it?`,
    // The first one is preselected.
    options: [
      { label: 'No', value: 'no' },
      { label: 'Yes, I know this file', value: 'yes' },
    ],
  }
  const answer = async (inputs: Record<string, string> | undefined): Promise<void> => {
    if (inputs !== undefined && Object.hasOwn(inputs, 'trust') && inputs.trust === 'yes') await trustProject(trust)
  }
  // An MCP server serves no models.
  const isServer = ({ hosts }: (typeof trust.files)[number]['providers'][number]) =>
    hosts.some(({ role }) => role === 'resource')
  const wanted = trust.files
    .filter(asks)
    .flatMap(({ providers }) => providers.filter((provider) => !isServer(provider)))
  return wanted.map(({ id, methods }) => ({ id, methods, prompts: canAsk() ? [prompt] : [], answer }))
}
