/**
 * The plugin as OpenCode 2 takes it: one object with an id and a `setup`.
 *
 * OpenCode 1 takes functions and never loads this file, and OpenCode 2 never loads `server.ts`:
 * `exports["./server"]` of package.json has both, under the conditions that tell the two apart.
 */
import type { Cleanup, Context } from './opencode/v2/host.js'

export default {
  id: 'provider-auth',
  async setup(context: Context): Promise<Cleanup | undefined> {
    try {
      // Late, since it throws where the addon does not load.
      const { start } = await import('./opencode/v2/setup.js')
      return await start(context)
    } catch (cause) {
      const { refusePlaceholder } = await import('./opencode/v2/placeholder.js')
      const { loadReason } = await import('./opencode/load-fault.js')
      const why = `it could not start, so nothing was sent: ${loadReason(cause)}`
      await refusePlaceholder(context, new Error(why, { cause }))
      return undefined
    }
  },
}
