/**
 * The plugin of OpenCode's TUI: `/accounts`, and what the screen says of accounts all the time. The
 * requests are the server plugin's.
 */
import type { Api } from './opencode/tui/host.js'
import { startTui } from './opencode/tui/start.js'

export default {
  id: 'provider-auth',
  async tui(api: Api, options?: Record<string, unknown>): Promise<void> {
    await startTui(api, options)
  },
}
