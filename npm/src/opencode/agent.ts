/** What an agent in OpenCode gets from us: tools, the slash command, and the guard. */
import { createGuard } from './guard/guard.js'
import type { Hooks, Host } from './host.js'
import type { Instance } from './instance.js'
import { createTools, fillCommand, type Toolbox } from './tools.js'
import { signIn } from './words.js'

type AgentHooks = Required<
  Pick<Hooks, 'tool' | 'command.execute.before' | 'tool.execute.before' | 'tool.execute.after' | 'shell.env'>
>

/** `instance` is there once the config hook has run, which is before any agent. */
export function agentHooks(host: Host, instance: () => Instance | undefined): AgentHooks {
  const directory = host.directory ?? process.cwd()
  const guard = createGuard({ directory, worktree: host.worktree ?? directory })
  const isGuarded = () => instance()?.settings.guard !== false
  const box: Toolbox = {
    library: () => import('../index.js'),
    decisions: () => instance()?.decisions.values() ?? [],
    signIn: (provider) => signIn({ provider, surface: 'ui', isOffered: instance()?.isOffered(provider) === true }),
    masks: () => instance()?.settings.maskIdentity !== false,
  }
  return {
    tool: createTools(box),
    'command.execute.before': ({ command }, { parts }) => fillCommand(box, command, parts),
    async 'tool.execute.before'({ tool }, { args }) {
      if (isGuarded()) await guard.before(tool, args)
    },
    async 'tool.execute.after'({ tool, args }, output) {
      if (isGuarded()) await guard.after(tool, args, output)
    },
    async 'shell.env'(_, { env }) {
      if (isGuarded()) await guard.shellEnv(env)
    },
  }
}
